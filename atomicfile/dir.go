package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// A Dir is an open directory whose entries are changed durably. It goes on meaning
// the same directory when that is renamed, or when something is mounted over its
// path. Its methods may be called from several goroutines at once. Their errors
// are *Error; after Close they are fs.ErrClosed.
//
// The names that its methods take are single path elements; any other is
// ErrInvalid.
type Dir struct {
	root *os.Root
	file *os.File // the same directory, to sync it and to rename in it
}

// OpenDir opens the directory at path. Symbolic links are followed.
func OpenDir(path string) (*Dir, error) {
	d, err := openDir(path)
	return d, wrap("open", path, false, err)
}

// Root returns the directory for access to everything below it. It is closed by
// Close. What is changed through it is not synced.
func (d *Dir) Root() *os.Root { return d.root }

// OpenDir opens the directory called name in d. A symbolic link is ErrSymlink.
func (d *Dir) OpenDir(name string) (*Dir, error) {
	if err := checkName(name); err != nil {
		return nil, wrap("open", name, false, err)
	}
	sub, err := d.openSub(name)
	return sub, wrap("open", name, false, err)
}

// WriteFile makes data the content of the file called name, as the function
// WriteFile does.
func (d *Dir) WriteFile(name string, data []byte, opts Options) error {
	committed, err := d.write(name, data, opts)
	return wrap("write", name, committed, err)
}

// Mkdir makes a directory of exactly this mode, whatever the umask, durably on nil.
// Until then it is there with the mode 0700, which a crash can leave. The error is
// fs.ErrExist when the name is taken; the directory that has it may then still be one
// whose name is not durable yet.
func (d *Dir) Mkdir(name string, mode fs.FileMode) error {
	committed, err := d.mkdir(name, mode)
	return wrap("mkdir", name, committed, err)
}

// Remove removes the file or the empty directory called name; of a symbolic link
// the link itself. Its absence is durable on nil, and also when the error is
// fs.ErrNotExist and not Committed: the process that removed it may have died
// before it synced the directory.
func (d *Dir) Remove(name string) error {
	if err := checkName(name); err != nil {
		return wrap("remove", name, false, err)
	}
	err := d.root.Remove(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return wrap("remove", name, false, err)
	}
	if syncErr := d.sync(); syncErr != nil {
		return wrap("remove", name, true, errors.Join(err, syncErr))
	}
	return wrap("remove", name, false, err)
}

// Rename gives the entry oldname the name newname, durably on nil. A regular file
// of that name is replaced; a symbolic link is ErrSymlink and anything else
// ErrNotRegular. The content of the entry is durable only if its writer synced it.
func (d *Dir) Rename(oldname, newname string) error {
	if err := errors.Join(checkName(oldname), checkName(newname)); err != nil {
		return wrap("rename", newname, false, ErrInvalid)
	}
	committed, err := d.publish(oldname, newname, false)
	return wrap("rename", newname, committed, err)
}

// Sync makes durable every change of an entry that was finished before the call.
func (d *Dir) Sync() error {
	return wrap("sync", d.root.Name(), false, d.sync())
}

// Close releases the directory. A second Close does nothing.
func (d *Dir) Close() error {
	err := errors.Join(d.root.Close(), d.file.Close())
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return wrap("close", d.root.Name(), false, err)
}

// sync makes the entries of d durable as far as the file system can.
func (d *Dir) sync() error {
	err := d.file.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// checkTarget refuses a name that must not be replaced.
func (d *Dir) checkTarget(name string, exclusive bool) error {
	info, err := d.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() == fs.ModeSymlink && exclusive:
		return errors.Join(ErrSymlink, fs.ErrExist)
	case info.Mode().Type() == fs.ModeSymlink:
		return ErrSymlink
	case exclusive:
		return fs.ErrExist
	case !info.Mode().IsRegular():
		return ErrNotRegular
	}
	return nil
}
