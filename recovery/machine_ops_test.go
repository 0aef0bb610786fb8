package recovery_test

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
)

// An op is one operation of the machine: what is asked, and what came of it.
type op struct {
	kind   string
	name   string // of a creation
	spec   store.Spec
	life   *life          // the handle, of what takes one
	id     store.DeviceID // of settle and reclaim
	task   *task
	holder *life    // of the name, before
	left   *attempt // what a creation may leave without telling
	want   []error  // the results that are possible; nil in it is success. Empty: not predicted

	dev     store.Device
	outcome store.Outcome
	report  *recovery.Report
}

// errSome stands in op.want for any error.
var errSome = errors.New("some error")

const ownBucket = "own" // the caller's own records: name -> stamp

// bind gives o a task that runs it on m's store.
func (m *machine) bind(o *op) *task {
	db, devs := m.db, m.devs
	run := map[string]func(context.Context) error{
		"prepare": func(ctx context.Context) (err error) {
			o.dev, err = devs.Prepare(ctx, o.name, o.spec)
			return err
		},
		"create": func(ctx context.Context) (err error) {
			o.dev, err = devs.Create(ctx, o.name, o.spec)
			return err
		},
		"claim":   func(ctx context.Context) error { return devs.Claim(ctx, o.life.dev) },
		"unclaim": func(ctx context.Context) error { return devs.Unclaim(ctx, o.life.dev) },
		"claim tx": func(ctx context.Context) error {
			return m.withKey(ctx, db, func(tx *store.Tx) error { return devs.ClaimTx(tx, o.life.dev) }, func(b *store.Bucket) error {
				return b.Put([]byte(o.life.dev.Name), []byte(o.life.dev.Stamp.String()))
			})
		},
		"unclaim tx": func(ctx context.Context) error {
			return m.withKey(ctx, db, func(tx *store.Tx) error { return devs.UnclaimTx(tx, o.life.dev) }, func(b *store.Bucket) error {
				return b.Delete([]byte(o.life.dev.Name))
			})
		},
		"remove": func(ctx context.Context) error { return devs.Remove(ctx, o.life.dev) },
		"mark":   func(ctx context.Context) error { return devs.MarkFaulty(ctx, o.life.dev, "marked") },
		"settle": func(ctx context.Context) (err error) {
			o.outcome, err = devs.Settle(ctx, o.id)
			return err
		},
		"reclaim": func(ctx context.Context) (err error) {
			o.outcome, err = devs.Reclaim(ctx, o.id)
			return err
		},
		"scrub": func(ctx context.Context) (err error) {
			o.report, err = recovery.Scrub(ctx, devs)
			return err
		},
		"close": func(context.Context) error { return db.Close() },
	}[o.kind]
	o.task = &task{name: o.kind, run: run}
	return o.task
}

// withKey runs a claim and the change of the owner's own key in one transaction,
// which may fail between the two.
func (m *machine) withKey(ctx context.Context, db *store.DB, claim func(*store.Tx) error, key func(*store.Bucket) error) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		if err := claim(tx); err != nil {
			return err
		}
		if m.hold(ctx, &gate{kind: "tx"}) == fail {
			return errInjected
		}
		return key(tx.Bucket(ownBucket))
	})
}

func (o *op) creates() bool { return o.kind == "prepare" || o.kind == "create" }

// expect returns the possible results of o, run alone in fine weather.
func (m *machine) expect(o *op) []error {
	switch o.kind {
	case "prepare", "create":
		return []error{m.expectCreation(o)}
	case "settle", "reclaim":
		if rec, ok := m.records[o.id]; !ok {
			return []error{store.ErrNotFound}
		} else if l := m.lives[rec.Stamp]; o.kind == "settle" && l != nil && l.seen.unsettled() && m.settle(l, l.seen) == of(faulty) {
			return []error{errSome}
		}
		return []error{nil}
	case "scrub", "close":
		return []error{nil}
	}
	l := o.life
	_, reused := m.records[l.dev.ID]
	switch s := l.seen; {
	case s == gone0 && o.kind == "remove" && !reused, s == removing && o.kind == "remove":
		return []error{nil}
	case s == creating, s == creatingClaimed:
		return []error{store.ErrPending}
	case s == gone0, s == removing, s >= faulty && (o.kind == "claim" || o.kind == "claim tx"):
		return []error{store.ErrStale}
	case m.children(l) > 0 && (o.kind == "remove" || s.claimed() && (o.kind == "unclaim" || o.kind == "unclaim tx")):
		return []error{store.ErrInUse}
	}
	return []error{nil}
}

// settle is what settling makes of l in fine weather, from the truth of the step's
// beginning.
func (m *machine) settle(l *life, s status) set {
	return l.settled(s, m.before.at(l.dev.ID), true, true)
}

func (m *machine) expectCreation(o *op) error {
	held := gone0 // status of the name's holder, once it is settled
	free := m.freeIDs()
	if o.holder != nil {
		held = o.holder.seen
		if held.unsettled() {
			held = m.settle(o.holder, held).all()[0]
		}
		if held == faulty {
			return errSome // that the id is somebody else's ends this call
		}
		if held == gone0 {
			free = append(free, o.holder.dev.ID)
		}
	}
	if held == readyClaimed {
		if o.kind == "create" && m.sameSpec(o) {
			return nil
		}
		return store.ErrExists
	}
	var parent store.Ref
	if o.spec.Parent != "" {
		p := m.holder(o.spec.Parent)
		s := gone0
		if p != nil {
			s = p.seen
		}
		if p != nil && p == o.holder {
			s = held
		}
		switch {
		case s.unsettled():
			return store.ErrPending
		case s != readyClaimed:
			return store.ErrNotFound
		}
		parent = p.dev.Ref()
	}
	usable := slices.DeleteFunc(free, func(id store.DeviceID) bool {
		return m.before.at(id).Presence != store.Absent && (o.holder == nil || o.holder.dev.ID != id)
	})
	switch res := m.before.at(parent.ID); {
	case len(usable) == 0:
		return store.ErrExhausted
	case !parent.IsZero() && (res.Presence != store.Present || res.Stamp != parent.Stamp):
		return errSome // there is nothing to copy
	}
	return nil
}

// sameSpec tells whether the holder of o's name is what o asks for.
func (m *machine) sameSpec(o *op) bool {
	dev := o.holder.dev
	if !maps.Equal(dev.Labels, o.spec.Labels) {
		return false
	}
	if dev.Parent.IsZero() || o.spec.Parent == "" {
		return dev.Parent.IsZero() && o.spec.Parent == ""
	}
	for _, l := range m.lives {
		if l.dev.Ref() == dev.Parent {
			return l.dev.Name == o.spec.Parent
		}
	}
	return false
}

// freeIDs returns the ids that no record holds.
func (m *machine) freeIDs() (free []store.DeviceID) {
	for id := firstID; id <= lastID; id++ {
		if _, taken := m.records[id]; !taken {
			free = append(free, id)
		}
	}
	return free
}
