package store

import (
	"context"
	"errors"
	"fmt"
)

// A Drift is what Reconcile found on one side only.
type Drift struct {
	Orphans []Resource // resources that no record names
	Missing []Device   // usable devices whose resource is certainly not there
}

// Reconcile compares the backing's list with the table. The id of an orphan becomes
// faulty, so that no creation meets it; the resource is left alone. A missing
// device is left alone too. Every finding is looked at twice, so operations may go
// on meanwhile. After an error nothing is known of what was not yet looked at.
func (d *Devices) Reconcile(ctx context.Context) (Drift, error) {
	const op = "reconcile"
	leave, err := d.enter(ctx, op, "", 0)
	if err != nil {
		return Drift{}, err
	}
	defer leave()
	drift, err := d.reconcile(ctx)
	if err != nil {
		err = &OpError{Op: op, Err: err}
	}
	return drift, err
}

func (d *Devices) reconcile(ctx context.Context) (drift Drift, err error) {
	listed := map[Ref]bool{}
	var suspects []Resource
	for res, err := range d.opts.Backing.List(ctx) {
		if err != nil {
			return drift, fmt.Errorf("list resources: %w", err)
		}
		listed[Ref{res.ID, res.Stamp}] = true
		if explained, err := d.explains(res); err != nil {
			return drift, err
		} else if !explained {
			suspects = append(suspects, res)
		}
	}
	if err := d.same(ctx); err != nil {
		return drift, fmt.Errorf("list resources: %w", err)
	}
	// A second list tells what the first one met on its way out.
	if suspects, err = d.listedStill(ctx, suspects); err != nil {
		return drift, err
	}
	for _, res := range suspects {
		orphan, err := d.seize(ctx, res)
		if err != nil {
			return drift, err
		}
		if orphan {
			drift.Orphans = append(drift.Orphans, res)
		}
	}
	if drift.Missing, err = d.missing(ctx, listed); err != nil {
		return drift, err
	}
	return drift, d.clearDoubt(ctx)
}

// clearDoubt lets ids be handed out again, after the whole list has been compared.
func (d *Devices) clearDoubt(ctx context.Context) error {
	doubt, err := ask(ctx, d, func() bool { return d.ids.doubt })
	if err != nil || !doubt {
		return err
	}
	return d.db.update(ctx, func(tx *Tx) error {
		was := d.ids.doubt
		d.ids.doubt = false
		tx.aborts = append(tx.aborts, func() { d.ids.doubt = was })
		return tx.delete(metaBucket, doubtPrefix+d.table)
	})
}

// ask returns what the index says, which is the writer's.
func ask[T any](ctx context.Context, d *Devices, f func() T) (answer T, err error) {
	err = d.db.lazily(ctx, func(*Tx) error {
		answer = f()
		return nil
	})
	return answer, err
}

// explains tells whether a record names the resource.
func (d *Devices) explains(res Resource) (bool, error) {
	rec, err := d.lookup(res.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case errors.Is(err, ErrCorrupt):
		return true, nil // the damaged record holds the id
	case err != nil:
		return false, err
	}
	// Unknown: it may be the record's own, and the id is held in any case.
	return res.Presence == Unknown || rec.owns(res.Presence, res.Stamp), nil
}

// listedStill returns those of suspects that the backing still lists.
func (d *Devices) listedStill(ctx context.Context, suspects []Resource) (still []Resource, err error) {
	if len(suspects) == 0 {
		return nil, nil
	}
	type key struct {
		Ref
		name string // tells those apart that have no id
	}
	again := map[key]bool{}
	for res, err := range d.opts.Backing.List(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list resources: %w", err)
		}
		again[key{Ref{res.ID, res.Stamp}, res.Name}] = true
	}
	for _, res := range suspects {
		if again[key{Ref{res.ID, res.Stamp}, res.Name}] {
			still = append(still, res)
		}
	}
	return still, nil
}

// seize looks for the record of a resource again, with its id locked, and if still
// none names it makes a free id of its faulty.
func (d *Devices) seize(ctx context.Context, res Resource) (orphan bool, err error) {
	unlock, err := d.idLocks.lock(ctx, res.ID)
	if err != nil {
		return false, err
	}
	defer unlock()
	if explained, err := d.explains(res); err != nil || explained {
		return false, err
	}
	return true, d.db.update(ctx, func(tx *Tx) error {
		if !d.ids.free.has(res.ID) {
			return nil // out of range, or held by a record of another stamp
		}
		d.ids.reserve(tx, res.ID)
		rec := Record{
			Device: Device{ID: res.ID},
			State:  Faulty, Phase: Creating, Since: now(),
		}
		if checkName("name", res.Name) == nil {
			rec.Name = res.Name
		}
		rec.note(fmt.Sprintf("%v: %v under stamp %v", errForeign, res.Presence, res.Stamp))
		tx.put(d.records, idKey(res.ID), rec.encode())
		return nil
	})
}

// missing returns the usable devices that were not listed and are absent.
func (d *Devices) missing(ctx context.Context, listed map[Ref]bool) (gone []Device, err error) {
	var suspects []Device
	for dev, err := range d.List() {
		switch {
		case errors.Is(err, ErrCorrupt):
		case err != nil:
			return nil, err
		case !listed[dev.Ref()]:
			suspects = append(suspects, dev)
		}
	}
	for _, dev := range suspects {
		absent, err := d.absent(ctx, dev)
		if err != nil {
			return nil, err
		}
		if absent {
			gone = append(gone, dev)
		}
	}
	return gone, nil
}

// absent looks, with the id locked, whether the resource of a device that is usable
// is certainly not there.
func (d *Devices) absent(ctx context.Context, dev Device) (bool, error) {
	unlock, err := d.idLocks.lock(ctx, dev.ID)
	if err != nil {
		return false, err
	}
	defer unlock()
	presence, stamp, _ := d.probe(ctx, dev.ID) // on an error it is Unknown: nothing is concluded
	if err := ctx.Err(); err != nil {
		return false, err
	}
	rec, err := d.lookup(dev.ID)
	if err != nil || rec.Ref() != dev.Ref() || rec.State != Taken || rec.Phase != Ready {
		return false, nil
	}
	return presence == Absent || presence == Present && stamp != rec.Stamp, nil
}
