package iocount_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/internal/iocount"
	"github.com/driftlesskv/driftless/internal/testenv"
)

// childDir is the environment variable by which a child learns where to work.
const childDir = "DRIFTLESS_IOCOUNT_DIR"

// child makes a known set of calls, from more than one thread.
func child(t *testing.T, dir string) {
	f, err := os.Create(filepath.Join(dir, "file"))
	require.NoError(t, err)
	var threads sync.WaitGroup
	for range 3 {
		threads.Go(func() {
			for range 4 {
				_, werr := f.WriteAt([]byte("12345"), 0)
				if err := errors.Join(werr, unix.Fdatasync(int(f.Fd()))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	threads.Wait()
	_, err = f.Write([]byte("1"))
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	d, err := os.Open(dir)
	require.NoError(t, err)
	require.NoError(t, d.Sync())
	require.NoError(t, unix.Syncfs(int(d.Fd())))
	require.NoError(t, d.Close())
}

// run runs child in dir and counts, or skips where nothing can be counted.
func run(t *testing.T, dir string, opts iocount.Options) iocount.Counts {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestRun$", "-test.v")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	counts, err := iocount.Run(t.Context(), cmd, opts)
	if errors.Is(err, iocount.ErrUnavailable) {
		testenv.Skip(t, err.Error())
	}
	require.NoError(t, err)
	return counts
}

func TestRun(t *testing.T) {
	if dir, ok := os.LookupEnv(childDir); ok {
		child(t, dir)
		return
	}
	dir := filepath.Join(t.TempDir(), "real")
	require.NoError(t, os.Mkdir(dir, 0o700))
	link := dir + "-link"
	require.NoError(t, os.Symlink(dir, link))

	all := run(t, link, iocount.Options{})
	counts, err := all.Below(link)
	require.NoError(t, err)
	require.Equal(t, iocount.Counts{
		{Name: "pwrite64", Path: "file"}:  {Calls: 12, Bytes: 60},
		{Name: "fdatasync", Path: "file"}: {Calls: 12},
		{Name: "write", Path: "file"}:     {Calls: 1, Bytes: 1},
		{Name: "fsync", Path: "file"}:     {Calls: 1},
		{Name: "fsync", Path: "."}:        {Calls: 1},
		{Name: "syncfs", Path: "."}:       {Calls: 1},
	}, counts)
	require.Equal(t, 15, counts.Flushes())
	require.Equal(t, int64(61), counts.Bytes())
	require.Equal(t, 2, counts.Calls("fsync"))
	require.Greater(t, all.Bytes(), counts.Bytes(), "what the child printed is not below its directory")
}

func TestRunFlushTime(t *testing.T) {
	const flush = 20 * time.Millisecond
	start := time.Now()
	counts, err := run(t, t.TempDir(), iocount.Options{FlushTime: flush}).Below(os.TempDir())
	require.NoError(t, err)
	require.Equal(t, 15, counts.Flushes())
	// Four in a row by each thread, then three: flushes of several threads overlap.
	require.GreaterOrEqual(t, time.Since(start), 7*flush)
}

func TestRunErrors(t *testing.T) {
	_, err := iocount.Run(t.Context(), exec.Command("true"), iocount.Options{})
	if errors.Is(err, iocount.ErrUnavailable) {
		testenv.Skip(t, err.Error())
	}
	require.NoError(t, err)

	_, err = iocount.Run(t.Context(), exec.Command("sh", "-c", "echo lost >&2; exit 3"), iocount.Options{})
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 3, exit.ExitCode())
	require.ErrorContains(t, err, "lost")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = iocount.Run(ctx, exec.Command("true"), iocount.Options{})
	require.ErrorIs(t, err, context.Canceled)

	t.Setenv("PATH", t.TempDir())
	_, err = iocount.Run(t.Context(), exec.Command("/bin/true"), iocount.Options{})
	require.ErrorIs(t, err, iocount.ErrUnavailable)
}

// A program that is cancelled must not go on, untraced.
func TestRunCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pidfile := filepath.Join(t.TempDir(), "pid")
	done := make(chan error, 1)
	go func() {
		_, err := iocount.Run(ctx, exec.Command("sh", "-c", `echo $$ >"$0.new"; mv "$0.new" "$0"; exec sleep 600`, pidfile), iocount.Options{})
		done <- err
	}()
	var pid []byte
	require.Eventually(t, func() bool {
		pid, _ = os.ReadFile(pidfile) // not there yet
		return pid != nil || len(done) > 0
	}, 30*time.Second, 10*time.Millisecond)
	cancel()
	err := <-done
	if errors.Is(err, iocount.ErrUnavailable) {
		testenv.Skip(t, err.Error())
	}
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool {
		text, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/cmdline")
		return err != nil || !strings.Contains(string(text), "sleep")
	}, 10*time.Second, 10*time.Millisecond, "the program has outlived its tracer")
}

func TestReadTrace(t *testing.T) {
	const trace = `fdatasync(3</a/data.db>) = 0
pwrite64(3</a/data.db>, ""..., 4096, 8192) = 4096
pwrite64(3</a/data.db>, ""..., 4096, 8192) = -1 ENOSPC (No space left on device)
write(1<pipe:[77]>, ""..., 5)           = 5
fsync(4</a/gone (deleted)>)             = -1 EIO (Input/output error) (INJECTED)
sync()                                  = 0
msync(0x7f0000000000, 4096, MS_SYNC)    = 0
fdatasync(3</a/data.db> <unfinished ...>
+++ exited with 0 +++
`
	counts := iocount.Counts{}
	require.NoError(t, iocount.ReadTrace(counts, strings.NewReader(trace)))
	require.Equal(t, iocount.Counts{
		{Name: "fdatasync", Path: "/a/data.db"}:    {Calls: 1},
		{Name: "pwrite64", Path: "/a/data.db"}:     {Calls: 2, Bytes: 4096},
		{Name: "write", Path: "pipe:[77]"}:         {Calls: 1, Bytes: 5},
		{Name: "fsync", Path: "/a/gone (deleted)"}: {Calls: 1},
		{Name: "sync"}:  {Calls: 1},
		{Name: "msync"}: {Calls: 1},
	}, counts)
	require.Error(t, iocount.ReadTrace(counts, strings.NewReader("write(1, , 1) = 99999999999999999999")))
}

func FuzzReadTrace(f *testing.F) {
	f.Add("pwrite64(3</a/data.db>, \"\"..., 4096, 8192) = 4096\nfsync(4</a>) = -1 EIO")
	f.Fuzz(func(t *testing.T, trace string) {
		counts := iocount.Counts{}
		_ = iocount.ReadTrace(counts, strings.NewReader(trace)) // any text may be refused
		for call, count := range counts {
			require.NotEmpty(t, call.Name)
			require.Positive(t, count.Calls)
		}
		require.Empty(t, counts.Sub(counts))
	})
}

func TestSub(t *testing.T) {
	fsync, write := iocount.Call{Name: "fsync", Path: "a"}, iocount.Call{Name: "write", Path: "a"}
	more := iocount.Counts{fsync: {Calls: 3}, write: {Calls: 2, Bytes: 9}}
	require.Equal(t, more, more.Sub(nil))
	require.Empty(t, more.Sub(more))
	require.Equal(t,
		iocount.Counts{fsync: {Calls: -3}, write: {Calls: -1, Bytes: -9}},
		iocount.Counts{write: {Calls: 1}}.Sub(more), "what costs less is seen too")
}

func TestDiskOf(t *testing.T) {
	dir := testenv.LoopFS(t, "ext4", 32<<20)
	before, err := iocount.DiskOf(dir)
	require.NoError(t, err)
	f, err := os.Create(filepath.Join(dir, "file"))
	require.NoError(t, err)
	_, err = f.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	after, err := iocount.DiskOf(dir)
	require.NoError(t, err)
	given := after.Sub(before)
	require.GreaterOrEqual(t, given.Bytes, int64(1<<20))
	require.Less(t, given.Bytes, int64(2<<20))
	require.Positive(t, given.Flushes)

	_, err = iocount.DiskOf(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestParseDisk(t *testing.T) {
	const line = "  11 0 22 33 44 55 66 77 0 88 99 0 0 0 0 111 122\n"
	disk, err := iocount.ParseDisk(line)
	require.NoError(t, err)
	require.Equal(t, iocount.Disk{Bytes: 66 * 512, Flushes: 111}, disk)
	for _, bad := range []string{
		"",
		"11 0 22 33 44 55 66 77 0 88 99 0 0 0 0", // before Linux 5.5
		strings.Replace(line, "66", "x", 1),
		strings.Replace(line, "111", "x", 1),
	} {
		_, err := iocount.ParseDisk(bad)
		require.Error(t, err, bad)
	}
}
