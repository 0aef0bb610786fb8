package store

import (
	"context"
	"errors"
	"fmt"
)

// realize creates the resource of a durable intent and settles the record.
func (d *Devices) realize(ctx context.Context, c *creation, u *unlocker) error {
	ids := &unlocker{c.unlockID}
	c.unlockID = nil
	defer ids.unlock()
	fail := func(phase Phase, err error) error {
		return &OpError{c.op, c.name, c.made.ID, phase, err}
	}
	if err := ctx.Err(); err != nil {
		d.settleLater(c.made, true, u, ids)
		return fail(Creating, err)
	}
	attrs, err := d.callCreate(ctx, c.made.Device)
	if err == nil {
		was := c.made
		c.made.Attrs, c.made.Phase = attrs, Ready
		rec := c.made
		// Whatever becomes of the lazy record, intent and resource are durable.
		_ = d.changeLazily(was, &rec)
		return nil
	}
	if ctx.Err() != nil {
		d.settleLater(c.made, false, u, ids)
		return fail(Creating, err)
	}
	outcome, serr := d.settle(ctx, c.made, false)
	switch outcome {
	case Undone:
		return fail(0, err)
	case GaveUp:
		if errors.Is(serr, errForeign) {
			return errForeign
		}
		return fail(0, err)
	case Settled, Completed, Removed, Released, Pending:
	}
	if errors.Is(serr, ErrPending) {
		return fail(Creating, fmt.Errorf("%w: %w", ErrPending, err))
	}
	return fail(Removing, err)
}

// An unlocker releases a lock unless somebody took it over.
type unlocker struct{ f func() }

func (u *unlocker) unlock() {
	if u.f != nil {
		u.f()
		u.f = nil
	}
}

func (u *unlocker) take() func() {
	f := u.f
	u.f = nil
	return f
}
