package main

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"sync"

	"github.com/driftlesskv/driftless/bench/internal/cost"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

var subjects = []cost.Subject{
	{Name: "driftless, no resource", Data: "store/data.db", Open: openNothing},
	{Name: "driftless, directories", Data: "store/data.db", Open: openDirectories},
}

func openNothing(ctx context.Context, dir string) (cost.Instance, error) {
	return open(ctx, dir, &nothing{})
}

func openDirectories(ctx context.Context, dir string) (cost.Instance, error) {
	directories, err := backing.OpenDir(filepath.Join(dir, "devices"))
	if err != nil {
		return cost.Instance{}, err
	}
	instance, err := open(ctx, dir, directories)
	if err != nil {
		return cost.Instance{}, errors.Join(err, directories.Close())
	}
	closeStore := instance.Close
	instance.Close = func() error { return errors.Join(closeStore(), directories.Close()) }
	return instance, nil
}

// open opens a store as nearly everyone does: with no options.
func open(ctx context.Context, dir string, b store.Backing) (cost.Instance, error) {
	db, err := store.Open(ctx, filepath.Join(dir, "store"), store.Options{})
	if err != nil {
		return cost.Instance{}, err
	}
	devices, err := db.OpenDevices(ctx, "pool", store.DevicesOptions{Backing: b})
	if err != nil {
		return cost.Instance{}, errors.Join(err, db.Close())
	}
	return cost.Instance{
		Create: func(ctx context.Context, name string) error {
			_, err := devices.Create(ctx, name, store.Spec{})
			return err
		},
		Close: db.Close,
	}, nil
}

// nothing is a backing whose resources cost nothing and end with the process: what
// is measured with it is metadata.
type nothing struct {
	made sync.Map // DeviceID -> Stamp
}

func (n *nothing) Identity(context.Context) (string, error) { return "nothing", nil }

func (n *nothing) Create(_ context.Context, dev store.Device) (store.Attrs, error) {
	n.made.Store(dev.ID, dev.Stamp)
	return nil, nil
}

func (n *nothing) Remove(_ context.Context, dev store.Device) error {
	n.made.Delete(dev.ID)
	return nil
}

func (n *nothing) Probe(_ context.Context, id store.DeviceID) (store.Presence, store.Stamp, error) {
	if stamp, ok := n.made.Load(id); ok {
		return store.Present, stamp.(store.Stamp), nil
	}
	return store.Absent, store.Stamp{}, nil
}

func (n *nothing) List(context.Context) iter.Seq2[store.Resource, error] {
	return func(yield func(store.Resource, error) bool) {
		n.made.Range(func(id, stamp any) bool {
			return yield(store.Resource{ID: id.(store.DeviceID), Stamp: stamp.(store.Stamp), Presence: store.Present}, nil)
		})
	}
}
