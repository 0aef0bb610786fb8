package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Scan reads the tree below dir. It follows no link and reads every file, so what
// it returns is what the operating system holds and not what somebody noted down.
func Scan(dir string) (Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("scan tree: %w", err)
	}
	t := Tree{}
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		t[name], err = node(root, name)
		return err
	})
	if err := errors.Join(err, root.Close()); err != nil {
		return nil, fmt.Errorf("scan tree %s: %w", dir, err)
	}
	return t, nil
}

func node(root *os.Root, name string) (Node, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return Node{}, err
	}
	n := Node{Mode: info.Mode() & (fs.ModeType | fs.ModePerm)}
	switch {
	case n.Mode.IsRegular():
		f, err := root.Open(name)
		if err != nil {
			return Node{}, err
		}
		n.Data, err = HashOf(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return Node{}, err
		}
	case n.Mode.Type() == fs.ModeSymlink:
		n.Mode = fs.ModeSymlink // its permission bits mean nothing
		if n.Data, err = root.Readlink(name); err != nil {
			return Node{}, err
		}
	}
	return n, nil
}
