package backing

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// copyFile copies the content of a regular file.
func copyFile(ctx context.Context, from, to *os.File, name string, st *unix.Stat_t) (err error) {
	src, err := openAt(from, name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	var opened unix.Stat_t
	err = on(src, "fstat", "", func(fd int) error { return unix.Fstat(fd, &opened) })
	if err != nil {
		return err
	}
	if opened.Dev != st.Dev || opened.Ino != st.Ino {
		return changed(from, name)
	}
	dst, err := openAt(to, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, uint32(fileMode))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	err = on(dst, "ficlone", "", func(fd int) error {
		return on(src, "ficlone", "", func(srcFD int) error { return unix.IoctlFileClone(fd, srcFD) })
	})
	for _, unable := range []error{unix.EOPNOTSUPP, unix.EXDEV, unix.EINVAL, unix.ENOTTY, unix.ENOSYS} {
		if errors.Is(err, unable) {
			return copyData(ctx, src, dst, opened.Size)
		}
	}
	return err
}

// copyData copies what is data and leaves holes as holes.
func copyData(ctx context.Context, src, dst *os.File, size int64) error {
	const chunk = 8 << 20 // ctx is looked at between two
	if err := dst.Truncate(size); err != nil {
		return err
	}
	for at := int64(0); at < size; {
		begin, end, err := nextData(src, at, size)
		if err != nil {
			return err
		}
		for at = begin; at < end; {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := src.Seek(at, io.SeekStart); err != nil {
				return err
			}
			if _, err := dst.Seek(at, io.SeekStart); err != nil {
				return err
			}
			n, err := io.CopyN(dst, src, min(chunk, end-at))
			if errors.Is(err, io.EOF) {
				return changed(src, "")
			}
			if err != nil {
				return err
			}
			at += n
		}
	}
	return nil
}

// nextData returns the next stretch of data from at on; begin is size when only a
// hole is left. A file system that knows no holes has one stretch.
func nextData(f *os.File, at, size int64) (begin, end int64, err error) {
	begin, err = f.Seek(at, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return size, size, nil
	case errors.Is(err, unix.EINVAL):
		return at, size, nil
	case err != nil:
		return 0, 0, err
	}
	end, err = f.Seek(begin, unix.SEEK_HOLE)
	return min(begin, size), min(end, size), err
}

// changed is the error of an original that somebody writes to.
func changed(dir *os.File, name string) error {
	return &fs.PathError{Op: "copy", Path: filepath.Join(dir.Name(), name), Err: fmt.Errorf("changed meanwhile: %w", store.ErrBusy)}
}
