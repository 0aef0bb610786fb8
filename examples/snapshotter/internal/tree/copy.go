package tree

import (
	"errors"
	"fmt"
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
		content, err := from.ReadFile(name)
		if err != nil {
			return err
		}
		if err := to.WriteFile(name, content, 0o600); err != nil {
			return err
		}
	}
	return to.Chmod(name, info.Mode().Perm())
}
