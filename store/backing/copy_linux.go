package backing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/store"
)

// A copier copies one tree, entry by entry, through open directories.
type copier struct {
	top    *os.Root         // of the copy
	mount  mountID          // of the original; no other is entered
	links  map[inode]string // where entries with several links were put
	xattrs xattrCopier
}

// An inode identifies an entry whatever its names.
type inode struct{ device, number uint64 }

// copyTree copies the content of the device directory from into that of to, where
// data is open already.
func copyTree(ctx context.Context, from, to *os.File, data *os.Root) error {
	mount, err := mountOf(from)
	if err != nil {
		return err
	}
	st, err := statAt(from, dataName)
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return &fs.PathError{Op: "copy", Path: filepath.Join(from.Name(), dataName), Err: store.ErrCorrupt}
	}
	c := copier{top: data, mount: mount, links: map[inode]string{}}
	if err := c.copyDir(ctx, from, to, dataName, ""); err != nil {
		return err
	}
	return c.copyAttributes(from, to, dataName, &st)
}

// copyDir copies the entries of the directory called name, which exists in both. rel
// is its path below the top.
func (c *copier) copyDir(ctx context.Context, from, to *os.File, name, rel string) (err error) {
	src, err := openTree(from, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if err := sameMount(src, c.mount); err != nil {
		return err
	}
	dst, err := openTree(to, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	names, err := src.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.copyEntry(ctx, src, dst, name, path.Join(rel, name)); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) copyEntry(ctx context.Context, from, to *os.File, name, rel string) error {
	st, err := statAt(from, name)
	if err != nil {
		return err
	}
	kind := st.Mode & unix.S_IFMT
	id := inode{uint64(st.Dev), st.Ino}
	linked := st.Nlink > 1 && kind != unix.S_IFDIR
	if first, ok := c.links[id]; ok && linked {
		return c.top.Link(first, rel)
	}
	switch kind {
	case unix.S_IFDIR:
		err = on(to, "mkdirat", name, func(fd int) error { return unix.Mkdirat(fd, name, uint32(dirMode)) })
		if err == nil {
			// The umask may take even the owner's rights, which are needed to fill it.
			err = on(to, "fchmodat", name, func(fd int) error { return unix.Fchmodat(fd, name, uint32(dirMode), 0) })
		}
		if err == nil {
			err = c.copyDir(ctx, from, to, name, rel)
		}
	case unix.S_IFREG:
		err = copyFile(ctx, from, to, name, &st)
	case unix.S_IFLNK:
		err = copyLink(from, to, name, st.Size)
	default: // FIFO, socket, device
		err = on(to, "mknodat", name, func(fd int) error {
			return unix.Mknodat(fd, name, kind|uint32(fileMode), int(st.Rdev))
		})
	}
	if err != nil {
		return err
	}
	if linked {
		c.links[id] = rel
	}
	return c.copyAttributes(from, to, name, &st)
}

// copyAttributes gives the copy the owner, the extended attributes, the mode and the
// times of the original, in an order in which none undoes another: a change of owner
// clears the set-user-id bit and the capabilities.
func (c *copier) copyAttributes(from, to *os.File, name string, st *unix.Stat_t) error {
	made, err := statAt(to, name)
	if err != nil {
		return err
	}
	if made.Uid != st.Uid || made.Gid != st.Gid {
		err := on(to, "fchownat", name, func(fd int) error {
			return unix.Fchownat(fd, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW)
		})
		if err != nil {
			return err
		}
	}
	if err := c.xattrs.copy(from, to, name); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		// Nobody else can reach the copy, so the name means what was made.
		err := on(to, "fchmodat", name, func(fd int) error { return unix.Fchmodat(fd, name, st.Mode&0o7777, 0) })
		if err != nil {
			return err
		}
	}
	times := []unix.Timespec{st.Atim, st.Mtim}
	return on(to, "utimensat", name, func(fd int) error {
		return unix.UtimesNanoAt(fd, name, times, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// copyLink makes a symbolic link with the same text.
func copyLink(from, to *os.File, name string, size int64) error {
	text := make([]byte, size+1) // one more, to see that it has not grown
	var n int
	err := on(from, "readlinkat", name, func(fd int) (err error) {
		n, err = unix.Readlinkat(fd, name, text)
		return err
	})
	if err != nil {
		return err
	}
	if int64(n) != size {
		return changed(from, name)
	}
	return on(to, "symlinkat", name, func(fd int) error { return unix.Symlinkat(string(text[:n]), fd, name) })
}

// changed is the error of an original that somebody writes to.
func changed(dir *os.File, name string) error {
	return &fs.PathError{Op: "copy", Path: filepath.Join(dir.Name(), name), Err: fmt.Errorf("changed meanwhile: %w", store.ErrBusy)}
}
