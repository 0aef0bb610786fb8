package tree

import (
	"errors"

	"golang.org/x/sys/unix"
)

func (w *writer) file(in int, name, path string, n *node) error {
	fd, err := unix.Openat(in, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return w.fail("create", path, err)
	}
	err = w.fill(fd, path, n)
	if closed := unix.Close(fd); err == nil {
		err = w.fail("close", path, closed)
	}
	return err
}

func (w *writer) fill(fd int, path string, n *node) error {
	if err := w.contents(fd, n); err != nil {
		return w.fail("write", path, err)
	}
	if err := w.xattrs(fd, path, n); err != nil {
		return err
	}
	if w.chowns(n) {
		if err := unix.Fchown(fd, int(n.UID), int(n.GID)); err != nil {
			return w.fail("chown", path, err)
		}
	}
	return w.fail("chmod", path, unix.Fchmod(fd, n.Mode&modePerm))
}

// contents writes runs of blocks, and the size if a hole is last.
func (w *writer) contents(fd int, n *node) error {
	end := int64(0)
	for _, c := range n.chunks {
		for i := 0; i < chunkBlocks; i++ {
			from := i
			w.iov = w.iov[:0]
			off := c.index*chunkSize + int64(i)*BlockSize
			at := off
			for i < chunkBlocks && c.blocks[i] != nil {
				w.iov = append(w.iov, c.blocks[i].data[:min(BlockSize, n.size-at)])
				at += int64(len(w.iov[i-from]))
				i++
			}
			if len(w.iov) == 0 {
				continue
			}
			if err := writeAll(fd, w.iov, off); err != nil {
				return err
			}
			end = at
		}
	}
	if end == n.size {
		return nil
	}
	return unix.Ftruncate(fd, n.size)
}

// writeAll goes on after a short write, and after a signal.
func writeAll(fd int, iov [][]byte, off int64) error {
	for len(iov) > 0 {
		n, err := unix.Pwritev(fd, iov, off)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return unix.EIO
		}
		off += int64(n)
		for len(iov) > 0 && n >= len(iov[0]) {
			n -= len(iov[0])
			iov = iov[1:]
		}
		if n > 0 {
			iov[0] = iov[0][n:]
		}
	}
	return nil
}
