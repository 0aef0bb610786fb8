//go:build linux && (amd64 || arm64)

package record_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
)

const shared = unix.MAP_SHARED

// mapFile maps the file f of the directory.
func mapFile(name string, open, prot, flags int) ([]byte, error) {
	fd, err := unix.Open(name, open|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.Mmap(fd, 0, 8192, prot, flags)
}

var blindParts = map[string]string{
	"writable shared map": "f",
	"made writable later": "f",
	"made before":         "f",
	"private":             "",
	"read-only":           "",
	"of another file":     "",
	"anonymous":           "",
	"protects other":      "",
}

func init() {
	const rw = unix.PROT_READ | unix.PROT_WRITE
	for name, play := range map[string]func(dir string) error{
		"writable shared map": func(dir string) error { return ignore(mapFile(dir+"/f", unix.O_RDWR, rw, shared)) },
		"made writable later": func(dir string) error {
			m, err := mapFile(dir+"/f", unix.O_RDWR, unix.PROT_READ, shared)
			return first(err, unix.Mprotect(m[4096:], rw))
		},
		"private":         func(dir string) error { return ignore(mapFile(dir+"/f", unix.O_RDWR, rw, unix.MAP_PRIVATE)) },
		"read-only":       func(dir string) error { return ignore(mapFile(dir+"/f", unix.O_RDONLY, unix.PROT_READ, shared)) },
		"of another file": func(dir string) error { return ignore(mapFile(dir+"-other", unix.O_RDWR, rw, shared)) },
		"anonymous":       func(string) error { return ignore(unix.Mmap(-1, 0, 4096, rw, shared|unix.MAP_ANON)) },
		"protects other": func(dir string) error {
			_, err := mapFile(dir+"/f", unix.O_RDWR, unix.PROT_READ, shared)
			m, err2 := unix.Mmap(-1, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
			return first(err, err2, unix.Mprotect(m, rw))
		},
	} {
		part("map "+name, play)
	}
	plainPart("map made before", func(dir string) error {
		return first(ignore(mapFile(dir+"/f", unix.O_RDWR, rw, shared)), record.Begin(dir), record.End())
	})
}

// Stores through shared maps are not seen; that they are possible is.
func TestMaps(t *testing.T) {
	for name, path := range blindParts {
		t.Run(name, func(t *testing.T) {
			outer := shm(t)
			dir := outer + "/dir"
			require.NoError(t, os.Mkdir(dir, 0o755))
			for _, f := range []string{dir + "/f", dir + "-other"} {
				require.NoError(t, os.WriteFile(f, make([]byte, 8192), 0o600))
			}
			tr := run(t, "map "+name, dir, record.Options{})
			if path == "" {
				require.Empty(t, tr.Blind)
				return
			}
			require.Len(t, tr.Blind, 1)
			require.Equal(t, record.BlindMap, tr.Blind[0].What)
			require.Equal(t, path, tr.Blind[0].Path)
			require.NotEmpty(t, tr.Sites[tr.Blind[0].Site].Own().Func)
		})
	}
}

var partLocks = part("locks", func(dir string) error {
	name := dir + "/lock"
	tryLock := func(flags int, then func(fd int) error) error {
		return openThen(name, flags|unix.O_RDWR, func(fd int) error {
			return first(unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB), then(fd))
		})
	}
	other := func(int) error {
		out, err := exec.Command("flock", "-n", "-E", "9", name, "true").CombinedOutput()
		return first(err, want(len(out) == 0, "%s", out))
	}
	// After each of these calls the file is closed at once, and locked again.
	last := []func(fd int) error{
		func(int) error { return nil },
		func(fd int) error { return ignore(unix.Pwrite(fd, []byte("mine"), 0)) },
		unix.Fsync,
		func(fd int) error { return unix.Fchmod(fd, 0o600) },
		func(fd int) error { return unix.Ftruncate(fd, 0) },
	}
	for i := range 100 {
		flags := 0
		if i%len(last) == 0 {
			flags = unix.O_CREAT
		}
		if err := tryLock(flags, last[i%len(last)]); err != nil {
			return fmt.Errorf("lock %d: %w", i, err)
		}
		if i%10 == 0 {
			if err := other(0); err != nil {
				return fmt.Errorf("lock %d of another process: %w", i, err)
			}
		}
	}
	return tryLock(0, func(int) error {
		err := fails(tryLock(0, unix.Fsync), unix.EWOULDBLOCK)
		return first(err, want(other(0) != nil, "the lock did not hold"))
	})
})

// A lock is gone as soon as the program has closed the file: the recorder keeps
// none of its descriptors.
func TestLocks(t *testing.T) {
	run(t, partLocks, shm(t), record.Options{})
}
