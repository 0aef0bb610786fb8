package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// probe asks what is under id. Absence counts only while the backing is the one the
// table was made with: an empty mount point holds nothing, and means nothing.
func (d *Devices) probe(ctx context.Context, id DeviceID) (Presence, Stamp, error) {
	if err := d.meet(ctx); err != nil {
		return Unknown, Stamp{}, err
	}
	start := time.Now()
	presence, stamp, err := d.opts.Backing.Probe(ctx, id)
	if err == nil && presence == Absent {
		err = d.same(ctx)
	}
	d.observe("probe", id, start, err)
	switch {
	case err != nil:
		return Unknown, Stamp{}, fmt.Errorf("probe: %w", err)
	case presence == Unknown || presence > Present:
		return Unknown, Stamp{}, errors.New("probe: the backing cannot tell")
	}
	return presence, stamp, nil
}

// same returns nil when the backing is the one that the table was made with.
func (d *Devices) same(ctx context.Context) error {
	id, err := d.opts.Backing.Identity(ctx)
	if err == nil && id != d.identity {
		err = fmt.Errorf("backing %.80q, table made with %.80q: %w", id, d.identity, ErrIdentity)
	}
	if err == nil {
		d.known.Store(true)
	}
	return err
}

// meet returns nil once the backing has told the identity that it had when the
// table was made. Before that nothing is created or destroyed there.
func (d *Devices) meet(ctx context.Context) error {
	if d.known.Load() {
		return nil
	}
	if err := d.same(ctx); err != nil {
		return fmt.Errorf("%w: identity of the backing: %w", ErrPending, err)
	}
	return nil
}

func (d *Devices) callCreate(ctx context.Context, dev Device) (Attrs, error) {
	start := time.Now()
	attrs, err := d.opts.Backing.Create(ctx, dev.clone())
	if n := len(appendMap(nil, attrs)); err == nil && n > maxAttrs {
		attrs, err = nil, fmt.Errorf("attributes of %d bytes from the backing, want at most %d: %w", n, maxAttrs, ErrInvalid)
	}
	d.observe("create", dev.ID, start, err)
	return maps.Clone(attrs), err
}

func (d *Devices) callRemove(ctx context.Context, dev Device) error {
	start := time.Now()
	err := d.opts.Backing.Remove(ctx, dev.clone())
	d.observe("remove", dev.ID, start, err)
	return err
}
