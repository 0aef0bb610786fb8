package layer

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

// Bounds of Linux. Longer paths could be built step by step, but no program could
// name them afterwards.
const (
	maxName = 255
	maxPath = 4095
)

// maxDepth bounds the components of a path. Every access goes through all of them,
// one at a time, so without a bound a small archive could keep a machine busy.
const maxDepth = 128

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
	name = path.Clean(name)
	if strings.Count(name, "/") >= maxDepth {
		return "", ErrName
	}
	return name, nil
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
	if err := u.remove(name); err != nil {
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
	if err := u.remove(name); err != nil {
		return err
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = tree.CopyContent(f, content)
	return errors.Join(err, f.Chmod(header.FileInfo().Mode().Perm()|0o600), f.Close())
}

// symlink makes the link as the archive has it, even one that points out of the
// root: it is content. What must not happen is that a later entry goes through it,
// and that os.Root sees to.
func (u *unpacker) symlink(name, target string) error {
	if err := u.remove(name); err != nil {
		return err
	}
	return u.root.Symlink(target, name)
}

func (u *unpacker) link(name, target string) error {
	target, err := clean(target)
	if err != nil {
		return err
	}
	dir, err := u.resolve(path.Dir(target), false)
	if err != nil {
		return err
	}
	target = path.Join(dir, path.Base(target))
	if target == name {
		return ErrName
	}
	if target == OwnerFile {
		return ErrReserved
	}
	if err := u.remove(name); err != nil {
		return err
	}
	return u.root.Link(target, name)
}
