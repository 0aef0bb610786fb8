package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/store"
)

// cutPower checks a rule that simulates power cuts, or reports that it was not checked.
func cutPower(t testing.TB, r rule, h Harness) {
	t.Helper()
	if h.Close != nil {
		defer func() {
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		}()
	}
	if h.In == nil {
		t.Skip((&missingError{"In: its resources are not files in a directory"}).Error())
	}
	r.cut(t, h.In)
}

// A durableStep is one call whose effect must survive a power cut once it returned.
type durableStep struct {
	remove bool
	dev    store.Device
}

// durableSteps make devices with and without a parent, remove some, and use an id
// again. The parent is there before.
func durableSteps() (parent store.Device, steps []durableStep) {
	parent = device(1, 1)
	copied, single := child(2, 2, parent), device(3, 3)
	return parent, []durableStep{
		{dev: copied},
		{dev: single},
		{remove: true, dev: copied},
		{dev: device(2, 4)},
		{remove: true, dev: single},
		{remove: true, dev: parent},
	}
}

// durableContent is what the parent holds.
const durableContent = "of the parent"

// Create and Remove return only when their effect survives a power cut. Until then a
// power cut leaves what Probe can name and the same call completes.
func durable(t faultfs.TB, in func(dir string) Harness) {
	t.Helper()
	faultfs.Run(t, faultfs.Test{
		Setup: func(dir string) error { return inWorld(in(dir), durableSetup) },
		Work: func(w *faultfs.W) error {
			return inWorld(in(w.Dir()), func(ctx context.Context, world *world) error { return durableWork(ctx, w, world) })
		},
		Verify: func(s *faultfs.State) error {
			return inWorld(in(s.Dir()), func(ctx context.Context, world *world) error { return durableVerify(ctx, s, world) })
		},
	}, faultfs.States(1500), faultfs.Budget(time.Minute))
}

// inWorld opens the backing of h, calls f and closes it.
func inWorld(h Harness, f func(ctx context.Context, w *world) error) error {
	w, err := newWorld(func() (Harness, error) { return h, nil })
	if err != nil {
		return err
	}
	if err = w.reopen(); err == nil {
		err = f(context.Background(), w)
	}
	return errors.Join(err, w.close())
}

func durableSetup(ctx context.Context, w *world) error {
	parent, _ := durableSteps()
	if _, err := w.create(ctx, parent); err != nil {
		return err
	}
	if w.Write == nil || w.Read == nil {
		return nil
	}
	return w.Write(parent.ID, durableContent)
}

func durableWork(ctx context.Context, marks *faultfs.W, w *world) error {
	_, steps := durableSteps()
	for i, s := range steps {
		marks.Begin("call", i)
		err := w.do(ctx, s)
		if err != nil {
			return err
		}
		marks.Ack("call", i)
	}
	return nil
}

func (w *world) do(ctx context.Context, s durableStep) error {
	if s.remove {
		return w.remove(ctx, s.dev)
	}
	_, err := w.create(ctx, s.dev)
	return err
}

// durableVerify compares what is there with what was acknowledged, then repeats the
// call that the power cut interrupted, and undoes everything.
func durableVerify(ctx context.Context, s *faultfs.State, w *world) error {
	parent, all := durableSteps()
	acked, begun := len(s.Acked("call")), len(s.Begun("call"))
	there := map[store.DeviceID]store.Device{parent.ID: parent}
	absent := map[store.DeviceID]store.Device{}
	after := func(done []durableStep) {
		for _, step := range done {
			if step.remove {
				delete(there, step.dev.ID)
				absent[step.dev.ID] = step.dev
			} else {
				there[step.dev.ID] = step.dev
				delete(absent, step.dev.ID)
			}
		}
	}
	after(all[:acked])
	inFlight := all[acked:begun]
	for _, step := range inFlight {
		if err := w.wantNamed(ctx, step.dev); err != nil {
			return err
		}
		delete(there, step.dev.ID)
		delete(absent, step.dev.ID)
	}
	if err := w.wantDurable(ctx, there, absent); err != nil {
		return fmt.Errorf("after %d acknowledged calls: %w", acked, err)
	}
	for _, step := range inFlight {
		if err := w.do(ctx, step); err != nil {
			return fmt.Errorf("the interrupted call repeated: %w", err)
		}
	}
	after(inFlight)
	return steps(
		func() error { return w.wantDurable(ctx, there, absent) },
		func() error { return w.wantOnly(ctx, there) },
		func() error { return w.reopen() },
		func() error { return w.wantOnly(ctx, there) },
		func() error { return w.another(ctx) },
	)
}

// wantNamed fails if something under another stamp has the id of a device that a call
// was interrupted in.
func (w *world) wantNamed(ctx context.Context, dev store.Device) error {
	presence, stamp, err := w.Probe(ctx, dev.ID)
	switch {
	case err != nil:
		return fmt.Errorf("probe of id %v: %w", dev.ID, err)
	case presence == store.Unknown:
		return fmt.Errorf("probe of id %v answers unknown and no error", dev.ID)
	case presence == store.Present && stamp != dev.Stamp, presence == store.Partial && stamp != dev.Stamp && !stamp.IsZero():
		return fmt.Errorf("probe of id %v answers %v under stamp %v, not %v", dev.ID, presence, stamp, dev.Stamp)
	case presence == store.Present:
		return w.wantWhole(dev)
	}
	return nil
}

// wantDurable fails unless some devices are there, whole, and others absent.
func (w *world) wantDurable(ctx context.Context, there, absent map[store.DeviceID]store.Device) error {
	for _, dev := range there {
		if err := errors.Join(w.wantPresent(ctx, dev), w.wantWhole(dev)); err != nil {
			return err
		}
	}
	for _, dev := range absent {
		if err := w.wantAbsent(ctx, dev); err != nil {
			return err
		}
	}
	return nil
}

// wantWhole fails unless the content of the parent and of its copy is the parent's.
func (w *world) wantWhole(dev store.Device) error {
	parent, _ := durableSteps()
	if w.Write == nil || w.Read == nil || dev.ID != parent.ID && dev.Parent.IsZero() {
		return nil
	}
	return w.wantContent(dev, durableContent)
}

func (w *world) wantOnly(ctx context.Context, there map[store.DeviceID]store.Device) error {
	devs := make([]store.Device, 0, len(there))
	for _, dev := range there {
		devs = append(devs, dev)
	}
	return w.wantList(ctx, store.Present, devs...)
}

// another makes and removes one more device.
func (w *world) another(ctx context.Context) error {
	next := device(4, 5)
	return steps(
		func() error { _, err := w.create(ctx, next); return err },
		func() error { return w.wantPresent(ctx, next) },
		func() error { return w.remove(ctx, next) },
		func() error { return w.wantAbsent(ctx, next) },
	)
}
