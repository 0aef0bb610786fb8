package recovery_test

import (
	"errors"
	"maps"

	"pgregory.net/rapid"

	"github.com/driftlesskv/driftless/store"
)

// acknowledge takes the result of an operation that returned into the model, and
// compares it with what was predicted.
func (m *machine) acknowledge(t *rapid.T, o *op) {
	err := o.task.err
	if len(o.want) > 0 && !matches(err, o.want) {
		m.fatalf(t, "%s: got error %v, want one of %v", o, err, o.want)
	}
	if err != nil && !documented(err) && len(m.planted) == 0 && m.tampering == 0 && !o.task.dead {
		m.fatalf(t, "%s: error of no kind that it documents: %v", o, err)
	}
	switch l := o.life; {
	case o.creates():
		m.acknowledgeCreation(t, o)
	case o.kind == "settle" || o.kind == "reclaim":
		m.acknowledgeSettling(t, o)
	case o.kind == "scrub":
		m.acknowledgeScrub(t, o)
	case o.kind == "close":
		if err != nil {
			m.fatalf(t, "close: %v", err)
		}
	case err == nil:
		s := o.result()
		l.become(s, s)
		switch {
		case o.kind == "claim tx":
			m.keys[l.dev.Name] = l.dev.Stamp.String()
		case o.kind == "unclaim tx":
			delete(m.keys, l.dev.Name)
		case o.kind == "remove" && l.seen == gone0:
			l.become(of(gone0), of(gone0))
		case o.kind == "remove":
			l.file |= of(removing)
			if len(o.want) > 0 {
				l.now = l.settled(removing, m.before.at(l.dev.ID), true, true)
			}
		}
	case o.kind == "remove" && !errors.Is(err, store.ErrInUse) && !errors.Is(err, store.ErrStale):
		l.widen(removed)
	}
}

// result is what the record of o's device may say once o has succeeded.
func (o *op) result() set {
	s := o.life.seen
	switch o.kind {
	case "claim", "claim tx":
		return of(readyClaimed)
	case "unclaim", "unclaim tx":
		if s >= faulty {
			return of(faulty)
		}
		return of(ready)
	case "mark":
		o.life.marked = true
		if s >= faulty {
			return of(s)
		}
		return of(faulty.claimAs(s.claimed()))
	}
	return of(gone0, faulty) // remove
}

// doubt takes an operation into the model that a crash has cut off.
func (m *machine) doubt(o *op) {
	switch l := o.life; {
	case o.creates():
		o.left.allowed = of(creating.claimAs(o.left.claimed), ready.claimAs(o.left.claimed), removing, faulty)
		m.mayReplace(o)
	case o.kind == "settle" || o.kind == "reclaim" || o.kind == "scrub":
		for _, l := range m.lives {
			if o.kind == "scrub" || l.dev.ID == o.id {
				l.widen(m.reclaimed(l))
			}
		}
	case o.kind == "close":
	case o.kind == "remove":
		if l.seen != gone0 {
			l.widen(removed)
		}
	case l.seen.unsettled() || l.seen == gone0: // it would have failed
	default:
		was, after := l.file|of(l.seen), o.result()
		l.widen(after)
		if o.kind == "claim tx" || o.kind == "unclaim tx" {
			m.pairs = append(m.pairs, pair{l, o.kind == "claim tx", was, after})
		}
	}
	if !o.is("settle", "reclaim", "scrub", "close") {
		m.retry = append(m.retry, &op{kind: o.kind, name: o.name, spec: o.spec, life: o.life, id: o.id})
	}
}

// mayReplace records that the creation o may have settled or replaced the device
// that held its name.
func (m *machine) mayReplace(o *op) {
	if h := o.holder; h != nil && h.seen != readyClaimed {
		s := anySettled(h.seen)
		if s.has(ready) {
			s |= removed
		}
		h.widen(s)
	}
}

