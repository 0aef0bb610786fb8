package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/driftlesskv/driftless/store"
)

// A call whose context is done makes no claim that does not hold, and Create makes
// nothing.
func canceled(ctx context.Context, w *world) error {
	there, missing := device(1, 1), device(2, 2)
	if _, err := w.create(ctx, there); err != nil {
		return err
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	return steps(
		func() error { return w.wantHonest(done, there, store.Present) },
		func() error { return w.wantHonest(done, missing, store.Absent) },
		func() error {
			if all, err := w.list(done); err == nil && len(all) != 1 {
				return fmt.Errorf("list with a context that is done yields %d of 1 resources and no error", len(all))
			}
			return nil
		},
		func() error {
			_, err := w.Backing.Create(done, missing)
			return wantError("create with a context that is done", err, context.Canceled)
		},
		func() error { return w.wantAbsent(ctx, missing) },
		func() error {
			if err := w.Backing.Remove(done, there); err == nil {
				return w.wantAbsent(ctx, there)
			}
			return w.remove(ctx, there)
		},
		func() error { return w.wantAbsent(ctx, there, missing) },
		func() error { return w.wantList(ctx, store.Present) },
	)
}

// wantHonest fails when a probe that need not succeed answers something untrue.
func (w *world) wantHonest(ctx context.Context, dev store.Device, truth store.Presence) error {
	presence, _, err := w.Probe(ctx, dev.ID)
	if err == nil && presence != store.Unknown && presence != truth {
		return fmt.Errorf("probe of id %v, which is %v, answers %v and no error", dev.ID, truth, presence)
	}
	return nil
}

// While the medium cannot be read nothing is absent, no listing is complete and
// nothing succeeds.
func brokenMedium(ctx context.Context, w *world) (err error) {
	there, missing, second := device(1, 1), device(2, 2), device(3, 3)
	for _, dev := range []store.Device{there, second} {
		if _, err := w.create(ctx, dev); err != nil {
			return err
		}
	}
	heal, err := w.Break()
	if err != nil {
		return fmt.Errorf("break the medium: %w", err)
	}
	err = steps(
		func() error { return w.wantHonest(ctx, there, store.Present) },
		func() error {
			presence, _, err := w.Probe(ctx, missing.ID)
			if err == nil && presence != store.Unknown {
				return fmt.Errorf("probe on a broken medium answers %v and no error", presence)
			}
			return nil
		},
		func() error {
			if all, err := w.list(ctx); err == nil {
				return fmt.Errorf("list on a broken medium yields %d of 2 resources and no error", len(all))
			}
			return nil
		},
		func() error {
			if _, err := w.Backing.Create(ctx, missing); err == nil {
				return fmt.Errorf("create on a broken medium returns nil")
			}
			if err := w.Backing.Remove(ctx, device(4, 4)); err == nil {
				return fmt.Errorf("remove on a broken medium returns nil")
			}
			return nil
		},
	)
	if healErr := heal(); healErr != nil {
		return errors.Join(err, fmt.Errorf("heal the medium: %w", healErr))
	}
	if err != nil {
		return err
	}
	return steps(
		func() error { return w.wantPresent(ctx, there, second) },
		func() error { return w.remove(ctx, missing) }, // whatever was left of the failed create
		func() error { return w.wantList(ctx, store.Present, there, second) },
	)
}

// A half-made resource is Partial, listed, and in the way of others.
func halfMadeShown(ctx context.Context, w *world) error {
	whole, half := device(1, 1), device(2, 2)
	return steps(
		func() error { _, err := w.create(ctx, whole); return err },
		func() error { return w.interrupt(ctx, half) },
		func() error { return w.wantProbe(ctx, half.ID, store.Partial, half.Stamp) },
		func() error { return w.wantPresent(ctx, whole) },
		func() error {
			all, err := w.list(ctx)
			if err != nil {
				return err
			}
			res, ok := all[half.ID]
			if !ok || len(all) != 2 {
				return fmt.Errorf("list yields %d resources, the half-made one among them: %t", len(all), ok)
			}
			return wantResource(res, half, store.Partial)
		},
		func() error {
			_, err := w.Backing.Create(ctx, device(half.ID, 3))
			return wantError("create on an id that another stamp has half made", err, store.ErrExists)
		},
		func() error {
			err := w.Backing.Remove(ctx, device(half.ID, 3))
			return wantError("remove of an id that another stamp has half made", err, store.ErrStale)
		},
		func() error { return w.wantProbe(ctx, half.ID, store.Partial, half.Stamp) },
	)
}

// Create completes what it was interrupted in.
func halfMadeCompleted(ctx context.Context, w *world) error {
	parent := device(1, 1)
	half := child(2, 2, parent)
	return steps(
		func() error { _, err := w.create(ctx, parent); return err },
		func() error {
			if w.Write == nil || w.Read == nil {
				return nil
			}
			return w.Write(parent.ID, "of the parent")
		},
		func() error { return w.interrupt(ctx, half) },
		func() error { _, err := w.create(ctx, half); return err },
		func() error { return w.wantPresent(ctx, parent, half) },
		func() error { return w.wantList(ctx, store.Present, parent, half) },
		func() error {
			if w.Write == nil || w.Read == nil {
				return nil
			}
			return w.wantContent(half, "of the parent")
		},
	)
}

// Remove clears away what Create was interrupted in.
func halfMadeRemoved(ctx context.Context, w *world) error {
	half, next := device(2, 2), device(2, 3)
	return steps(
		func() error { return w.interrupt(ctx, half) },
		func() error { return w.remove(ctx, half) },
		func() error { return w.wantAbsent(ctx, half) },
		func() error { return w.wantList(ctx, store.Present) },
		func() error { _, err := w.create(ctx, next); return err },
		func() error { return w.wantPresent(ctx, next) },
	)
}

// interrupt leaves dev half made and restarts.
func (w *world) interrupt(ctx context.Context, dev store.Device) error {
	if err := w.shut(); err != nil {
		return err
	}
	if err := w.Interrupt(ctx, dev); err != nil {
		return fmt.Errorf("leave id %v half made: %w", dev.ID, err)
	}
	return w.reopen()
}

// A resource in use is not removed, and is once it is free.
func busy(ctx context.Context, w *world) error {
	dev := device(1, 1)
	if _, err := w.create(ctx, dev); err != nil {
		return err
	}
	free, err := w.Busy(dev.ID)
	if err != nil {
		return fmt.Errorf("keep id %v busy: %w", dev.ID, err)
	}
	err = wantError("remove of a busy id", w.Backing.Remove(ctx, dev), store.ErrBusy)
	if err == nil {
		var presence store.Presence
		presence, _, err = w.Probe(ctx, dev.ID)
		if err == nil && presence == store.Absent {
			err = fmt.Errorf("probe of id %v, which is busy, answers %v", dev.ID, presence)
		}
	}
	if freeErr := free(); freeErr != nil {
		return errors.Join(err, fmt.Errorf("free id %v: %w", dev.ID, freeErr))
	}
	if err != nil {
		return err
	}
	return steps(
		func() error { return w.remove(ctx, dev) },
		func() error { return w.wantAbsent(ctx, dev) },
	)
}
