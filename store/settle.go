package store

import (
	"context"
	"errors"
	"fmt"
)

// Outcome is what Settle or Reclaim made of a record.
type Outcome uint8

const (
	Settled   Outcome = iota // there was nothing to do
	Completed                // the resource was whole: the device is usable
	Undone                   // a creation was taken back: the id is free
	Removed                  // a removal was finished: the id is free
	Released                 // a faulty id is free again
	GaveUp                   // the id is faulty
	Pending                  // nothing could be concluded; try again later
)

// String returns the outcome in lower case.
func (o Outcome) String() string {
	switch o {
	case Settled:
		return "settled"
	case Completed:
		return "completed"
	case Undone:
		return "undone"
	case Removed:
		return "removed"
	case Released:
		return "released"
	case GaveUp:
		return "gave up"
	case Pending:
		return "pending"
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// Settle finishes what an earlier operation left of one id, if anything, by what
// the backing says is there: a resource that is wholly there under our stamp is
// kept, one that is partly there is removed, one that is absent is forgotten. It
// gives the same result however often it is repeated and wherever it is cut off.
//
// With Pending comes the reason: ErrPending when the backing cannot tell, ErrBusy
// when the resource cannot be removed yet, or the error of the step, which counts
// as an attempt. With GaveUp comes the reason too. ErrNotFound: the id is free.
func (d *Devices) Settle(ctx context.Context, id DeviceID) (Outcome, error) {
	return d.onID(ctx, "settle", id, d.settleID)
}

// Reclaim gives a faulty id that has no children its way out: free when its resource
// is certainly absent; removed and free when it bears our stamp and nobody has
// claimed it; else it stays as it is. Errors are those of Settle.
func (d *Devices) Reclaim(ctx context.Context, id DeviceID) (Outcome, error) {
	return d.onID(ctx, "reclaim", id, d.reclaimID)
}

func (d *Devices) onID(ctx context.Context, op string, id DeviceID, f func(context.Context, DeviceID) (Outcome, error)) (Outcome, error) {
	leave, err := d.enter(ctx, op, "", id)
	if err != nil {
		return Pending, err
	}
	defer leave()
	outcome, err := f(ctx, id)
	if err != nil {
		err = &OpError{Op: op, ID: id, Err: err}
	}
	return outcome, err
}

// settleID is Settle for callers that have entered and do not hold the id's lock.
func (d *Devices) settleID(ctx context.Context, id DeviceID) (Outcome, error) {
	unlock, err := d.idLocks.lock(ctx, id)
	if err != nil {
		return Pending, err
	}
	defer unlock()
	rec, err := d.lookup(id)
	if err != nil {
		return Settled, err
	}
	if rec.State != Taken || rec.Phase == Ready {
		return Settled, nil
	}
	return d.settle(ctx, rec, true)
}

// settle decides about a record that is creating or removing. forward tells whether
// a whole resource of an intent to create is kept; else it is removed. The caller
// holds the id's lock. Keeps (3), (6), (7).
func (d *Devices) settle(ctx context.Context, rec Record, forward bool) (Outcome, error) {
	presence, stamp, err := d.probe(ctx, rec.ID)
	switch {
	case presence == Unknown:
		return Pending, fmt.Errorf("%w: %w", ErrPending, err)
	case presence == Absent:
		return d.freed(rec)
	case !rec.owns(presence, stamp):
		return d.giveUp(rec, rec, fmt.Errorf("%w: %v under stamp %v", errForeign, presence, stamp))
	case rec.Phase == Creating && presence == Present && forward:
		return d.complete(ctx, rec)
	}
	return d.destroy(ctx, rec)
}

// owns tells whether what a probe found is the record's own resource. One that is
// half made or half removed may have no stamp; a whole one always has.
func (r *Record) owns(presence Presence, stamp Stamp) bool {
	return stamp == r.Stamp && !stamp.IsZero() || presence == Partial && stamp.IsZero() && !r.Stamp.IsZero()
}

// complete rolls an intent forward. The backing is asked to create once more, which
// changes nothing, for the attributes that the crash has lost; if it keeps failing,
// the device is usable without them, for its resource is whole.
func (d *Devices) complete(ctx context.Context, rec Record) (Outcome, error) {
	ready := rec
	attrs, err := d.callCreate(ctx, rec.Device)
	if err != nil {
		if ctx.Err() == nil {
			ready.Attempts++
			ready.note(err.Error())
		}
		if ready.Attempts < d.opts.MaxAttempts {
			return Pending, errors.Join(fmt.Errorf("%w: %w", ErrPending, err), d.changeLazily(rec, &ready))
		}
	}
	ready.Attrs, ready.Phase, ready.Since, ready.Attempts = attrs, Ready, now(), 0
	return Completed, d.changeLazily(rec, &ready)
}

// freed makes the id of a record free, whose resource is certainly absent.
func (d *Devices) freed(rec Record) (Outcome, error) {
	outcome := Removed
	switch {
	case rec.State == Faulty:
		outcome = Released
	case rec.Phase == Creating:
		outcome = Undone
	}
	return outcome, d.changeLazily(rec, nil)
}

// destroy removes the record's own resource.
func (d *Devices) destroy(ctx context.Context, rec Record) (Outcome, error) {
	err := d.callRemove(ctx, rec.Device)
	switch {
	case err == nil:
		return d.freed(rec)
	case errors.Is(err, ErrStale):
		return d.giveUp(rec, rec, fmt.Errorf("%w: %w", errForeign, err))
	}
	failed := rec
	failed.Claimed = false
	if failed.Phase == Creating {
		failed.Phase, failed.Since = Removing, now() // the name is free from here
	}
	if !errors.Is(err, ErrBusy) && ctx.Err() == nil {
		failed.Attempts++
		if failed.Attempts >= d.opts.MaxAttempts && failed.State == Taken {
			return d.giveUp(rec, failed, err)
		}
		failed.note(err.Error())
	}
	if serr := d.changeLazily(rec, &failed); serr != nil {
		err = errors.Join(err, serr)
	}
	return Pending, err
}

// giveUp puts faulty in place of rec: its id becomes faulty, its name free.
func (d *Devices) giveUp(rec, faulty Record, why error) (Outcome, error) {
	faulty.State, faulty.Claimed, faulty.Since = Faulty, false, now()
	faulty.note(why.Error())
	if err := d.changeLazily(rec, &faulty); err != nil {
		return Pending, errors.Join(why, err)
	}
	return GaveUp, why
}

func (d *Devices) reclaimID(ctx context.Context, id DeviceID) (Outcome, error) {
	unlock, err := d.idLocks.lock(ctx, id)
	if err != nil {
		return Pending, err
	}
	defer unlock()
	rec, err := d.lookup(id)
	if err != nil || rec.State != Faulty {
		return Settled, err
	}
	children, err := ask(ctx, d, func() int { return d.ids.children[id] })
	if err != nil || children > 0 {
		return Settled, err
	}
	presence, stamp, err := d.probe(ctx, id)
	switch {
	case presence == Unknown:
		return Pending, fmt.Errorf("%w: %w", ErrPending, err)
	case presence == Absent:
		return d.freed(rec)
	case !rec.owns(presence, stamp) || rec.Claimed:
		return Settled, nil
	}
	return d.destroy(ctx, rec)
}

// settleLater settles rec in the background, after its operation was cancelled. It
// takes over both locks; until it is done the name answers ErrPending.
func (d *Devices) settleLater(rec Record, forward bool, name, id *unlocker) {
	d.nameLocks.settle(rec.Name)
	unlockName, unlockID := name.take(), id.take()
	d.db.active.Add(1) // the caller has entered
	go func() {
		defer d.db.active.Done()
		defer unlockName()
		defer unlockID()
		_, _ = d.settle(d.ctx, rec, forward) // what it could not do is in the record
	}()
}
