package store

import (
	"context"
	"errors"
	"fmt"
)

// Claim makes a prepared device the caller's for good: from now on no start-up
// removes it. It follows the commit of the caller's own records. Claiming a claimed
// device is nil. ErrStale: the device is gone. ErrPending: an earlier operation on
// it is not settled.
func (d *Devices) Claim(ctx context.Context, dev Device) error {
	return d.updateClaim(ctx, dev, "claim", true)
}

// Unclaim says that the device is about to be deleted. It precedes the commit that
// deletes the caller's own records; Remove follows that. ErrInUse: it has children.
// Other errors are those of Claim.
func (d *Devices) Unclaim(ctx context.Context, dev Device) error {
	return d.updateClaim(ctx, dev, "unclaim", false)
}

// ClaimTx is Claim within a transaction of the same store, for callers whose own
// records live there: both become durable, or neither. ErrInvalid: tx belongs to
// another store. ErrReadOnly: tx is a View's.
func (d *Devices) ClaimTx(tx *Tx, dev Device) error { return d.setClaim(tx, dev, "claim", true) }

// UnclaimTx is Unclaim within a transaction of the same store; see ClaimTx.
func (d *Devices) UnclaimTx(tx *Tx, dev Device) error { return d.setClaim(tx, dev, "unclaim", false) }

func (d *Devices) updateClaim(ctx context.Context, dev Device, op string, claimed bool) error {
	leave, err := d.enter(ctx, op, dev.Name, dev.ID)
	if err != nil {
		return err
	}
	defer leave()
	err = d.db.update(ctx, func(tx *Tx) error { return d.setClaim(tx, dev, op, claimed) })
	var done *OpError
	if err != nil && !errors.As(err, &done) {
		err = &OpError{Op: op, Name: dev.Name, ID: dev.ID, Err: err}
	}
	return err
}

func (d *Devices) setClaim(tx *Tx, dev Device, op string, claimed bool) error {
	fail := func(phase Phase, err error) error { return &OpError{op, dev.Name, dev.ID, phase, err} }
	if tx == nil || tx.db != d.db {
		return fail(0, fmt.Errorf("transaction of another store: %w", ErrInvalid))
	}
	if err := tx.writable(); err != nil {
		return fail(0, err)
	}
	rec, err := d.handle(tx, dev)
	switch {
	case errors.Is(err, ErrNotFound):
		return fail(0, fmt.Errorf("id %d is free: %w", dev.ID, ErrStale))
	case err != nil:
		return fail(0, err)
	case rec.State == Taken && rec.Phase == Removing, rec.State == Faulty && claimed:
		return fail(rec.Phase, fmt.Errorf("%v, %v: %w", rec.State, rec.Phase, ErrStale))
	case rec.Claimed == claimed:
		return nil
	case !claimed && d.ids.children[dev.ID] > 0:
		return fail(rec.Phase, fmt.Errorf("%d children: %w", d.ids.children[dev.ID], ErrInUse))
	}
	rec.Claimed = claimed
	tx.put(d.records, idKey(rec.ID), rec.encode())
	return nil
}

// MarkFaulty takes a usable device out of use: its name is free, its id is faulty
// and its resource stays as it is. Remove, or Unclaim and then recovery.Scrub, give
// the id back. reason is kept with the record, cut to 1 KiB. Errors are those of Claim.
func (d *Devices) MarkFaulty(ctx context.Context, dev Device, reason string) error {
	const op = "mark faulty"
	leave, err := d.enter(ctx, op, dev.Name, dev.ID)
	if err != nil {
		return err
	}
	defer leave()
	err = d.db.update(ctx, func(tx *Tx) error {
		rec, err := d.handle(tx, dev)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && rec.State == Taken && rec.Phase == Removing:
			return ErrStale
		case err != nil:
			return err
		}
		if named(rec) {
			if err := tx.delete(d.names, rec.Name); err != nil {
				return err
			}
		}
		rec.State, rec.Since = Faulty, now()
		rec.note(reason)
		tx.put(d.records, idKey(rec.ID), rec.encode())
		return nil
	})
	if err != nil {
		return &OpError{Op: op, Name: dev.Name, ID: dev.ID, Err: err}
	}
	return nil
}

// ready returns nil when an operation that holds its name's lock may start: the
// store was not closed while it waited, and the backing is the right one.
func (d *Devices) ready(ctx context.Context) error {
	if d.ctx.Err() != nil {
		return ErrClosed
	}
	return d.meet(ctx)
}

// enter starts an operation that Close waits for, on a store that can be written.
func (d *Devices) enter(ctx context.Context, op, name string, id DeviceID) (leave func(), err error) {
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	err = ctx.Err()
	if err == nil {
		err = d.db.enter()
	}
	if err == nil {
		if err = d.db.writable(); err != nil {
			d.db.active.Done()
		}
	}
	if err != nil {
		return nil, &OpError{Op: op, Name: name, ID: id, Err: err}
	}
	return d.db.active.Done, nil
}
