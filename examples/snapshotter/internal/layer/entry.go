package layer

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Bounds of Linux. Longer paths could be built step by step, but no program could
// name them afterwards.
const (
	maxName = 255
	maxPath = 4095
)

// clean returns name in the shortest form, relative to the root.
func clean(name string) (string, error) {
	if name == "" || len(name) > maxPath || strings.ContainsRune(name, 0) {
		return "", ErrName
	}
	if path.IsAbs(name) {
		return "", ErrEscape
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", ErrEscape
		}
		if len(part) > maxName {
			return "", ErrName
		}
	}
	return path.Clean(name), nil
}

// parents makes the directories on the way to an entry that have none of their own.
// A link on the way is followed as far as it stays below the root.
func (u *unpacker) parents(dir string) error {
	if dir == "." {
		return nil
	}
	info, err := u.root.Stat(dir)
	if err == nil && !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrExist}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := u.parents(path.Dir(dir)); err != nil {
		return err
	}
	return u.mkdir(dir, 0o755)
}

// mkdir makes a directory with exactly this mode, whatever the umask.
func (u *unpacker) mkdir(name string, perm fs.FileMode) error {
	if err := u.root.Mkdir(name, 0o700); err != nil {
		return err
	}
	return u.root.Chmod(name, perm|0o700)
}

func (u *unpacker) directory(name string, perm fs.FileMode) error {
	if info, err := u.root.Lstat(name); err == nil && info.IsDir() {
		return u.root.Chmod(name, perm|0o700)
	}
	if err := u.root.RemoveAll(name); err != nil {
		return err
	}
	return u.mkdir(name, perm)
}

func (u *unpacker) file(name string, header *tar.Header, content io.Reader) error {
	// The size is checked before anything is written: that of a sparse file costs
	// the archive nothing.
	if u.left.Bytes -= header.Size; u.left.Bytes < 0 {
		return ErrLimit
	}
	if err := u.root.RemoveAll(name); err != nil {
		return err
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Chmod(header.FileInfo().Mode().Perm()|0o600), f.Close())
}

// symlink makes the link as the archive has it, even one that points out of the
// root: it is content. What must not happen is that a later entry goes through it,
// and that os.Root sees to.
func (u *unpacker) symlink(name, target string) error {
	if err := u.root.RemoveAll(name); err != nil {
		return err
	}
	return u.root.Symlink(target, name)
}

func (u *unpacker) link(name, target string) error {
	target, err := clean(target)
	if err != nil {
		return err
	}
	if target == name {
		return ErrName
	}
	if err := u.root.RemoveAll(name); err != nil {
		return err
	}
	return u.root.Link(target, name)
}
