package backing

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

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
	err = onBoth(dst, src, "ficlone", "", shareBlocks)
	for _, unable := range []error{unix.EOPNOTSUPP, unix.EXDEV, unix.EINVAL, unix.ENOTTY, unix.ENOSYS} {
		if errors.Is(err, unable) {
			return copyData(ctx, src, dst, opened.Size)
		}
	}
	return err
}

// shareBlocks makes an empty file share its blocks with another.
func shareBlocks(to, from int) error { return unix.IoctlFileClone(to, from) }

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
