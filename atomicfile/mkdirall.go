package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// MkdirAll makes the directory at path and the missing ones above it, each of
// exactly this mode, whatever the umask. On nil all of them are durable, also those
// that an earlier call made and did not live to sync. Existing directories keep
// their mode. An element of the path that is a file is syscall.ENOTDIR. On an error,
// which is an *Error, some of the directories may exist.
func MkdirAll(path string, mode fs.FileMode) error {
	if path == "" || mode&^modeBits != 0 {
		return wrap("mkdir", path, false, ErrInvalid)
	}
	missing, existing, err := split(filepath.Clean(path))
	if err != nil {
		return wrap("mkdir", path, false, err)
	}
	if err := syncParent(existing); err != nil {
		return wrap("mkdir", path, false, cause(err))
	}
	for i := len(missing) - 1; i >= 0; i-- {
		made := filepath.Join(existing, missing[i])
		if err := mkdirIn(existing, missing[i], mode); err != nil {
			var e *Error
			return wrap("mkdir", made, errors.As(err, &e) && e.Committed, cause(err))
		}
		existing = made
	}
	return nil
}

// split divides path into the part that exists and the names that are missing,
// innermost first.
func split(path string) (missing []string, existing string, err error) {
	for {
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			return missing, path, nil
		}
		if err == nil {
			return nil, "", &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, "", err
		}
		switch info, err := os.Lstat(path); {
		case err == nil && info.Mode().Type() == fs.ModeSymlink:
			// It exists and leads nowhere.
			return nil, "", &fs.PathError{Op: "mkdir", Path: path, Err: ErrSymlink}
		case err == nil:
			continue // somebody has just made it
		}
		missing = append(missing, filepath.Base(path))
		path = filepath.Dir(path)
	}
}

// syncParent makes the name of an existing directory durable: whoever made it may
// have died before that. Only the innermost one can be in this state, since the
// others were synced before it was made. A parent that may not be read was not
// left so by this package, which reads each before it makes anything in it.
func syncParent(path string) error {
	parent, err := OpenDir(filepath.Join(path, ".."))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// mkdirIn makes one directory. Another process may be faster: that is no error,
// but whether its work is durable is not known, so it is synced here as well.
func mkdirIn(parent, name string, mode fs.FileMode) error {
	d, err := OpenDir(parent)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	err = d.Mkdir(name, mode)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(filepath.Join(parent, name))
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: filepath.Join(parent, name), Err: syscall.ENOTDIR}
	}
	return d.Sync()
}
