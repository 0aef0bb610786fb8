package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// openDir opens path twice: as a root, which keeps names from leading outside, and
// as a file, which can be synced. O_DIRECTORY goes first because the root is opened
// without it, and an open of a FIFO would wait for a writer.
func openDir(path string) (*Dir, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return pair(root, file)
}

// openSub is openDir for one name in d.
func (d *Dir) openSub(name string) (*Dir, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() == fs.ModeSymlink {
		return nil, ErrSymlink
	}
	file, err := d.root.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	sub, err := pair(root, file)
	if err != nil {
		return nil, err
	}
	// A link may have taken the name after it was looked at.
	if opened, err := file.Stat(); err != nil || !os.SameFile(info, opened) {
		return nil, errors.Join(err, fmt.Errorf("directory changed while it was opened: %w", unix.ESTALE), sub.Close())
	}
	return sub, nil
}

// pair makes a Dir of two handles, which it closes when they are not of one directory.
func pair(root *os.Root, file *os.File) (*Dir, error) {
	a, err := root.Stat(".")
	b, fileErr := file.Stat()
	if err = errors.Join(err, fileErr); err == nil && !os.SameFile(a, b) {
		err = fmt.Errorf("directory changed while it was opened: %w", unix.ESTALE)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close(), file.Close())
	}
	return &Dir{root, file}, nil
}

// write does what WriteFile promises. committed means that an error came after the
// new file had become visible.
func (d *Dir) write(name string, data []byte, opts Options) (committed bool, err error) {
	mode, err := opts.mode()
	if err != nil {
		return false, err
	}
	if err := checkName(name); err != nil {
		return false, err
	}
	// Checked here too, so that what is refused anyway costs no writing.
	if err := d.checkTarget(name, opts.Exclusive); err != nil {
		return false, err
	}
	temp, err := d.writeTemp(data, mode)
	if err != nil {
		return false, err
	}
	committed, err = d.publish(temp, name, opts.Exclusive)
	if err != nil && !committed {
		err = errors.Join(err, d.root.Remove(temp))
	}
	return committed, err
}

// writeTemp writes a temporary file and syncs it. It returns the file's name; on an
// error there is no such file.
//
// renameio supplies the random name and the removal. Its own commit is not used:
// it replaces symbolic links, it cannot be exclusive and it does not sync the
// directory. Nor are its permission options, which leave the file behind when
// chmod fails.
func (d *Dir) writeTemp(data []byte, mode fs.FileMode) (name string, err error) {
	f, err := renameio.NewPendingFile(TempPrefix[1:], renameio.WithRoot(d.root))
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		// After the write, which clears the set-user-id bit of an ordinary user's file.
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		// Before the rename: some network file systems report a full disk only here.
		err = f.File.Close()
	}
	if err == nil {
		return filepath.Base(f.Name()), nil
	}
	if cleanErr := f.Cleanup(); cleanErr != nil && !errors.Is(cleanErr, fs.ErrClosed) {
		err = errors.Join(err, cleanErr)
	}
	return "", err
}

// publish renames oldname to newname and makes that durable.
func (d *Dir) publish(oldname, newname string, exclusive bool) (committed bool, err error) {
	if err := d.checkTarget(newname, exclusive); err != nil {
		return false, err
	}
	if exclusive {
		committed, err = d.renameNoReplace(oldname, newname)
	} else {
		err = d.at("renameat", newname, func(fd int) error {
			return unix.Renameat(fd, oldname, fd, newname)
		})
	}
	if err != nil {
		return committed, err
	}
	if err := d.sync(); err != nil {
		return true, err
	}
	return false, nil
}

// renameNoReplace renames unless newname exists, which is fs.ErrExist.
func (d *Dir) renameNoReplace(oldname, newname string) (committed bool, err error) {
	err = d.at("renameat2", newname, func(fd int) error {
		return unix.Renameat2(fd, oldname, fd, newname, unix.RENAME_NOREPLACE)
	})
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return false, err
	}
	// The file system has no such rename. A link is as exclusive, in two steps.
	err = d.at("linkat", newname, func(fd int) error {
		return unix.Linkat(fd, oldname, fd, newname, 0)
	})
	if err != nil {
		return false, err
	}
	if err := d.root.Remove(oldname); err != nil {
		return true, err
	}
	return false, nil
}

// mkdir does what Mkdir promises.
func (d *Dir) mkdir(name string, mode fs.FileMode) (committed bool, err error) {
	if mode&^modeBits != 0 {
		return false, ErrInvalid
	}
	if err := checkName(name); err != nil {
		return false, err
	}
	if err := d.root.Mkdir(name, 0o700); err != nil {
		return false, err
	}
	if err := d.finishDir(name, mode); err != nil {
		// Nobody else has had a reason to put anything into it.
		if removeErr := d.root.Remove(name); removeErr != nil {
			return true, errors.Join(err, removeErr)
		}
		return false, err
	}
	if err := d.sync(); err != nil {
		return true, err
	}
	return false, nil
}

// finishDir sets the mode of a directory just made and makes that durable.
func (d *Dir) finishDir(name string, mode fs.FileMode) error {
	const flags = os.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW
	f, err := d.root.OpenFile(name, flags, 0)
	if errors.Is(err, fs.ErrPermission) {
		// The umask may have taken even the owner's right to read it.
		if err := d.root.Chmod(name, 0o700); err != nil {
			return err
		}
		f, err = d.root.OpenFile(name, flags, 0)
	}
	if err != nil {
		return err
	}
	sub := Dir{file: f}
	return errors.Join(f.Chmod(mode), sub.sync(), f.Close())
}

// at runs a system call on the descriptor of d, again when a signal interrupts it.
func (d *Dir) at(op, name string, call func(fd int) error) error {
	conn, err := d.file.SyscallConn()
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
		return &fs.PathError{Op: op, Path: name, Err: callErr}
	}
	return nil
}
