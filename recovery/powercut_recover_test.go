//go:build linux

package recovery_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// errPower is what a call gets in which the power fails.
var errPower = errors.New("power failure")

// A dying is a backing in whose next call the power fails half way. From then on it
// answers nothing, so that its store concludes nothing either.
type dying struct {
	*backing.Dir
	dead   bool
	create bool // else in Remove
	root   string
}

func (b *dying) Create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	if b.dead || !b.create {
		return b.Dir.Create(ctx, dev)
	}
	b.dead = true
	half := filepath.Join(b.root, "staging", fmt.Sprintf("%08x-%v", uint32(dev.ID), dev.Stamp), "data")
	if err := os.MkdirAll(half, 0o700); err != nil {
		return nil, err
	}
	return nil, errors.Join(errPower, os.WriteFile(filepath.Join(half, "content"), []byte("half a copy"), 0o600))
}

func (b *dying) Remove(ctx context.Context, dev store.Device) error {
	if b.dead || b.create {
		return b.Dir.Remove(ctx, dev)
	}
	b.dead = true
	name := filepath.Join(b.root, "trash", fmt.Sprintf("%08x-%v", uint32(dev.ID), dev.Stamp))
	if err := os.Rename(filepath.Dir(b.Path(dev.ID)), name); err != nil {
		return err
	}
	return errors.Join(errPower, os.Remove(filepath.Join(name, "stamp")))
}

func (b *dying) Probe(ctx context.Context, id store.DeviceID) (store.Presence, store.Stamp, error) {
	if b.dead {
		return store.Unknown, store.Stamp{}, errPower
	}
	return b.Dir.Probe(ctx, id)
}

func (b *dying) List(ctx context.Context) iter.Seq2[store.Resource, error] {
	if b.dead {
		return func(yield func(store.Resource, error) bool) { yield(store.Resource{}, errPower) }
	}
	return b.Dir.List(ctx)
}

// halves leaves a device half made, one half removed, and one that is whole and that
// nobody has claimed.
func halves(dir string) error {
	if err := cutSetup(dir); err != nil {
		return err
	}
	d, err := startDaemon(filepath.Join(dir))
	if err != nil {
		return err
	}
	_, err = d.devices.Prepare(context.Background(), "own-left", store.Spec{Parent: cutBase})
	if err = errors.Join(err, d.stop()); err != nil {
		return err
	}
	for _, b := range []*dying{{create: true}, {}} {
		if err := b.leave(dir); err != nil {
			return err
		}
	}
	return nil
}

// leave opens the daemon's store on b and has the power fail in one call.
func (b *dying) leave(dir string) (err error) {
	ctx := context.Background()
	b.root = filepath.Join(dir, "pool")
	if b.Dir, err = backing.OpenDir(b.root); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	db, err := store.Open(ctx, filepath.Join(dir, "store"), store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	devices, err := db.OpenDevices(ctx, tableName, store.DevicesOptions{Backing: b, FirstID: 1, LastID: 64})
	if err != nil {
		return err
	}
	if b.create {
		_, err = devices.Create(ctx, "lone-half-made", store.Spec{Parent: cutBase})
	} else {
		var dev store.Device
		if dev, err = devices.Create(ctx, "lone-half-removed", store.Spec{Parent: cutBase}); err == nil {
			err = devices.Remove(ctx, dev)
		}
	}
	if !errors.Is(err, errPower) {
		return fmt.Errorf("the power has not failed: %w", err)
	}
	return nil
}

// Recovery of half-made and half-removed devices is cut off, and the recovery from
// that, and so on: what is left in the end is the same.
func TestPowerCutSettling(t *testing.T) {
	faultfs.Run(t, faultfs.Test{
		Setup: halves,
		Work: func(w *faultfs.W) error {
			d, err := startDaemon(w.Dir())
			if err != nil {
				return err
			}
			w.Ack("recovered", len(d.report.Undone)+len(d.report.Removed))
			return d.stop()
		},
		Recover: restarted,
		Verify: func(s *faultfs.State) error {
			for _, n := range faultfs.Args[int](s.Acked("recovered")) {
				if n != 3 {
					return fmt.Errorf("%d devices were settled, not 3", n)
				}
			}
			d, err := startDaemon(s.Dir())
			if err != nil {
				return err
			}
			found, err := d.picture()
			if err == nil && len(found) != 1 {
				err = fmt.Errorf("(7) left: %v", found)
			}
			return errors.Join(err, idle(d.report), d.consistent(), (progress{}).next(d, 0, nil), d.stop())
		},
	}, faultfs.Models(faultfs.Posix4K, faultfs.Ext4), faultfs.States(400), faultfs.Nested(2))
}

// The very first start: the directories, the backing with its identity, the store and
// the table that is bound to it. Whatever is there of them, the next start works, and
// once a device is acknowledged everything is the same as it was.
func TestPowerCutFirstStart(t *testing.T) {
	faultfs.Run(t, faultfs.Test{
		Work: func(w *faultfs.W) error {
			d, err := startDaemon(w.Dir())
			if err != nil {
				return err
			}
			identity, err := d.pool.Identity(context.Background())
			if err != nil {
				return err
			}
			w.Ack("start", identity, d.db.Identity())
			w.Begin("create")
			if _, err := d.devices.Create(context.Background(), "lone-first", store.Spec{}); err != nil {
				return err
			}
			w.Ack("create")
			return d.stop()
		},
		Recover: restarted,
		Verify: func(s *faultfs.State) error {
			d, err := startDaemon(s.Dir())
			if err != nil {
				return err
			}
			return errors.Join(firstStart(s, d), idle(d.report), d.consistent(), d.stop())
		},
	}, faultfs.Models(faultfs.Posix4K, faultfs.Ext4, faultfs.PosixWeak), faultfs.States(400), faultfs.Nested(1))
}

func firstStart(s *faultfs.State, d *daemon) error {
	ctx := context.Background()
	identity, err := d.pool.Identity(ctx)
	if err != nil {
		return err
	}
	for _, m := range s.Acked("start") {
		var pool, db string
		if err := m.Scan(&pool, &db); err != nil {
			return err
		}
		if pool != identity || db != d.db.Identity() {
			return errors.New("(1) the identities have changed")
		}
	}
	if _, err := d.devices.Get("lone-first"); err != nil {
		if len(s.Acked("create")) > 0 {
			return fmt.Errorf("(1) %w", err)
		}
		if _, err := d.devices.Create(ctx, "lone-first", store.Spec{}); err != nil {
			return fmt.Errorf("(10) %w", err)
		}
	}
	return nil
}

var _ recovery.Owner = (*daemon)(nil).owner
