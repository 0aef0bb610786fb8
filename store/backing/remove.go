package backing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/driftlesskv/driftless/store"
)

// Remove removes the directory of dev. While a file system is mounted inside it, as
// this process sees it, or somebody goes on making files in it, the answer is
// store.ErrBusy; it may then be in trash/ already. Directories without write
// permission are removed too.
func (d *Dir) Remove(ctx context.Context, dev store.Device) error {
	if err := d.remove(ctx, dev.Ref()); err != nil {
		return fmt.Errorf("remove directory of id %v: %w", dev.ID, spaced(err))
	}
	return nil
}

func (d *Dir) remove(ctx context.Context, ref store.Ref) error {
	if err := checkRef(ref); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.verify(); err != nil {
		return err
	}
	h, err := d.find(ref.ID)
	if err != nil {
		return err
	}
	if h.found && h.device.Stamp != ref.Stamp {
		return fmt.Errorf("%s is held under stamp %v: %w", deviceName(ref.ID), h.device.Stamp, store.ErrStale)
	}
	name := workName(ref)
	if h.found {
		if err := d.discard(ref, name); err != nil {
			return err
		}
	}
	if err := clearTree(ctx, d.staging.file, name); err != nil {
		return fmt.Errorf("clear %s/%s: %w", stagingName, name, err)
	}
	if err := d.clearTrash(ctx, name); err != nil {
		return fmt.Errorf("clear %s/%s: %w", trashName, name, err)
	}
	// Also when nothing was found: an earlier process may have removed it and died
	// before it synced.
	if err := errors.Join(d.devices.Sync(), d.staging.Sync(), d.trash.Sync()); err != nil {
		return err
	}
	for _, other := range append(h.staging, h.trash...) {
		if other != name {
			return fmt.Errorf("%s is left: %w", other, store.ErrStale)
		}
	}
	return nil
}

// discard moves a device to trash/. It syncs nothing.
func (d *Dir) discard(ref store.Ref, name string) error {
	mounted, err := mountIn(d.devices.file, deviceName(ref.ID))
	if err != nil {
		return err
	}
	if mounted != "" {
		return fmt.Errorf("a file system is mounted on %q: %w", mounted, store.ErrBusy)
	}
	err = renameNoReplace(d.devices.file, deviceName(ref.ID), d.trash.file, name)
	if errors.Is(err, fs.ErrExist) {
		// Half removed and whole at once cannot come from this package.
		return fmt.Errorf("%s/%s is in the way: %w", trashName, name, store.ErrCorrupt)
	}
	return err
}

// clearTrash deletes a device in trash/. Before any of it goes, the rename that
// brought it there is made durable, whoever did that and died: what a power cut shows
// in devices/ is always whole.
func (d *Dir) clearTrash(ctx context.Context, name string) error {
	if _, err := d.trash.Root().Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := d.devices.Sync(); err != nil {
		return err
	}
	return clearTree(ctx, d.trash.file, name)
}
