package store

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openAt opens name below dir. It refuses a symbolic link there with ELOOP, and a
// file that it makes has exactly the given mode.
func openAt(dir *os.File, name string, flags int, mode os.FileMode) (*os.File, error) {
	path := filepath.Join(dir.Name(), name)
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(mode.Perm()))
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	if flags&os.O_CREATE != 0 {
		if err := setMode(f, mode); err != nil {
			_ = f.Close() // the error that matters is the first
			return nil, err
		}
	}
	return f, nil
}

// setMode undoes what an unusual umask has taken from the mode of a new file. It is
// durable before the file is used: the flushes of data that follow do not carry it.
func setMode(f *os.File, mode os.FileMode) error {
	info, err := f.Stat()
	if err != nil || info.Mode().Perm() == mode {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	return f.Sync()
}

func removeAt(dir *os.File, name string) error {
	if err := unix.Unlinkat(int(dir.Fd()), name, 0); err != nil {
		return &os.PathError{Op: "remove", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	return nil
}

func renameAt(dir *os.File, from, to string) error {
	if err := unix.Renameat(int(dir.Fd()), from, int(dir.Fd()), to); err != nil {
		return &os.LinkError{Op: "rename", Old: filepath.Join(dir.Name(), from), New: to, Err: err}
	}
	return nil
}

// dropCache makes the kernel forget what it has cached of f, so that the next read
// shows what the disk holds. f has been synced.
func dropCache(f *os.File) error {
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return &os.PathError{Op: "fadvise", Path: f.Name(), Err: err}
	}
	return nil
}
