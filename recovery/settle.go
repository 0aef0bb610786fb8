package recovery

import (
	"context"
	"errors"
	"fmt"

	"github.com/driftlesskv/driftless/store"
)

// open brings one table to rest at start-up.
func (r *run) open(ctx context.Context) error {
	if err := r.each(ctx, unsettled, r.settleOne); err != nil {
		return err
	}
	if r.owner != nil {
		if err := r.each(ctx, unclaimed, r.askOwner); err != nil {
			return err
		}
		if err := r.each(ctx, claimed, r.askDisowned); err != nil {
			return err
		}
	}
	return r.finish(ctx)
}

// scrub retries what is left over in one table.
func (r *run) scrub(ctx context.Context) error {
	if err := r.each(ctx, unsettled, r.settleOne); err != nil {
		return err
	}
	if err := r.each(ctx, faulty, r.reclaimOne); err != nil {
		return err
	}
	return r.finish(ctx)
}

func (r *run) finish(ctx context.Context) error {
	if err := r.compare(ctx); err != nil {
		return err
	}
	return r.observe()
}

func faulty(rec store.Record) bool { return rec.State == store.Faulty }

func unsettled(rec store.Record) bool {
	return rec.State == store.Taken && rec.Phase != store.Ready
}

func unclaimed(rec store.Record) bool {
	return rec.State == store.Taken && rec.Phase == store.Ready && !rec.Claimed
}

func claimed(rec store.Record) bool {
	return rec.State == store.Taken && rec.Phase == store.Ready && rec.Claimed
}

// fatal tells whether an error is the end of the run and not of one device: the
// store has failed, was closed or is read-only, or the caller has given up. A full
// disk is not: an agent must be able to start on one, to make room.
func fatal(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, store.ErrFailed) ||
		errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrReadOnly)
}

func (r *run) settleOne(ctx context.Context, rec store.Record) error {
	outcome, err := r.devices.Settle(ctx, rec.ID)
	return r.note(ctx, rec, outcome, err)
}

func (r *run) reclaimOne(ctx context.Context, rec store.Record) error {
	outcome, err := r.devices.Reclaim(ctx, rec.ID)
	return r.note(ctx, rec, outcome, err)
}

// note files what became of one record.
func (r *run) note(ctx context.Context, rec store.Record, outcome store.Outcome, err error) error {
	if err != nil && fatal(ctx, err) {
		return err
	}
	f := finding(r.table, rec, err)
	switch outcome {
	case store.Completed:
		r.add(&r.report.Completed, f)
	case store.Undone:
		r.add(&r.report.Undone, f)
	case store.Removed:
		r.add(&r.report.Removed, f)
	case store.Released:
		r.add(&r.report.Released, f)
	case store.Pending:
		r.add(&r.report.Pending, f)
	case store.GaveUp, store.Settled: // the faulty ones are listed at the end
	}
	return nil
}

// askOwner lets the caller's own records decide about an unclaimed device.
func (r *run) askOwner(ctx context.Context, rec store.Record) error {
	live, err := r.owner(ctx, rec.Name)
	if err != nil {
		live = Unknown
		if ctx.Err() != nil {
			return err
		}
	}
	switch live {
	case Live:
		err = r.devices.Claim(ctx, rec.Device)
		if err == nil {
			r.add(&r.report.Claimed, finding(r.table, rec, nil))
		}
	case Gone:
		err = r.devices.Remove(ctx, rec.Device)
		if err == nil {
			r.add(&r.report.Removed, finding(r.table, rec, nil))
		}
	case Unknown:
	}
	if err != nil && fatal(ctx, err) {
		return err
	}
	if err != nil && live != Unknown {
		r.add(&r.report.Pending, finding(r.table, rec, err))
	}
	return nil // still unclaimed: observe reports it
}

// askDisowned reports a claimed device that its owner does not have. It is kept: the
// owner's records may have lost their tail.
func (r *run) askDisowned(ctx context.Context, rec store.Record) error {
	if live, err := r.owner(ctx, rec.Name); err == nil && live == Gone {
		r.add(&r.report.Disowned, finding(r.table, rec, nil))
	}
	return ctx.Err()
}

// compare holds the backing's list against the table.
func (r *run) compare(ctx context.Context) error {
	drift, err := r.devices.Reconcile(ctx)
	if err != nil {
		if fatal(ctx, err) {
			if end := ctx.Err(); end != nil && !errors.Is(err, end) {
				err = fmt.Errorf("%w: %w", end, err)
			}
			return err
		}
		r.report.Unlisted = append(r.report.Unlisted, Finding{Table: r.table, Reason: err.Error()})
	}
	for _, res := range drift.Orphans {
		r.add(&r.report.Orphans, Finding{r.table, res.ID, res.Name, "stamp " + res.Stamp.String() + ", " + res.Presence.String()})
	}
	for _, dev := range drift.Missing {
		r.add(&r.report.Missing, Finding{r.table, dev.ID, dev.Name, "its resource is not there"})
	}
	return nil
}

// observe lists what is faulty or unclaimed, and changes nothing.
func (r *run) observe() error {
	for rec, err := range r.devices.Records() {
		switch {
		case errors.Is(err, store.ErrCorrupt), err == nil && faulty(rec):
			r.add(&r.report.Faulty, finding(r.table, rec, err))
		case err != nil:
			return err
		case unclaimed(rec):
			r.add(&r.report.Unclaimed, finding(r.table, rec, nil))
		}
	}
	return nil
}
