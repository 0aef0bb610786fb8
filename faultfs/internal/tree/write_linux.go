package tree

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Write makes what t holds in dir, which must be empty and becomes the root. Holes
// stay holes and links links. Owners are set only by root. If a file has extended
// attributes and the file system of dir does not, that is an error. After an error
// dir holds a part.
func (t *Tree) Write(dir string) error {
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("write tree: %w", &fs.PathError{Op: "open", Path: dir, Err: err})
	}
	w := writer{t: t, dir: dir, fds: []int{fd}, uid: os.Geteuid(), gid: os.Getegid(), first: map[int]string{}}
	defer func() { w.leave(0) }()
	var failed error
	t.Paths(func(e Entry, path string) bool {
		failed = w.entry(e, path)
		return failed == nil
	})
	if failed == nil {
		failed = w.closeDirs()
	}
	if failed != nil {
		return fmt.Errorf("write tree: %w", failed)
	}
	return nil
}

type writer struct {
	t        *Tree
	dir      string
	fds      []int // of the directories on the way to the current one, by depth
	uid, gid int
	first    map[int]string // Order to path
	dirs     []madeDir
	iov      [][]byte
}

type madeDir struct {
	path string
	node *node
}

// leave closes directories until only n are open.
func (w *writer) leave(n int) {
	for len(w.fds) > n {
		_ = unix.Close(w.fds[len(w.fds)-1]) // a directory: nothing is lost
		w.fds = w.fds[:len(w.fds)-1]
	}
}

func (w *writer) fail(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: filepath.Join(w.dir, path), Err: err}
}

func (w *writer) entry(e Entry, path string) error {
	n := w.t.nodes[e.Ino]
	if e.Depth == 0 {
		return w.root(n)
	}
	w.leave(e.Depth)
	in := w.fds[e.Depth-1]
	if e.Linked > 0 {
		return w.reach(w.first[e.Linked], func(dir int, first string) error {
			return w.fail("link", path, unix.Linkat(dir, first, in, e.Name, 0))
		})
	}
	if !n.isDir() {
		w.first[e.Order] = path
	}
	switch n.Mode & ModeType {
	case ModeDir:
		return w.mkdir(in, e.Name, path, n)
	case ModeRegular:
		return w.file(in, e.Name, path, n)
	case ModeSymlink:
		if err := unix.Symlinkat(n.Target, in, e.Name); err != nil {
			return w.fail("symlink", path, err)
		}
	default:
		if err := unix.Mknodat(in, e.Name, n.Mode, int(n.Rdev)); err != nil {
			return w.fail("mknod", path, err)
		}
	}
	return w.special(in, e.Name, path, n)
}

// root takes the directory over. Without its setgid bit, what is made in it gets
// the group of the process.
func (w *writer) root(n *node) error {
	w.dirs = append(w.dirs, madeDir{".", n})
	if err := unix.Fchmod(w.fds[0], 0o700); err != nil {
		return w.fail("chmod", ".", err)
	}
	return w.xattrs(w.fds[0], ".", n)
}

func (w *writer) mkdir(in int, name, path string, n *node) error {
	if err := unix.Mkdirat(in, name, 0o700); err != nil {
		return w.fail("mkdir", path, err)
	}
	fd, err := unix.Openat(in, name, unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return w.fail("open", path, err)
	}
	w.fds = append(w.fds, fd)
	w.dirs = append(w.dirs, madeDir{path, n})
	return w.xattrs(fd, path, n)
}

// closeDirs sets owners and modes of directories, children first: a mode can shut
// the writer out.
func (w *writer) closeDirs() error {
	for i := len(w.dirs) - 1; i >= 0; i-- {
		d := w.dirs[i]
		mode := d.node.Mode & modePerm
		if mode == 0o700 && !w.chowns(d.node) {
			continue
		}
		err := w.reach(d.path, func(dir int, path string) error {
			if w.chowns(d.node) {
				if err := unix.Fchownat(dir, path, int(d.node.UID), int(d.node.GID), unix.AT_SYMLINK_NOFOLLOW); err != nil {
					return w.fail("chown", d.path, err)
				}
			}
			return w.fail("chmod", d.path, unix.Fchmodat(dir, path, mode, 0))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// reach calls do with path as the kernel takes it: not too long, from a directory.
func (w *writer) reach(path string, do func(dir int, path string) error) error {
	dir, rest := w.fds[0], path
	for len(rest) >= unix.PathMax {
		end := strings.LastIndexByte(rest[:unix.PathMax], '/')
		fd, err := unix.Openat(dir, rest[:end], unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if dir != w.fds[0] {
			_ = unix.Close(dir) // only looked through
		}
		if err != nil {
			return w.fail("open", path, err)
		}
		dir, rest = fd, rest[end+1:]
	}
	if dir != w.fds[0] {
		defer func() { _ = unix.Close(dir) }()
	}
	return do(dir, rest)
}

func (w *writer) chowns(n *node) bool {
	return w.uid == 0 && (int(n.UID) != w.uid || int(n.GID) != w.gid)
}

// special sets what a file that is not opened has.
func (w *writer) special(in int, name, path string, n *node) error {
	if len(n.xattrs) > 0 {
		return w.fail("set xattr", path, unix.ENOTSUP)
	}
	if w.chowns(n) {
		if err := unix.Fchownat(in, name, int(n.UID), int(n.GID), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return w.fail("chown", path, err)
		}
	}
	if n.Mode&ModeType == ModeSymlink {
		return nil
	}
	return w.fail("chmod", path, unix.Fchmodat(in, name, n.Mode&modePerm, 0))
}

func (w *writer) xattrs(fd int, path string, n *node) error {
	for _, x := range n.xattrs {
		if err := unix.Fsetxattr(fd, x.name, []byte(x.value), 0); err != nil {
			return w.fail("set xattr", path, err)
		}
	}
	return nil
}
