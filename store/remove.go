package store

import (
	"context"
	"errors"
	"fmt"
)

// Remove removes a device: its name is released and the intent made durable, then
// the backing removes the resource, then the id is free. On nil the device is gone
// for good. Removing what is gone already is nil.
//
// ErrStale: the id serves another device now. ErrInUse: it has children. ErrBusy,
// or the backing's error: the name is free, but the resource is still there; Remove
// may be called again, and recovery.Scrub retries. ErrPending: the backing cannot
// tell whether the resource is gone. ErrInvalid: dev is no handle of a device.
func (d *Devices) Remove(ctx context.Context, dev Device) error {
	leave, err := d.enter(ctx, "remove", dev.Name, dev.ID)
	if err != nil {
		return err
	}
	defer leave()
	fail := func(phase Phase, err error) error {
		return &OpError{"remove", dev.Name, dev.ID, phase, err}
	}
	if dev.ID == 0 || dev.Stamp.IsZero() {
		return fail(0, fmt.Errorf("not a device: %w", ErrInvalid))
	}
	unlockName, err := d.nameLocks.lock(ctx, dev.Name)
	if err != nil {
		return fail(0, err)
	}
	defer unlockName()
	if err := d.ready(ctx); err != nil {
		return fail(0, err)
	}
	var rec Record
	err = d.db.update(ctx, func(tx *Tx) (err error) {
		rec, err = d.handle(tx, dev)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil // rec stays zero; the update waits for what freed it to be durable
		case err != nil, rec.State == Taken && rec.Phase == Removing:
			return err
		}
		return d.putRemoving(tx, rec)
	})
	switch {
	case err != nil:
		return fail(rec.Phase, err)
	case rec.State == Free:
		return nil
	}
	outcome, err := d.settleID(ctx, dev.ID)
	switch {
	case errors.Is(err, ErrNotFound): // somebody else finished it
		return nil
	case outcome == GaveUp && errors.Is(err, errForeign): // ours is gone
		return nil
	case err != nil:
		return fail(Removing, err)
	case outcome != Settled:
		return nil
	}
	// Somebody else settled it meanwhile, or gave it up.
	if rec, err = d.lookup(dev.ID); err != nil && !errors.Is(err, ErrNotFound) {
		return fail(Removing, err)
	} else if err == nil && rec.Stamp == dev.Stamp {
		return fail(rec.Phase, fmt.Errorf("%w: id is %v: %s", ErrPending, rec.State, rec.Reason))
	}
	return nil
}

// handle returns the record that dev is the handle of: ErrNotFound when its id is
// free, ErrStale when it is another's, ErrPending when it is not settled.
func (d *Devices) handle(tx *Tx, dev Device) (Record, error) {
	rec, err := d.current(tx, dev.ID)
	switch {
	case err != nil:
		return Record{}, err
	case rec.Stamp != dev.Stamp || rec.Stamp.IsZero():
		return Record{}, fmt.Errorf("id %d has stamp %v, the handle %v: %w", dev.ID, rec.Stamp, dev.Stamp, ErrStale)
	case rec.State == Taken && rec.Phase == Creating:
		return Record{}, ErrPending
	}
	return rec, nil
}

// putRemoving puts the intent to remove rec into tx and releases its name.
func (d *Devices) putRemoving(tx *Tx, rec Record) error {
	if n := d.ids.children[rec.ID]; n > 0 {
		return fmt.Errorf("%d children: %w", n, ErrInUse)
	}
	if named(rec) {
		if err := tx.delete(d.names, rec.Name); err != nil {
			return err
		}
	}
	rec.State, rec.Phase, rec.Claimed = Taken, Removing, false
	rec.Attempts, rec.Since = 0, now()
	tx.put(d.records, idKey(rec.ID), rec.encode())
	return nil
}
