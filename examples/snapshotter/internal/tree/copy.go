package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Copy makes dst, an empty directory, an equal of src. An error leaves it half done.
func Copy(dst, src string) (err error) {
	from, err := os.OpenRoot(src)
	if err != nil {
		return fmt.Errorf("copy tree: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := os.OpenRoot(dst)
	if err != nil {
		return fmt.Errorf("copy tree: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return fs.WalkDir(from.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		return copyNode(to, from, name)
	})
}

func copyNode(to, from *os.Root, name string) error {
	info, err := from.Lstat(name)
	if err != nil {
		return err
	}
	switch {
	case info.IsDir():
		if err := to.Mkdir(name, 0o700); err != nil {
			return err
		}
	case info.Mode().Type() == fs.ModeSymlink:
		target, err := from.Readlink(name)
		if err != nil {
			return err
		}
		return to.Symlink(target, name)
	default:
		if err := copyFile(to, from, name); err != nil {
			return err
		}
	}
	return to.Chmod(name, info.Mode().Perm())
}

func copyFile(to, from *os.Root, name string) error {
	src, err := from.Open(name)
	if err != nil {
		return err
	}
	dst, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(err, src.Close())
	}
	return errors.Join(CopyContent(dst, src), dst.Close(), src.Close())
}

// CopyContent writes what is left in src to dst, a new and empty file. Long runs of
// zeros become holes: what took no room where it comes from takes little here.
func CopyContent(dst *os.File, src io.Reader) error {
	size, err := io.CopyBuffer(holes{dst}, struct{ io.Reader }{src}, make([]byte, len(zeros)))
	if err != nil {
		return err
	}
	return dst.Truncate(size) // for a hole at the end
}

var zeros [64 << 10]byte

// holes skips writes of nothing but zeros, in a file where there is nothing yet.
type holes struct{ f *os.File }

func (h holes) Write(p []byte) (int, error) {
	if !bytes.Equal(p, zeros[:len(p)]) {
		return h.f.Write(p)
	}
	if _, err := h.f.Seek(int64(len(p)), io.SeekCurrent); err != nil {
		return 0, err
	}
	return len(p), nil
}
