package step

import (
	"context"
	"iter"

	"github.com/driftlesskv/driftless/store"
)

// BackingCalls are the calls whose points a backing returned by Backing passes.
var BackingCalls = []string{
	"Backing.Identity", "Backing.Create", "Backing.Remove", "Backing.Probe", "Backing.List",
}

// Backing returns b with a point before and after each of its calls.
func Backing(b store.Backing, p *Points) store.Backing { return stepped{b, p} }

type stepped struct {
	backing store.Backing
	points  *Points
}

func (s stepped) Identity(ctx context.Context) (id string, err error) {
	err = s.points.Around("Backing.Identity", func() error {
		id, err = s.backing.Identity(ctx)
		return err
	})
	return id, err
}

func (s stepped) Create(ctx context.Context, dev store.Device) (attrs store.Attrs, err error) {
	err = s.points.Around("Backing.Create", func() error {
		attrs, err = s.backing.Create(ctx, dev)
		return err
	})
	return attrs, err
}

func (s stepped) Remove(ctx context.Context, dev store.Device) error {
	return s.points.Around("Backing.Remove", func() error {
		return s.backing.Remove(ctx, dev)
	})
}

func (s stepped) Probe(ctx context.Context, id store.DeviceID) (is store.Presence, stamp store.Stamp, err error) {
	err = s.points.Around("Backing.Probe", func() error {
		is, stamp, err = s.backing.Probe(ctx, id)
		return err
	})
	return is, stamp, err
}

func (s stepped) List(ctx context.Context) iter.Seq2[store.Resource, error] {
	return func(yield func(store.Resource, error) bool) {
		_ = s.points.Around("Backing.List", func() error { // yields its errors
			s.backing.List(ctx)(yield)
			return nil
		})
	}
}
