package careful

import (
	"context"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/step"
	"github.com/driftlesskv/driftless/store"
)

// Calls are the library's public calls that this package makes. A process can be
// killed before and after each of them, and each of step.BackingCalls.
var Calls = []string{
	"backing.OpenDir", "store.Open", "recovery.Open", "recovery.Scrub", "DB.Update", "DB.View", "DB.Close",
	"Devices.Prepare", "Devices.Claim", "Devices.Get", "Devices.Unclaim", "Devices.Remove",
}

// A database is a store.DB with points around its calls.
type database struct {
	db     *store.DB
	points *step.Points
}

func (d database) update(ctx context.Context, fn func(*store.Tx) error) error {
	return d.points.Around("DB.Update", func() error { return d.db.Update(ctx, fn) })
}

func (d database) view(fn func(*store.Tx) error) error {
	return d.points.Around("DB.View", func() error { return d.db.View(fn) })
}

// close also takes a database that was never opened.
func (d database) close() error {
	if d.db == nil {
		return nil
	}
	return d.points.Around("DB.Close", d.db.Close)
}

// A table is a store.Devices with points around its calls.
type table struct {
	devices *store.Devices
	points  *step.Points
}

func (t table) prepare(ctx context.Context, name string, spec store.Spec) (dev store.Device, err error) {
	err = t.points.Around("Devices.Prepare", func() error {
		dev, err = t.devices.Prepare(ctx, name, spec)
		return err
	})
	return dev, err
}

func (t table) get(name string) (dev store.Device, err error) {
	err = t.points.Around("Devices.Get", func() error {
		dev, err = t.devices.Get(name)
		return err
	})
	return dev, err
}

func (t table) claim(ctx context.Context, dev store.Device) error {
	return t.points.Around("Devices.Claim", func() error { return t.devices.Claim(ctx, dev) })
}

func (t table) unclaim(ctx context.Context, dev store.Device) error {
	return t.points.Around("Devices.Unclaim", func() error { return t.devices.Unclaim(ctx, dev) })
}

func (t table) remove(ctx context.Context, dev store.Device) error {
	return t.points.Around("Devices.Remove", func() error { return t.devices.Remove(ctx, dev) })
}
