package recovery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"sync"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// A world is what a kill leaves: a directory with the store's file, and the
// resources of the backing. Every call of the backing is held at a gate before its
// effect, where the verdict decides what becomes of it, and at another one after it.
type world struct {
	sched *sched
	dir   string
	mem   *backing.Memory

	mu  sync.Mutex
	met []store.DeviceID // at which a Create met another stamp
}

const dataFile = "data.db" // the store's, see package store

// newWorld returns the world of a directory and a backing.
func newWorld(s *sched, dir string, mem *backing.Memory) *world {
	w := &world{sched: s, dir: dir, mem: mem}
	mem.Script(func(ctx context.Context, c backing.Call) backing.Verdict {
		v := s.hold(ctx, &gate{kind: string(c.Op), id: c.ID, stamp: c.Device.Stamp})
		if told, ok := ctx.Value(toldKey{}).(*verdict); ok {
			*told = v
		}
		switch v {
		case fail:
			return backing.Verdict{Effect: backing.Nothing, Err: errInjected}
		case failAfter, cutOff:
			return backing.Verdict{Err: errInjected}
		case half:
			return backing.Verdict{Effect: backing.Half, Err: errInjected}
		case busy:
			return backing.Verdict{Effect: backing.Nothing, Err: store.ErrBusy}
		case unknown, elsewhere:
			return backing.Verdict{Effect: backing.Nothing}
		case pass, cancel, live, gone:
		}
		return backing.Verdict{}
	})
	return w
}

// toldKey is where a call's context has the place for its verdict.
type toldKey struct{}

// told returns a context in which a call of the backing tells its verdict.
func told(ctx context.Context) (context.Context, *verdict) {
	v := new(verdict)
	return context.WithValue(ctx, toldKey{}, v), v
}

// copyTo returns a copy of w as it is now in a directory that is made for it. Its
// lock file says that the last writer did not get to Close.
func (w *world) copyTo(dir string) (*world, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("copy store: %w", err)
	}
	if err := copySparse(filepath.Join(dir, dataFile), filepath.Join(w.dir, dataFile)); err != nil {
		return nil, fmt.Errorf("copy store: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "LOCK"), []byte("1\n"), 0o600); err != nil {
		return nil, fmt.Errorf("copy store: %w", err)
	}
	return newWorld(w.sched, dir, w.mem.Clone()), nil
}

// copySparse copies a file without the pages that hold only zeros: the next Open
// flushes what was copied.
func copySparse(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	err = f.Truncate(int64(len(data)))
	var zeros [4096]byte
	for at := 0; at < len(data) && err == nil; at += len(zeros) {
		page := data[at:min(at+len(zeros), len(data))]
		if !bytes.Equal(page, zeros[:len(page)]) {
			_, err = f.WriteAt(page, int64(at))
		}
	}
	return errors.Join(err, f.Close())
}

// A truth is what is really there at one moment.
type truth map[store.DeviceID]store.Resource

// at returns the resource of id, an absent one when there is none.
func (t truth) at(id store.DeviceID) store.Resource {
	if res, ok := t[id]; ok {
		return res
	}
	return store.Resource{ID: id, Presence: store.Absent}
}

func (w *world) truth() truth {
	all := truth{}
	for _, res := range w.mem.Resources() {
		all[res.ID] = res
	}
	return all
}

// collisions returns the ids at which a Create met a resource of another stamp
// since it was asked before.
func (w *world) collisions() []store.DeviceID {
	w.mu.Lock()
	defer w.mu.Unlock()
	met := w.met
	w.met = nil
	return met
}

// left holds a call of the backing once more, before its caller learns of it.
func (w *world) left(ctx context.Context, op backing.Op, id store.DeviceID) {
	w.sched.hold(ctx, &gate{kind: string(op), id: id, after: true})
}

func (w *world) Identity(ctx context.Context) (string, error) {
	asked, v := told(ctx)
	id, err := w.mem.Identity(asked)
	if *v == elsewhere {
		id, err = "another pool", nil
	}
	w.left(ctx, backing.OpIdentity, 0)
	return id, err
}

func (w *world) Create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	attrs, err := w.mem.Create(ctx, dev)
	if errors.Is(err, store.ErrExists) {
		w.mu.Lock()
		w.met = append(w.met, dev.ID)
		w.mu.Unlock()
	}
	w.left(ctx, backing.OpCreate, dev.ID)
	return attrs, err
}

func (w *world) Remove(ctx context.Context, dev store.Device) error {
	err := w.mem.Remove(ctx, dev)
	w.left(ctx, backing.OpRemove, dev.ID)
	return err
}

func (w *world) Probe(ctx context.Context, id store.DeviceID) (store.Presence, store.Stamp, error) {
	asked, v := told(ctx)
	presence, stamp, err := w.mem.Probe(asked, id)
	if *v == elsewhere {
		presence, stamp, err = store.Absent, store.Stamp{}, nil
	}
	w.left(ctx, backing.OpProbe, id)
	return presence, stamp, err
}

func (w *world) List(ctx context.Context) iter.Seq2[store.Resource, error] {
	return func(yield func(store.Resource, error) bool) {
		asked, v := told(ctx)
		for res, err := range w.mem.List(asked) {
			if *v == elsewhere {
				break // it holds nothing
			}
			if !yield(res, err) {
				return
			}
		}
		w.left(ctx, backing.OpList, 0)
	}
}

// Commit holds the leader of a group after its commit and before any caller of the
// group is told: here a kill leaves what is durable but was not acknowledged.
func (w *world) Commit(store.CommitEvent) {
	w.sched.hold(context.Background(), &gate{kind: "commit"})
}

// Backing makes the world a store.Observer.
func (w *world) Backing(store.BackingEvent) {}
