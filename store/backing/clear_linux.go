package backing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/store"
)

// maxDepth is how many directories are held open at once. What lies deeper is moved
// up, so that no tree is too deep to be removed.
const maxDepth = 64

// A clearer removes one tree.
type clearer struct {
	top   *os.File // root of the tree
	mount mountID  // that the tree is on; no other is entered
	moved int      // directories moved up to the top
}

// clearTree removes name from dir with everything below it; nil when there is no
// such name. It follows no symbolic links and enters no other mount, which is
// ErrBusy, as is a directory that others go on filling.
func clearTree(ctx context.Context, dir *os.File, name string) error {
	mount, err := mountOf(dir)
	if err != nil {
		return err
	}
	c := clearer{mount: mount}
	return c.clear(ctx, dir, name, 0)
}

func (c *clearer) clear(ctx context.Context, dir *os.File, name string, depth int) error {
	err := unlinkAt(dir, name, 0)
	if errors.Is(err, unix.EISDIR) {
		return c.clearDir(ctx, dir, name, depth)
	}
	return gone(err)
}

func (c *clearer) clearDir(ctx context.Context, dir *os.File, name string, depth int) error {
	f, err := openForRemoval(dir, name)
	if err != nil {
		return gone(err)
	}
	if depth == 0 {
		c.top = f
	}
	err = sameMount(f, c.mount)
	if err == nil && depth <= maxDepth {
		err = c.empty(ctx, f, depth)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if depth > maxDepth {
		return c.moveUp(dir, name)
	}
	return gone(unlinkAt(dir, name, unix.AT_REMOVEDIR))
}

// moveUp renames a directory that lies too deep into the top, which is read again
// until it is empty.
func (c *clearer) moveUp(dir *os.File, name string) error {
	up := "deep-" + strconv.Itoa(c.moved)
	c.moved++
	err := renameNoReplace(dir, name, c.top, up)
	if errors.Is(err, fs.ErrExist) {
		// The tree has such a name itself. The next pass over dir takes the next number.
		return nil
	}
	return gone(err)
}

// empty removes all entries of f. A directory that is read while it changes may
// skip entries, so it is read again until it is found empty.
func (c *clearer) empty(ctx context.Context, f *os.File, depth int) error {
	const batch = 256
	for {
		none := true
		for {
			names, err := f.Readdirnames(batch)
			for _, name := range names {
				none = false
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := c.clear(ctx, f, name, depth+1); err != nil {
					return err
				}
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
		}
		if none {
			return nil
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
}

// openForRemoval opens a directory, and gives its owner the right to read and to
// change it where it has none.
func openForRemoval(dir *os.File, name string) (*os.File, error) {
	f, err := openTree(dir, name)
	if errors.Is(err, fs.ErrPermission) {
		if err := allow(dir, name); err != nil {
			return nil, err
		}
		f, err = openTree(dir, name)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Perm()&dirMode != dirMode && os.Geteuid() != 0 {
		err = f.Chmod(dirMode)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// allow changes the mode of a directory that cannot be opened for reading. The way
// through /proc keeps chmod from following a link that takes the name meanwhile.
func allow(dir *os.File, name string) error {
	f, err := openAt(dir, name, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	err = on(f, "chmod", "", func(fd int) error {
		return unix.Fchmodat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), uint32(dirMode), 0)
	})
	return errors.Join(err, f.Close())
}

// gone makes an error of a removal nil when there was nothing to remove, and
// ErrBusy when somebody uses what is there.
func gone(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.ENOTEMPTY):
		return fmt.Errorf("%w: %w", store.ErrBusy, err)
	}
	return err
}
