package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/driftlesskv/driftless/store"
)

// A loop over the listing may end early.
func listStops(ctx context.Context, w *world) error {
	devs := []store.Device{device(1, 1), device(2, 2), device(3, 3)}
	for _, dev := range devs {
		if _, err := w.create(ctx, dev); err != nil {
			return err
		}
	}
	for _, err := range w.List(ctx) {
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		break
	}
	return steps(
		func() error { return w.wantList(ctx, store.Present, devs...) },
		func() error { return w.removeAll(ctx, devs...) },
		func() error { return w.wantAbsent(ctx, devs...) },
	)
}

// A restart of the process changes nothing.
func reopen(ctx context.Context, w *world) error {
	kept, gone := device(1, 1), device(2, 2)
	return steps(
		func() error { _, err := w.create(ctx, kept); return err },
		func() error { _, err := w.create(ctx, gone); return err },
		func() error { return w.remove(ctx, gone) },
		w.reopen,
		func() error { return w.wantPresent(ctx, kept) },
		func() error { return w.wantAbsent(ctx, gone) },
		func() error { return w.wantList(ctx, store.Present, kept) },
		func() error { return w.remove(ctx, kept) },
		w.reopen,
		func() error { return w.wantAbsent(ctx, kept, gone) },
	)
}

// Calls for different ids run at once.
func concurrent(ctx context.Context, w *world) error {
	const n = 32
	var devs []store.Device
	for i := range n {
		devs = append(devs, device(store.DeviceID(i+1), uint64(i+1)))
	}
	return steps(
		func() error {
			return each(devs, func(dev store.Device) error { _, err := w.create(ctx, dev); return err })
		},
		func() error { return each(devs, func(dev store.Device) error { return w.wantPresent(ctx, dev) }) },
		func() error { return w.wantList(ctx, store.Present, devs...) },
		func() error {
			return each(devs, func(dev store.Device) error {
				if dev.ID%2 == 0 {
					return w.remove(ctx, dev)
				}
				_, err := w.create(ctx, dev)
				return err
			})
		},
		func() error {
			var odd []store.Device
			for _, dev := range devs {
				if dev.ID%2 == 1 {
					odd = append(odd, dev)
				}
			}
			return w.wantList(ctx, store.Present, odd...)
		},
	)
}

// each calls f for all devices at once.
func each(devs []store.Device, f func(store.Device) error) error {
	errs := make([]error, len(devs))
	var wg sync.WaitGroup
	for i, dev := range devs {
		wg.Go(func() { errs[i] = f(dev) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
