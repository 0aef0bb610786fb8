package backing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/driftlesskv/driftless/store"
)

// Create makes the directory of dev: empty content, or a copy of its parent's. The
// parent must be there under dev.Parent's stamp, else the error is
// store.ErrNotFound or store.ErrStale; nobody may write to it meanwhile. A file
// system mounted inside the parent is store.ErrBusy: its content is not copied.
// The attribute AttrPath is the path of the content.
func (d *Dir) Create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	if err := d.create(ctx, dev); err != nil {
		return nil, fmt.Errorf("create directory of id %v: %w", dev.ID, spaced(err))
	}
	return store.Attrs{AttrPath: d.Path(dev.ID)}, nil
}

func (d *Dir) create(ctx context.Context, dev store.Device) error {
	if err := checkRef(dev.Ref()); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.verify(); err != nil {
		return err
	}
	whole, err := d.holder(dev.Ref())
	if err != nil {
		return err
	}
	if whole {
		// The process that renamed it may have died before the next two syncs.
		return errors.Join(d.devices.Sync(), d.staging.Sync())
	}
	name := workName(dev.Ref())
	if err := d.clearTrash(ctx, name); err != nil {
		return err
	}
	if err := clearTree(ctx, d.staging.file, name); err != nil {
		return err
	}
	if err := d.build(ctx, name, dev); err != nil {
		return err
	}
	err = renameNoReplace(d.staging.file, name, d.devices.file, deviceName(dev.ID))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %w", store.ErrExists, err)
	}
	if err != nil {
		return err
	}
	return errors.Join(d.devices.Sync(), d.staging.Sync())
}

// holder returns whether the device is there whole, or ErrExists when anything has
// its id under another stamp, whole or not.
func (d *Dir) holder(ref store.Ref) (whole bool, err error) {
	h, err := d.find(ref.ID)
	if err != nil {
		return false, err
	}
	if h.found && h.device.Stamp != ref.Stamp {
		return false, fmt.Errorf("%s is held under stamp %v: %w", deviceName(ref.ID), h.device.Stamp, store.ErrExists)
	}
	for _, name := range append(h.staging, h.trash...) {
		if name != workName(ref) {
			return false, fmt.Errorf("%s is in the way: %w", name, store.ErrExists)
		}
	}
	return h.found, nil
}

// build makes the device in staging/ and makes it durable there. The stamp comes
// last, and it is written anew: a copy never shows its parent's.
func (d *Dir) build(ctx context.Context, name string, dev store.Device) (err error) {
	stamp, err := encodeStamp(dev)
	if err != nil {
		return err
	}
	parent, err := d.openParent(dev)
	if err != nil {
		return err
	}
	if parent != nil {
		defer func() { _ = parent.Close() }() // only read from
	}
	dir, err := makeDir(d.staging.Root(), name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	// Opened before anything is written: syncfs reports the write-back errors that
	// happened since its descriptor was opened, to each descriptor once.
	whole, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, whole.Close()) }()
	data, err := makeDir(dir, dataName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	if parent != nil {
		if err := copyTree(ctx, parent, whole, data); err != nil {
			return fmt.Errorf("copy parent: %w", err)
		}
	}
	file, err := writeStamp(dir, stamp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if parent != nil {
		// A copy has any number of files; one call writes them all back.
		return syncFS(whole)
	}
	content, err := data.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), content.Sync(), whole.Sync(), content.Close())
}

// openParent opens the directory that holds the data of dev's parent, or returns
// nil when dev has none.
func (d *Dir) openParent(dev store.Device) (*os.File, error) {
	if dev.Parent.IsZero() {
		return nil, nil
	}
	if err := checkRef(dev.Parent); err != nil {
		return nil, fmt.Errorf("parent: %w", err)
	}
	if dev.Parent.ID == dev.ID {
		return nil, fmt.Errorf("id %v is its own parent: %w", dev.ID, store.ErrInvalid)
	}
	res, found, err := d.readDevice(dev.Parent.ID)
	switch {
	case err != nil:
		return nil, fmt.Errorf("parent %v: %w", dev.Parent.ID, err)
	case !found:
		return nil, fmt.Errorf("parent %v: %w", dev.Parent.ID, store.ErrNotFound)
	case res.Stamp != dev.Parent.Stamp:
		return nil, fmt.Errorf("parent %v has stamp %v, not %v: %w", dev.Parent.ID, res.Stamp, dev.Parent.Stamp, store.ErrStale)
	}
	return openTree(d.devices.file, deviceName(dev.Parent.ID))
}

// makeDir makes a directory of dirMode and opens it. Nothing is synced.
func makeDir(in *os.Root, name string) (*os.Root, error) {
	if err := in.Mkdir(name, dirMode); err != nil {
		return nil, err
	}
	root, err := in.OpenRoot(name)
	if errors.Is(err, fs.ErrPermission) {
		// The umask may have taken even the owner's rights.
		if err := in.Chmod(name, dirMode); err != nil {
			return nil, err
		}
		root, err = in.OpenRoot(name)
	}
	if err != nil {
		return nil, err
	}
	self, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	if err := errors.Join(self.Chmod(dirMode), self.Close()); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// writeStamp writes the stamp file and returns it open, to be synced.
func writeStamp(dir *os.Root, data []byte) (*os.File, error) {
	f, err := dir.OpenFile(stampName, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(fileMode)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
