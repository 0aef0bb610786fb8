package backing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"

	"github.com/driftlesskv/driftless/store"
)

// Probe tells what is under id: Present with the stamp of its stamp file, or with
// none when something without one has the name; Partial for what is being made or
// removed. A stamp that cannot be read is an error, not a foreign device.
func (d *Dir) Probe(ctx context.Context, id store.DeviceID) (store.Presence, store.Stamp, error) {
	presence, stamp, err := d.probe(ctx, id)
	if err != nil {
		return store.Unknown, store.Stamp{}, fmt.Errorf("probe directory of id %v: %w", id, err)
	}
	return presence, stamp, nil
}

func (d *Dir) probe(ctx context.Context, id store.DeviceID) (store.Presence, store.Stamp, error) {
	if id == 0 {
		return store.Unknown, store.Stamp{}, store.ErrInvalid
	}
	if err := ctx.Err(); err != nil {
		return store.Unknown, store.Stamp{}, err
	}
	h, err := d.find(id)
	switch {
	case err != nil:
		return store.Unknown, store.Stamp{}, err
	case h.found:
		return store.Present, h.device.Stamp, nil
	}
	for _, names := range [][]string{h.staging, h.trash} {
		if len(names) > 0 {
			return store.Partial, parseWorkName(names[0]).Stamp, nil
		}
	}
	if err := d.verify(); err != nil {
		return store.Unknown, store.Stamp{}, err
	}
	return store.Absent, store.Stamp{}, nil
}

// A holding is everything that has an id.
type holding struct {
	device  store.Resource // of devices/, with a zero stamp when it is foreign
	found   bool           // there is a device
	staging []string       // names
	trash   []string
}

// find looks for everything that has id. staging and trash are read whole: they
// hold little, and what is there under other stamps must be seen too.
func (d *Dir) find(id store.DeviceID) (h holding, err error) {
	if h.device, h.found, err = d.readDevice(id); err != nil {
		return h, err
	}
	if h.staging, err = d.staging.namesOf(id); err != nil {
		return h, err
	}
	h.trash, err = d.trash.namesOf(id)
	return h, err
}

// namesOf returns the entries of staging/ or trash/ that have id.
func (p *place) namesOf(id store.DeviceID) ([]string, error) {
	names, err := p.names()
	if err != nil {
		return nil, err
	}
	var of []string
	for _, name := range names {
		if parseWorkName(name).ID == id {
			of = append(of, name)
		}
	}
	return of, nil
}

// readDevice reads the stamp file of an id. Whatever has the name without being a
// device of that id is a resource without a stamp.
func (d *Dir) readDevice(id store.DeviceID) (res store.Resource, found bool, err error) {
	root, name := d.devices.Root(), deviceName(id)
	foreign := store.Resource{ID: id, Presence: store.Present}
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return store.Resource{}, false, nil
	}
	if err != nil {
		return store.Resource{}, false, err
	}
	if !info.IsDir() {
		return foreign, true, nil
	}
	data, err := readRegular(root, name+"/"+stampName, maxStampFile)
	if errors.Is(err, fs.ErrNotExist) {
		return d.unstamped(foreign, info)
	}
	if err != nil {
		return store.Resource{}, false, err
	}
	if res, err = decodeStamp(data); err != nil {
		return store.Resource{}, false, err
	}
	if res.ID != id {
		return foreign, true, nil // a copy of another device's directory
	}
	return res, true, nil
}

// unstamped decides about a directory in which no stamp file was found: it was
// renamed meanwhile, or something is mounted over it, or it is foreign.
func (d *Dir) unstamped(foreign store.Resource, was fs.FileInfo) (store.Resource, bool, error) {
	name := deviceName(foreign.ID)
	now, err := d.devices.Root().Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(was, now) {
		return store.Resource{}, false, nil
	}
	if err != nil {
		return store.Resource{}, false, err
	}
	mounted, err := isMount(d.devices.file, name)
	if err != nil {
		return store.Resource{}, false, err
	}
	if mounted {
		return store.Resource{}, false, fmt.Errorf("something is mounted over %s: %w", name, store.ErrBusy)
	}
	return foreign, true, nil
}

// List yields every device by what its name and its stamp file say. One whose stamp
// cannot be read is Unknown. What has a name that this package does not give is
// yielded with the id 0 and that name.
func (d *Dir) List(ctx context.Context) iter.Seq2[store.Resource, error] {
	return func(yield func(store.Resource, error) bool) {
		if err := d.list(ctx, func(res store.Resource) bool { return yield(res, nil) }); err != nil {
			yield(store.Resource{}, fmt.Errorf("list directories: %w", err))
		}
	}
}

func (d *Dir) list(ctx context.Context, yield func(store.Resource) bool) error {
	if err := d.verify(); err != nil {
		return err
	}
	// In the order in which a device moves through them, so that none is missed by
	// moving. One that is met twice is yielded once.
	var names [3][]string
	for i, p := range []*place{d.staging, d.devices, d.trash} {
		var err error
		if names[i], err = p.names(); err != nil {
			return err
		}
	}
	yielded := map[store.Ref]bool{}
	for _, name := range names[1] {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, res := range d.listDevice(name) {
			yielded[store.Ref{ID: res.ID, Stamp: res.Stamp}] = true
			if !yield(res) {
				return nil
			}
		}
	}
	for _, name := range append(names[0], names[2]...) {
		ref := parseWorkName(name)
		if ref.ID != 0 && !ref.Stamp.IsZero() && yielded[ref] {
			continue
		}
		yielded[ref] = true
		if !yield(partial(name)) {
			return nil
		}
	}
	return ctx.Err()
}

// listDevice returns the resources of one name in devices/: one, or, when the
// device was removed meanwhile, what is left of it.
func (d *Dir) listDevice(name string) []store.Resource {
	id, ok := parseDeviceName(name)
	if !ok {
		return []store.Resource{{Name: name, Presence: store.Present}}
	}
	res, found, err := d.readDevice(id)
	if err == nil && found {
		return []store.Resource{res}
	}
	var left []string
	if err == nil {
		left, err = d.trash.namesOf(id)
	}
	if err != nil {
		return []store.Resource{{ID: id, Presence: store.Unknown}}
	}
	var of []store.Resource
	for _, name := range left {
		of = append(of, partial(name))
	}
	return of
}

// partial returns the resource of a name in staging/ or trash/.
func partial(name string) store.Resource {
	ref := parseWorkName(name)
	if ref.ID == 0 {
		return store.Resource{Name: name, Presence: store.Partial}
	}
	return store.Resource{ID: ref.ID, Stamp: ref.Stamp, Presence: store.Partial}
}