func (m *machine) acknowledgeCreation(t *rapid.T, o *op) {
	claimed := o.kind == "create"
	h := o.holder
	if o.task.err != nil {
		o.left.allowed = of(creating.claimAs(claimed), removing, faulty)
		early := len(o.want) > 0 && len(m.planted) == 0 && (errors.Is(o.task.err, store.ErrInUse) ||
			errors.Is(o.task.err, store.ErrNotFound) || errors.Is(o.task.err, store.ErrExhausted))
		if !early || h != nil && h.seen.unsettled() {
			m.mayReplace(o)
		}
		return
	}
	o.left.allowed = of(faulty) // of the ids that turned out to be somebody else's
	dev := o.dev
	if dev.Name != o.name || dev.Claimed != claimed || !maps.Equal(dev.Labels, o.spec.Labels) ||
		dev.ID < firstID || dev.ID > lastID || dev.Parent.IsZero() != (o.spec.Parent == "") {
		m.fatalf(t, "%s: made %+v", o, dev)
	}
	s := of(ready.claimAs(claimed))
	if l := m.lives[dev.Stamp]; l != nil {
		if l != h || !claimed {
			m.fatalf(t, "(5) %s: handed out %v again", o, l)
		}
		l.become(s, s|of(creatingClaimed))
		return
	}
	if h != nil && h.seen == readyClaimed {
		m.fatalf(t, "(1) %s: took the name of %v, which is claimed", o, h)
	}
	m.lives[dev.Stamp] = &life{dev: dev, now: s, file: s | of(creating.claimAs(claimed)), touched: true}
	m.fill(t, dev)
	if h == nil {
		return
	}
	h.become(removed&^of(removing), removed)
	if len(o.want) == 0 {
		h.now |= of(removing)
	}
}

// acknowledgeSettling takes in the result of Settle or Reclaim.
func (m *machine) acknowledgeSettling(t *rapid.T, o *op) {
	rec, ok := m.records[o.id]
	l := m.lives[rec.Stamp]
	if !ok || l == nil {
		return
	}
	if len(o.want) == 0 {
		l.widen(m.reclaimed(l))
		return
	}
	var want store.Outcome
	if o.kind == "settle" {
		after := m.settle(l, l.seen)
		l.settle(after)
		want = outcomeOf(l.seen, after)
	} else {
		after := m.reclaim(l)
		l.settle(after)
		if l.seen >= faulty && after == of(gone0) {
			want = store.Released
		}
	}
	if o.outcome != want {
		m.fatalf(t, "%s: outcome %v, want %v", o, o.outcome, want)
	}
}

func outcomeOf(was status, after set) store.Outcome {
	switch {
	case !was.unsettled():
		return store.Settled
	case after == of(gone0) && was == removing:
		return store.Removed
	case after == of(gone0):
		return store.Undone
	case after == of(faulty):
		return store.GaveUp
	}
	return store.Completed
}

// reclaim is what Reclaim makes of a faulty device in fine weather.
func (m *machine) reclaim(l *life) set {
	res := m.before.at(l.dev.ID)
	own := res.Stamp == l.dev.Stamp || res.Presence == store.Partial && res.Stamp.IsZero()
	switch {
	case l.seen < faulty, m.children(l) > 0:
		return of(l.seen)
	case res.Presence == store.Absent, own && l.seen == faulty:
		return of(gone0)
	}
	return of(l.seen)
}

// reclaimed is what a scrub may make of a device in any weather.
func (m *machine) reclaimed(l *life) set {
	if l.seen < faulty {
		return anySettled(l.seen)
	}
	return of(l.seen, gone0)
}

func (m *machine) acknowledgeScrub(t *rapid.T, o *op) {
	for _, l := range m.lives {
		switch {
		case len(o.want) == 0 || m.children(l) > 0 || l.dev.Parent != (store.Ref{}):
			l.widen(m.reclaimed(l))
		case l.seen >= faulty:
			after := m.reclaim(l)
			l.settle(after)
		default:
			after := m.settle(l, l.seen)
			l.settle(after)
		}
	}
	if o.task.err != nil {
		return
	}
	if len(o.report.Unlisted) == 0 {
		if v := m.weather["list"]; v == fail || v == elsewhere {
			m.fatalf(t, "(4) a list that is %s was believed:\n%v", v, o.report)
		}
		m.knowPlants()
	}
}

// matches tells whether err is one of want.
func matches(err error, want []error) bool {
	for _, w := range want {
		if err == nil && w == nil || err != nil && w != nil && (errors.Is(err, w) || errors.Is(w, errSome)) {
			return true
		}
	}
	return false
}

// documented tells whether err is one of the store's own or was injected.
func documented(err error) bool {
	return matches(err, []error{
		errInjected, store.ErrNotFound, store.ErrExists, store.ErrBusy, store.ErrInUse,
		store.ErrExhausted, store.ErrStale, store.ErrPending, store.ErrIdentity,
	})
}
