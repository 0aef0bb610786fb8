package faultfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// scratchPrefix is what the names of scratch directories begin with.
const scratchPrefix = "faultfs-"

// scratch makes the directory that holds everything of one call, and returns how to
// remove it. It also removes those of processes that were killed: each holds a lock
// in its own.
func scratch(base string) (dir string, remove func(), err error) {
	bases := []string{base}
	if base == "" {
		bases = []string{"/dev/shm", os.TempDir()}
	}
	for _, base := range bases {
		if dir, err = os.MkdirTemp(base, scratchPrefix); err == nil {
			break
		}
	}
	if err != nil {
		return "", nil, fmt.Errorf("make a directory for states: %w", err)
	}
	if dir, err = filepath.Abs(dir); err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", nil, fmt.Errorf("resolve the directory for states: %w", err)
	}
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err == nil {
		err = tryLock(lock)
	}
	if err == nil {
		_, err = lock.WriteString(lockText)
	}
	if err != nil {
		_ = removeAll(dir)
		return "", nil, fmt.Errorf("lock the directory for states: %w", err)
	}
	removeStale(filepath.Dir(dir))
	return dir, func() {
		_ = removeAll(dir)
		_ = lock.Close()
	}, nil
}

// lockText is in the file whose lock says that a scratch directory is in use: a
// directory without it is somebody's own, whatever its name.
const lockText = "in use by faultfs while it is locked\n"

// staleAfter is how old a scratch directory without a lock must be to have been left
// behind.
const staleAfter = time.Minute

// removeStale removes scratch directories that nobody holds the lock of, as far as
// this user may.
func removeStale(base string) {
	dirs, _ := filepath.Glob(filepath.Join(base, scratchPrefix+"*"))
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < staleAfter || !isOurs(info) {
			continue
		}
		lock, err := os.Open(filepath.Join(dir, "lock"))
		if err != nil {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(lock, int64(len(lockText)+1)))
		if err == nil && string(text) == lockText && tryLock(lock) == nil {
			_ = removeAll(dir)
		}
		_ = lock.Close()
	}
}

// errFull is returned when what Verify says can be about the directory for states.
var errFull = errors.New("the file system of the directory for states is full: give another with the option In")

// isFull reports whether next to nothing can be written in dir.
func isFull(dir string) bool {
	err := os.WriteFile(filepath.Join(dir, "probe"), make([]byte, 64<<10), 0o600)
	_ = os.Remove(filepath.Join(dir, "probe"))
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// removeAll removes dir with what a state can hold, directories without
// permissions among it.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
