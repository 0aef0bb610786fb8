package backing

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/driftlesskv/driftless/atomicfile"
	"github.com/driftlesskv/driftless/store"
)

// AttrPath is the attribute in which Dir returns the path of a device.
const AttrPath = "path"

// A Dir is a backing that keeps each device as a directory tree. Below its root are
//
//	identity                 a random uuid, made with the root
//	devices/<id>/stamp       whose the device is
//	devices/<id>/data/       its content, which belongs to the owner
//	staging/<id>-<stamp>/    a device that is being made
//	trash/<id>-<stamp>/      a device that is being removed
//
// where <id> has eight hexadecimal digits. A device appears in devices/, and leaves
// it, by a rename; before the first everything of it is durable. Everything but the
// content is 0700 or 0600, whatever the umask.
//
// A device with a parent starts as a copy of the parent's content: mode, owner,
// times, hard links, extended attributes, FIFOs and device nodes are kept. Files
// share their blocks with the parent's where the file system can (FICLONE: btrfs,
// xfs), else they are copied, holes as holes. As an ordinary user a copy fails where
// an owner cannot be kept; trusted.* and security.* attributes are then left out.
//
// A Dir means the directory it has opened, not whatever comes to be at its path. It
// works on Linux; elsewhere OpenDir returns errors.ErrUnsupported. A full medium is
// store.ErrNoSpace. As store.Devices promises, no two calls may be made at once for
// one id; otherwise the methods may be called from several goroutines at once.
type Dir struct {
	path     string // absolute
	identity string
	root     *atomicfile.Dir
	devices  *place
	staging  *place
	trash    *place
}

// A place is one of the directories below the root that hold devices.
type place struct {
	*atomicfile.Dir
	name string
	file *os.File // the same directory, for system calls relative to it
}

var _ store.Backing = (*Dir)(nil)

// OpenDir opens the backing in the directory at path, which is made when missing,
// with the ones above it. The path may lead through symbolic links but not end in
// one: that, or one planted at a path below, is atomicfile.ErrSymlink. A file in the
// way is syscall.ENOTDIR. A root that holds devices but no identity is
// store.ErrIdentity, an identity that cannot be one store.ErrCorrupt.
func OpenDir(path string) (*Dir, error) {
	d, err := openDir(path)
	if err != nil {
		return nil, fmt.Errorf("open backing: %w", spaced(err))
	}
	return d, nil
}

func openDir(path string) (*Dir, error) {
	if path == "" || strings.ContainsRune(path, 0) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: store.ErrInvalid}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSymlink {
		return nil, &fs.PathError{Op: "open", Path: path, Err: atomicfile.ErrSymlink}
	}
	if err := atomicfile.MkdirAll(path, dirMode); err != nil {
		return nil, err
	}
	root, err := atomicfile.OpenDir(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: path, root: root}
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// open opens what is below the root and makes what is missing.
func (d *Dir) open() (err error) {
	for _, p := range []struct {
		to   **place
		name string
	}{{&d.devices, devicesName}, {&d.staging, stagingName}, {&d.trash, trashName}} {
		if *p.to, err = openPlace(d.root, p.name); err != nil {
			return fmt.Errorf("open %s in %s: %w", p.name, d.path, err)
		}
	}
	if d.identity, err = d.makeIdentity(); err != nil {
		return fmt.Errorf("identity of %s: %w", d.path, err)
	}
	// The process that made an entry may have died before it synced the root.
	return d.root.Sync()
}

func openPlace(root *atomicfile.Dir, name string) (*place, error) {
	if err := root.Mkdir(name, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	dir, err := root.OpenDir(name)
	if err != nil {
		return nil, err
	}
	file, err := dir.Root().Open(".")
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return &place{dir, name, file}, nil
}

// Close releases the directories. Calls that run meanwhile may fail; every later
// one returns fs.ErrClosed.
func (d *Dir) Close() error {
	errs := []error{d.root.Close()}
	for _, p := range []*place{d.devices, d.staging, d.trash} {
		if p == nil {
			continue
		}
		errs = append(errs, p.Close())
		if err := p.file.Close(); !errors.Is(err, fs.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Path returns the absolute path of the content of a device: a directory for its
// owner to fill and read. It is the same for every device that ever has this id, so
// ask the table first. What the owner writes there is durable once the owner has
// synced it, which belongs before Claim.
func (d *Dir) Path(id store.DeviceID) string {
	return filepath.Join(d.path, devicesName, deviceName(id), dataName)
}

// names returns the names of all entries, through a handle of its own since the
// position in a directory belongs to the handle.
func (p *place) names() ([]string, error) {
	f, err := p.Root().Open(".")
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	return names, errors.Join(err, f.Close())
}

// checkRef refuses what can name no device.
func checkRef(ref store.Ref) error {
	if ref.ID == 0 || ref.Stamp.IsZero() {
		return fmt.Errorf("id %v under stamp %v: %w", ref.ID, ref.Stamp, store.ErrInvalid)
	}
	return nil
}

// spaced makes an error of a full medium store.ErrNoSpace as well.
func spaced(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", store.ErrNoSpace, err)
	}
	return err
}
