package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/driftlesskv/driftless/internal/testenv"
	"github.com/driftlesskv/driftless/store"
)

func TestOpenRefusesAndLeavesUntouched(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other.db")
	file, err := bolt.Open(other, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	foreign, err := os.ReadFile(other)
	require.NoError(t, err)

	tests := []struct {
		name    string
		content []byte
	}{
		{"empty file", nil},
		{"a few bytes", []byte("hello")},
		{"garbage", bytes.Repeat([]byte("not a database. "), 8192)},
		{"zeros", make([]byte, 64<<10)},
		{"a bbolt database of another program", foreign},
		{"a torn creation", foreign[:9000]},
	}
	for _, tt := range tests {
		for _, readOnly := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "data.db")
				require.NoError(t, os.WriteFile(path, tt.content, 0o600))
				_, err := store.Open(context.Background(), dir, store.Options{ReadOnly: readOnly})
				require.ErrorIs(t, err, store.ErrCorrupt)
				after, err := os.ReadFile(path)
				require.NoError(t, err)
				require.True(t, bytes.Equal(tt.content, after), "the file was changed")
			})
		}
	}
}

func TestOpenBadArguments(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	tests := []struct {
		name string
		dir  string
		opts store.Options
		want error
	}{
		{"no directory given", "", store.Options{}, store.ErrInvalid},
		{"directory is a file", file, store.Options{}, store.ErrInvalid},
		{"directory below a file", filepath.Join(file, "sub"), store.Options{}, store.ErrInvalid},
		{"read-only directory is a file", file, store.Options{ReadOnly: true}, store.ErrInvalid},
		{"settle delay below 0", t.TempDir(), store.Options{SettleDelay: -1}, store.ErrInvalid},
		{"settle delay over an hour", t.TempDir(), store.Options{SettleDelay: 2 * time.Hour}, store.ErrInvalid},
		{"read-only and not there", filepath.Join(t.TempDir(), "no"), store.Options{ReadOnly: true}, fs.ErrNotExist},
		{"read-only and empty", t.TempDir(), store.Options{ReadOnly: true}, fs.ErrNotExist},
		{"NUL in the path", "a\x00b", store.Options{}, syscall.EINVAL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := store.Open(context.Background(), tt.dir, tt.opts)
			require.ErrorIs(t, err, tt.want)
		})
	}
}

func TestOpenNewerFormat(t *testing.T) {
	for _, tt := range []struct {
		name         string
		reader       uint64
		readOnlyWant error
	}{
		{"readable by this version", 1, nil},
		{"not readable by this version", 2, store.ErrVersion},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			db, err := store.Open(context.Background(), dir, store.Options{})
			require.NoError(t, err)
			put(t, db, "b", "k", "v")
			require.NoError(t, db.Close())
			rewrite(t, dir, "m", "header", func(header []byte) []byte {
				binary.BigEndian.PutUint64(header, 2)
				binary.BigEndian.PutUint64(header[8:], tt.reader)
				return append(header, "what version 2 adds"...)
			})
			before, err := os.ReadFile(filepath.Join(dir, "data.db"))
			require.NoError(t, err)

			_, err = store.Open(context.Background(), dir, store.Options{})
			require.ErrorIs(t, err, store.ErrVersion)
			db, err = store.Open(context.Background(), dir, store.Options{ReadOnly: true})
			require.ErrorIs(t, err, tt.readOnlyWant)
			if err == nil {
				value, err := get(t, db, "b", "k")
				require.NoError(t, err)
				require.Equal(t, "v", value)
				require.NoError(t, db.Close())
			}
			after, err := os.ReadFile(filepath.Join(dir, "data.db"))
			require.NoError(t, err)
			require.True(t, bytes.Equal(before, after))
		})
	}
}

func TestSecondOpener(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, store.Options{})
	for _, readOnly := range []bool{false, true} {
		_, err := store.Open(context.Background(), dir, store.Options{ReadOnly: readOnly, LockTimeout: 20 * time.Millisecond})
		var locked *store.LockedError
		require.ErrorAs(t, err, &locked)
		require.ErrorIs(t, err, store.ErrLocked)
		require.Equal(t, os.Getpid(), locked.PID)
		require.ErrorContains(t, err, "held by process")
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err := store.Open(ctx, dir, store.Options{LockTimeout: time.Hour})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, store.ErrLocked)
}

func TestOpenWaitsForTheLock(t *testing.T) {
	dir := t.TempDir()
	first, err := store.Open(context.Background(), dir, store.Options{})
	require.NoError(t, err)
	closed := make(chan error, 1)
	time.AfterFunc(30*time.Millisecond, func() { closed <- first.Close() })
	open(t, dir, store.Options{})
	require.NoError(t, <-closed)
}

