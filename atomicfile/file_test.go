//go:build linux

package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/atomicfile"
	"github.com/driftlesskv/driftless/internal/testenv"
)

// requireEntries fails unless dir holds exactly these names: no temporary file.
func requireEntries(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	got := make([]string, 0, len(entries))
	for _, e := range entries {
		got = append(got, e.Name())
	}
	require.ElementsMatch(t, names, got)
}

func requireContent(t *testing.T, name, want string) {
	t.Helper()
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

// requireError fails unless err is an *Error of op that matches target and has
// changed nothing.
func requireError(t *testing.T, err error, op string, target error) {
	t.Helper()
	var e *atomicfile.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, op, e.Op)
	require.ErrorIs(t, err, target)
	require.False(t, e.Committed)
	var inner *atomicfile.Error
	require.False(t, errors.As(e.Err, &inner), "an Error inside an Error: %v", err)
}

func TestWriteFile(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 1<<16)
	for _, tt := range []struct {
		name, old, data string
		mode, want      fs.FileMode
	}{
		{name: "new", data: "new", want: 0o600},
		{name: "replaced", old: "a longer old content", data: "new", want: 0o600},
		{name: "empty", old: "old", data: "", want: 0o600},
		{name: "large", old: "old", data: large, want: 0o600},
		{name: "wide mode", data: "new", mode: 0o666, want: 0o666},
		{name: "narrow mode", old: "old", data: "new", mode: 0o400, want: 0o400},
		{name: "set-user-id", data: "new", mode: 0o755 | fs.ModeSetuid, want: 0o755 | fs.ModeSetuid},
		{name: strings.Repeat("n", 255), old: "old", data: "new", want: 0o600},
	} {
		t.Run(tt.name[:min(len(tt.name), 20)], func(t *testing.T) {
			dir := t.TempDir()
			name := filepath.Join(dir, tt.name)
			if tt.old != "" {
				require.NoError(t, os.WriteFile(name, []byte(tt.old), 0o644))
			}
			require.NoError(t, atomicfile.WriteFile(name, []byte(tt.data), atomicfile.Options{Mode: tt.mode}))
			requireContent(t, name, tt.data)
			info, err := os.Lstat(name)
			require.NoError(t, err)
			require.Equal(t, tt.want, info.Mode())
			requireEntries(t, dir, tt.name)
		})
	}
}

// A file that is open while it is replaced stays the old one: nothing is
// overwritten in place.
func TestWriteFileKeepsReaders(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	require.NoError(t, atomicfile.WriteFile(name, []byte("old"), atomicfile.Options{}))
	reader, err := os.Open(name)
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close()) }()
	require.NoError(t, atomicfile.WriteFile(name, []byte("new"), atomicfile.Options{}))
	got := make([]byte, 8)
	n, err := reader.Read(got)
	require.NoError(t, err)
	require.Equal(t, "old", string(got[:n]))
}

func TestWriteFileInWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, atomicfile.WriteFile("f", []byte("new"), atomicfile.Options{}))
	requireContent(t, "f", "new")
}

func TestWriteFileRefuses(t *testing.T) {
	exclusive := atomicfile.Options{Exclusive: true}
	for _, tt := range []struct {
		name string
		opts atomicfile.Options
		want error
	}{
		{name: "", want: atomicfile.ErrInvalid},
		{name: ".", want: atomicfile.ErrInvalid},
		{name: "..", want: atomicfile.ErrInvalid},
		{name: "nul\x00", want: atomicfile.ErrInvalid},
		{name: strings.Repeat("n", 256), want: atomicfile.ErrInvalid},
		{name: "f", opts: atomicfile.Options{Mode: fs.ModeDir | 0o700}, want: atomicfile.ErrInvalid},
		{name: "f", opts: exclusive, want: fs.ErrExist},
		{name: "dir", want: atomicfile.ErrNotRegular},
		{name: "dir", opts: exclusive, want: fs.ErrExist},
		{name: "fifo", want: atomicfile.ErrNotRegular},
		{name: "link", want: atomicfile.ErrSymlink},
		{name: "link", opts: exclusive, want: atomicfile.ErrSymlink},
		{name: "link", opts: exclusive, want: fs.ErrExist},
		{name: "dangling", want: atomicfile.ErrSymlink},
		{name: "dangling", opts: exclusive, want: atomicfile.ErrSymlink},
		{name: "missing/f", want: fs.ErrNotExist},
		{name: "f/f", want: syscall.ENOTDIR},
		{name: "fifo/f", want: syscall.ENOTDIR},
	} {
		t.Run(tt.name[:min(len(tt.name), 20)], func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("old"), 0o600))
			require.NoError(t, os.Mkdir(filepath.Join(dir, "dir"), 0o700))
			require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
			require.NoError(t, os.Symlink("f", filepath.Join(dir, "link")))
			require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))

			err := atomicfile.WriteFile(dir+"/"+tt.name, []byte("new"), tt.opts)
			requireError(t, err, "write", tt.want)
			requireContent(t, filepath.Join(dir, "f"), "old")
			requireEntries(t, dir, "f", "dir", "fifo", "link", "dangling")
		})
	}
}

func TestExclusiveRace(t *testing.T) {
	const racers = 64
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	var won atomic.Int32
	var winner atomic.Value
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		wg.Go(func() {
			data := strings.Repeat(string(rune('0'+i)), 1000)
			<-start
			err := atomicfile.WriteFile(name, []byte(data), atomicfile.Options{Exclusive: true})
			if err == nil {
				won.Add(1)
				winner.Store(data)
				return
			}
			if !errors.Is(err, fs.ErrExist) {
				t.Errorf("loser: %v", err)
			}
		})
	}
	close(start)
	wg.Wait()
	require.EqualValues(t, 1, won.Load())
	requireContent(t, name, winner.Load().(string))
	requireEntries(t, dir, "f")
}

// Writers of one name never mix their contents, and readers never meet a file that
// is absent or half written.
func TestConcurrentReplace(t *testing.T) {
	const writers, rounds = 8, 20
	d, err := atomicfile.OpenDir(t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	require.NoError(t, d.WriteFile("f", []byte(strings.Repeat("x", 5000)), atomicfile.Options{}))
	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	reading.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			got, err := d.Root().ReadFile("f")
			if err != nil || len(got) != 5000 || strings.Count(string(got), string(got[0])) != 5000 {
				t.Errorf("read %d mixed bytes, error %v", len(got), err)
				return
			}
		}
	})
	for i := range writers {
		writing.Go(func() {
			data := []byte(strings.Repeat(string(rune('a'+i)), 5000))
			for range rounds {
				if err := d.WriteFile("f", data, atomicfile.Options{}); err != nil {
					t.Errorf("write: %v", err)
				}
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
}

func TestDescriptorsAreClosed(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		testenv.Skip(t, "needs /proc")
	}
	dir := t.TempDir()
	require.NoError(t, os.Symlink("f", filepath.Join(dir, "link")))
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(entries)
	}
	require.NoError(t, atomicfile.WriteFile(filepath.Join(dir, "f"), nil, atomicfile.Options{}))
	before := descriptors()
	for range 1000 {
		require.NoError(t, atomicfile.WriteFile(filepath.Join(dir, "f"), []byte("new"), atomicfile.Options{}))
		require.Error(t, atomicfile.WriteFile(filepath.Join(dir, "link"), nil, atomicfile.Options{}))
		require.Error(t, atomicfile.WriteFile(filepath.Join(dir, "f", "f"), nil, atomicfile.Options{}))
	}
	require.InDelta(t, before, descriptors(), 5, "of 3000 calls")
}
