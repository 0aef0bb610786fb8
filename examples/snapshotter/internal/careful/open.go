package careful

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/step"
	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// Open opens the snapshotter in dir, which it makes when missing, and settles
// whatever a crash left. The device table works on what wrap makes of the backing,
// which is how points and faults come between the two.
func Open(ctx context.Context, dir string, points *step.Points, wrap func(store.Backing) store.Backing) (_ *Snapshotter, err error) {
	s := &Snapshotter{
		owner:   owner{database{points: points}},
		pool:    database{points: points},
		devices: table{points: points},
	}
	err = points.Around("backing.OpenDir", func() error {
		s.volumes, err = backing.OpenDir(filepath.Join(dir, VolumesDir))
		return err
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	s.backing = wrap(s.volumes)
	err = points.Around("store.Open", func() error {
		s.owner.db, err = store.Open(ctx, filepath.Join(dir, OwnerDir), store.Options{})
		return err
	})
	if err != nil {
		return nil, err
	}
	options := recovery.Options{Tables: []recovery.Table{{
		Name:           Table,
		DevicesOptions: store.DevicesOptions{Backing: s.backing},
		Owner:          s.owner.live,
	}}}
	err = points.Around("recovery.Open", func() error {
		s.pool.db, _, err = recovery.Open(ctx, filepath.Join(dir, DevicesDir), options)
		return err
	})
	if err != nil {
		return nil, err
	}
	if s.devices.devices, err = s.pool.db.Devices(Table); err != nil {
		return nil, err
	}
	err = points.Around("recovery.Scrub", func() error {
		_, err := recovery.Scrub(ctx, s.devices.devices)
		return err
	})
	return s, err
}