func TestReadOnlyWritesNothing(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(context.Background(), dir, store.Options{})
	require.NoError(t, err)
	put(t, db, "b", "k", "v")
	require.NoError(t, db.Close())
	require.NoError(t, os.Remove(filepath.Join(dir, "LOCK")))
	require.NoError(t, os.Chmod(dir, 0o500))
	t.Cleanup(func() { require.NoError(t, os.Chmod(dir, 0o700)) })
	before := tree(t, dir)

	db, err = store.Open(context.Background(), dir, store.Options{ReadOnly: true})
	require.NoError(t, err)
	second, err := store.Open(context.Background(), dir, store.Options{ReadOnly: true})
	require.NoError(t, err, "readers share a store")
	value, err := get(t, db, "b", "k")
	require.NoError(t, err)
	require.Equal(t, "v", value)
	err = db.Update(context.Background(), func(*store.Tx) error { return errors.New("must not run") })
	require.ErrorIs(t, err, store.ErrReadOnly)
	check(t, db)
	require.NoError(t, db.Close())
	require.NoError(t, second.Close())
	require.Equal(t, before, tree(t, dir))
}

// tree describes every file below dir: name, mode, size, change time.
func tree(t testing.TB, dir string) (lines []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		ctime := info.Sys().(*syscall.Stat_t).Ctim
		lines = append(lines, strings.Join([]string{path, info.Mode().String(), time.Unix(ctime.Unix()).String()}, " "))
		return nil
	}))
	return lines
}

func TestOpenReadOnlyDirectory(t *testing.T) {
	testenv.SkipAsRoot(t, "permissions do not bind root")
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o500))
	t.Cleanup(func() { require.NoError(t, os.Chmod(dir, 0o700)) })
	_, err := store.Open(context.Background(), dir, store.Options{})
	require.ErrorIs(t, err, fs.ErrPermission)
	_, err = store.Open(context.Background(), filepath.Join(dir, "sub"), store.Options{})
	require.ErrorIs(t, err, fs.ErrPermission)
}

// The directory above the store's may be closed to the store's user.
func TestOpenBelowUnreadableDirectory(t *testing.T) {
	testenv.SkipAsRoot(t, "permissions do not bind root")
	above := t.TempDir()
	dir := filepath.Join(above, "store")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chmod(above, 0o100))
	t.Cleanup(func() { require.NoError(t, os.Chmod(above, 0o700)) })
	put(t, open(t, dir, store.Options{}), "b", "k", "v")
}

func TestModesWhateverTheUmask(t *testing.T) {
	if dir := os.Getenv("STORE_TEST_UMASK"); dir != "" { // the umask is the process's
		syscall.Umask(0o277)
		db, err := store.Open(context.Background(), dir, store.Options{})
		require.NoError(t, err)
		require.NoError(t, db.Close())
		return
	}
	for _, umask := range []string{"a", "b/c"} {
		dir := filepath.Join(t.TempDir(), umask)
		cmd := exec.Command(os.Args[0], "-test.run=^TestModesWhateverTheUmask$")
		cmd.Env = append(os.Environ(), "STORE_TEST_UMASK="+dir)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		for name, want := range map[string]fs.FileMode{"": 0o700, "data.db": 0o600, "LOCK": 0o600} {
			info, err := os.Stat(filepath.Join(dir, name))
			require.NoError(t, err)
			require.Equal(t, want, info.Mode().Perm(), name)
		}
	}
}

func TestPlantedSymlinksAreRefused(t *testing.T) {
	for _, name := range []string{"LOCK", "data.db", "data.db.new"} {
		t.Run(name, func(t *testing.T) {
			dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
			require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o644))
			require.NoError(t, os.Symlink(victim, filepath.Join(dir, name)))
			db, err := store.Open(context.Background(), dir, store.Options{})
			if name == "data.db.new" { // a leftover of ours is replaced, never followed
				require.NoError(t, err)
				require.NoError(t, db.Close())
			} else {
				require.ErrorIs(t, err, store.ErrInvalid)
				require.ErrorIs(t, err, syscall.ELOOP)
			}
			content, err := os.ReadFile(victim)
			require.NoError(t, err)
			require.Equal(t, "precious", string(content))
			info, err := os.Stat(victim)
			require.NoError(t, err)
			require.Equal(t, fs.FileMode(0o644), info.Mode())
		})
	}
}

func TestOpenLeaksNothing(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data.db"), []byte("garbage"), 0o600))
	before := descriptors(t)
	for range 20 {
		_, err := store.Open(context.Background(), dir, store.Options{})
		require.ErrorIs(t, err, store.ErrCorrupt)
	}
	require.Equal(t, before, descriptors(t))
}

func descriptors(t testing.TB) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(fds)
}

func TestInterruptedCreation(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data.db.new"), []byte("torn"), 0o600))
	db := open(t, dir, store.Options{})
	put(t, db, "b", "k", "v")
	_, err := os.Stat(filepath.Join(dir, "data.db.new"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}
