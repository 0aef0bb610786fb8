package backing

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/store"
)

// The functions below work on one name in an open directory, which neither leads
// outside nor follows a symbolic link. os.Root does the same but hides its
// descriptor, which renameat2, mknodat, utimensat and statx need.

// on runs a system call on the descriptor of dir, again when a signal interrupts it.
func on(dir *os.File, op, name string, call func(fd int) error) error {
	conn, err := dir.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	err = conn.Control(func(fd uintptr) {
		for {
			callErr = call(int(fd))
			if !errors.Is(callErr, syscall.EINTR) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if callErr != nil {
		return &fs.PathError{Op: op, Path: filepath.Join(dir.Name(), name), Err: callErr}
	}
	return nil
}

// onBoth is on for a system call with two descriptors; name is below the first.
func onBoth(a, b *os.File, op, name string, call func(a, b int) error) error {
	return on(a, op, name, func(aFD int) error {
		var callErr error
		err := on(b, op, "", func(bFD int) error {
			callErr = call(aFD, bFD)
			return nil
		})
		if err == nil {
			err = callErr
		}
		return err
	})
}

// openAt opens one name in dir. The file is named by its whole path.
func openAt(dir *os.File, name string, flags int, mode uint32) (*os.File, error) {
	var opened int
	err := on(dir, "openat", name, func(fd int) (err error) {
		opened, err = unix.Openat(fd, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(opened), filepath.Join(dir.Name(), name)), nil
}

// openTree opens the directory called name.
func openTree(dir *os.File, name string) (*os.File, error) {
	return openAt(dir, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

func statAt(dir *os.File, name string) (st unix.Stat_t, err error) {
	err = on(dir, "fstatat", name, func(fd int) error {
		return unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	})
	return st, err
}

func unlinkAt(dir *os.File, name string, flags int) error {
	return on(dir, "unlinkat", name, func(fd int) error { return unix.Unlinkat(fd, name, flags) })
}

// renameNoReplace moves a name to another directory where nothing has the new one
// yet, else the error is fs.ErrExist. On file systems without such a rename it looks
// before it renames: no two calls are made at once for one id.
func renameNoReplace(from *os.File, oldname string, to *os.File, newname string) error {
	err := onBoth(from, to, "renameat2", oldname, func(fromFD, toFD int) error {
		return unix.Renameat2(fromFD, oldname, toFD, newname, unix.RENAME_NOREPLACE)
	})
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if _, err := statAt(to, newname); err == nil {
		return &fs.PathError{Op: "rename", Path: filepath.Join(to.Name(), newname), Err: unix.EEXIST}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return onBoth(from, to, "renameat", oldname, func(fromFD, toFD int) error {
		return unix.Renameat(fromFD, oldname, toFD, newname)
	})
}

// syncFS writes back the whole file system that holds dir. Errors of write-back are
// reported since Linux 5.8.
func syncFS(dir *os.File) error {
	return on(dir, "syncfs", "", func(fd int) error { return unix.Syncfs(fd) })
}

// A mountID tells mounts apart, bind mounts of one file system too.
type mountID struct{ id, device uint64 }

// mountOf returns the mount that an open file is reached through. Before Linux 5.8
// only the device tells.
func mountOf(f *os.File) (mountID, error) {
	var stx unix.Statx_t
	err := on(f, "statx", "", func(fd int) error {
		return unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &stx)
	})
	if err != nil {
		return mountID{}, err
	}
	m := mountID{device: unix.Mkdev(stx.Dev_major, stx.Dev_minor)}
	if stx.Mask&unix.STATX_MNT_ID != 0 {
		m.id = stx.Mnt_id
	}
	return m, nil
}

// isMount reports whether the directory called name is the root of another mount
// than dir's.
func isMount(dir *os.File, name string) (bool, error) {
	sub, err := openTree(dir, name)
	if err != nil {
		return false, err
	}
	a, err := mountOf(dir)
	b, subErr := mountOf(sub)
	return a != b, errors.Join(err, subErr, sub.Close())
}

// sameMount returns ErrBusy when f is reached through another mount than want.
func sameMount(f *os.File, want mountID) error {
	got, err := mountOf(f)
	if err == nil && got != want {
		err = &fs.PathError{Op: "enter", Path: f.Name(), Err: fmt.Errorf("mounted: %w", store.ErrBusy)}
	}
	return err
}
