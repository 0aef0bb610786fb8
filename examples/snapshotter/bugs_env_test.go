package main

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/audit"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/careful"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/churn"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/naive"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/step"
	"github.com/driftlesskv/driftless/store"
)

// A fault is what the outside world does instead of what it is asked for. A nil
// function stands for a world that works.
type fault struct {
	create func() error // before anything is created
	made   func() error // after it was created
	remove func() error
	look   func() error // when it is asked what is there
}

func call(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

func always(err error) func() error { return func() error { return err } }

type faultyBacking struct {
	store.Backing
	fault
}

func (b faultyBacking) Create(ctx context.Context, dev store.Device) (attrs store.Attrs, err error) {
	if err = call(b.create); err == nil {
		if attrs, err = b.Backing.Create(ctx, dev); err == nil {
			err = call(b.made)
		}
	}
	return attrs, err
}

func (b faultyBacking) Remove(ctx context.Context, dev store.Device) error {
	if err := call(b.remove); err != nil {
		return err
	}
	return b.Backing.Remove(ctx, dev)
}

func (b faultyBacking) Probe(ctx context.Context, id store.DeviceID) (store.Presence, store.Stamp, error) {
	if err := call(b.look); err != nil {
		return store.Unknown, store.Stamp{}, err
	}
	return b.Backing.Probe(ctx, id)
}

func (b faultyBacking) List(ctx context.Context) iter.Seq2[store.Resource, error] {
	if err := call(b.look); err != nil {
		return func(yield func(store.Resource, error) bool) { yield(store.Resource{}, err) }
	}
	return b.Backing.List(ctx)
}

type faultyVolumes struct {
	naive.Volumes
	fault
}

func (v faultyVolumes) Create(id, parent uint32) error {
	err := call(v.create)
	if err == nil {
		if err = v.Volumes.Create(id, parent); err == nil {
			err = call(v.made)
		}
	}
	return err
}

func (v faultyVolumes) Remove(id uint32) error {
	if err := call(v.remove); err != nil {
		return err
	}
	return v.Volumes.Remove(id)
}

func (v faultyVolumes) Check(id uint32) error {
	if err := call(v.look); err != nil {
		return err
	}
	return v.Volumes.Check(id)
}

// A place is the directory of a snapshotter of one of the two kinds.
type place struct {
	*testing.T
	dir     string
	naive   bool
	archive string
}

// each runs a test of a bug twice: the naive snapshotter has the bug, the careful
// one has not.
func each(t *testing.T, naively, carefully func(p *place)) {
	archives, _, err := layer.Sources(t.TempDir())
	require.NoError(t, err)
	t.Run("naive", func(t *testing.T) {
		naively(&place{T: t, dir: t.TempDir(), naive: true, archive: archives[0]})
	})
	t.Run("careful", func(t *testing.T) {
		carefully(&place{T: t, dir: t.TempDir(), archive: archives[0]})
	})
}

func (p *place) tryOpen(f fault) (snapshot.Snapshotter, error) {
	if p.naive {
		return naive.Open(p.dir, &step.Points{}, func(v naive.Volumes) naive.Volumes { return faultyVolumes{v, f} })
	}
	return careful.Open(p.Context(), p.dir, &step.Points{}, func(b store.Backing) store.Backing { return faultyBacking{b, f} })
}

// session opens the snapshotter in a world with faults, runs fn, and closes it: one
// run of a daemon.
func (p *place) session(f fault, fn func(s snapshot.Snapshotter)) {
	s, err := p.tryOpen(f)
	require.NoError(p, err)
	if fn != nil {
		fn(s)
	}
	require.NoError(p, s.Close())
}

// prepare makes snapshots in a world without faults.
func (p *place) prepare(keys ...string) {
	p.session(fault{}, func(s snapshot.Snapshotter) {
		for _, key := range keys {
			_, err := s.Prepare(p.Context(), key, "", p.archive)
			require.NoError(p, err)
		}
	})
}

// kill has a child carry out a command, and die at the first passing of a step.
func (p *place) kill(at string, op churn.Op, key string) {
	orders, err := json.Marshal(churn.Orders{Dir: p.dir, Naive: p.naive, Workers: 1, Step: at, Hit: 1})
	require.NoError(p, err)
	command, err := json.Marshal(churn.Command{Seq: 1, Op: op, Key: key, Archive: p.archive})
	require.NoError(p, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), churn.ChildEnv+"="+string(orders))
	cmd.Stdin = bytes.NewReader(command)
	out, err := cmd.CombinedOutput()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(p, status.Signaled() && status.Signal() == syscall.SIGKILL, "%v: %s", err, out)
}

// picture returns what is on the disk while nothing runs.
func (p *place) picture() audit.Picture {
	var found audit.Picture
	var err error
	if p.naive {
		found, err = audit.Naive(p.dir)
	} else {
		found, err = audit.Careful(p.Context(), p.dir)
	}
	require.NoError(p, err)
	return found
}

// requireNothing fails unless every id is free and every directory gone.
func (p *place) requireNothing() {
	found := p.picture()
	require.Empty(p, found.Devices)
	require.Empty(p, found.Volumes)
}

// holder returns the id that the device of that name has.
func (p *place) holder(name string) uint32 {
	for _, d := range p.picture().Devices {
		if d.Name == name {
			return d.ID
		}
	}
	require.Fail(p, "no device "+name)
	return 0
}

// volumes returns the path of the directory that holds all content.
func (p *place) volumes() string { return filepath.Join(p.dir, naive.VolumesDir) }

// databases returns the paths of what holds all records.
func (p *place) databases() []string {
	if p.naive {
		return []string{filepath.Join(p.dir, naive.OwnerFile), filepath.Join(p.dir, naive.PoolFile)}
	}
	return []string{filepath.Join(p.dir, careful.OwnerDir), filepath.Join(p.dir, careful.DevicesDir)}
}
