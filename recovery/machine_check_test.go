package recovery_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/driftlesskv/driftless/store"
)

// check compares store, backing and model with each other at a moment when no
// operation runs. What it sees narrows the model. A violation is reported with the
// number of its invariant in package store.
func (m *machine) check(t *rapid.T) {
	m.readRecords(t)
	for _, l := range m.sorted() {
		m.checkLife(t, l)
	}
	m.checkTruth(t)
	m.checkViews(t)
	m.checkKeys(t)
	if report, err := m.db.Check(context.Background()); err != nil || report.Err() != nil {
		m.fatalf(t, "check: %v, %v", report, err)
	}
	if v := m.world.mem.Violations(); len(v) > 0 {
		m.fatalf(t, "the backing was called wrongly: %q", v)
	}
	m.checkCollisions(t)
	m.forget()
	m.commits = m.db.Stats().Commits
	for _, l := range m.sorted() {
		m.logf(t, "  %v: %v, file %v", l, l.seen, l.file)
	}
}

// checkCollisions fails if a creation has met a resource of another stamp, unless
// somebody put it there since list and table were compared.
func (m *machine) checkCollisions(t *rapid.T) {
	for _, id := range m.world.collisions() {
		if p := m.planted[id]; p == nil || p.known {
			m.fatalf(t, "(3) id %d was free and its resource existed", id)
		}
	}
}

// readRecords reads the table, checks that nothing in it is held twice, and takes
// in the devices that an attempt has left.
func (m *machine) readRecords(t *rapid.T) {
	m.records = map[store.DeviceID]store.Record{}
	names, stamps := map[string]bool{}, map[store.Stamp]bool{}
	for rec, err := range m.devs.Records() {
		if err != nil {
			m.fatalf(t, "(9) records: %v", err)
		}
		s := statusOf(rec)
		if _, twice := m.records[rec.ID]; twice || stamps[rec.Stamp] && !rec.Stamp.IsZero() || names[rec.Name] && s.named() {
			m.fatalf(t, "(5) id, name or stamp held twice: %+v", rec)
		}
		m.records[rec.ID] = rec
		stamps[rec.Stamp] = true
		names[rec.Name] = names[rec.Name] || s.named()
		if rec.State == store.Taken && rec.Phase != store.Ready && rec.Attempts >= maxAttempts {
			m.fatalf(t, "(7) %d attempts and not faulty: %+v", rec.Attempts, rec)
		}
		if rec.Stamp.IsZero() {
			if s != faulty || m.planted[rec.ID] == nil {
				m.fatalf(t, "(4) record without stamp: %+v", rec)
			}
		} else if m.lives[rec.Stamp] == nil {
			m.adopt(t, rec)
		}
	}
}

// adopt takes in a device that was never acknowledged.
func (m *machine) adopt(t *rapid.T, rec store.Record) {
	s := statusOf(rec)
	for _, a := range m.attempts {
		byOwner := s == readyClaimed && a.allowed.has(ready) && m.answered[a.name][live]
		if a.matches(rec) && (a.allowed.has(s) || byOwner) {
			m.lives[rec.Stamp] = &life{
				dev: rec.Device, now: of(s), touched: true, adopted: m.total.operations,
				file: a.allowed | of(gone0, creating.claimAs(a.claimed)),
			}
			return
		}
	}
	m.fatalf(t, "(2) nobody asked for %v record %+v", s, rec)
}

// checkCancelled fails if a creation that was cancelled in this step, while nothing
// else failed, is neither taken back nor on its way, nor told to be pending.
func (m *machine) checkCancelled(t *rapid.T, tasks []*task) {
	dead := 0
	for _, task := range tasks {
		if task.dead && !errors.Is(task.err, store.ErrPending) {
			dead++
		}
	}
	if dead == 0 || dead < m.faults || len(m.weather) > 0 || len(m.gates()) > 0 {
		return
	}
	for _, l := range m.lives {
		if l.adopted == m.total.operations && l.seen.named() {
			m.fatalf(t, "(2) %v is left %v by an operation that was cancelled", l, l.seen)
		}
	}
}

// checkLife compares the record of one device with what the model allows.
func (m *machine) checkLife(t *rapid.T, l *life) {
	rec, ok := m.records[l.dev.ID]
	s := gone0
	if ok && rec.Stamp == l.dev.Stamp {
		s = statusOf(rec)
		if rec.Name != l.dev.Name || rec.Parent != l.dev.Parent || !maps.Equal(rec.Labels, l.dev.Labels) {
			m.fatalf(t, "(1) %v became %+v", l, rec)
		}
	}
	if !l.now.has(s) {
		m.fatalf(t, "(1) (2) (6) %v is %v, was %v, want %v; record %+v", l, s, l.seen, l.now, rec)
	}
	if s >= faulty && l.seen < faulty && !l.marked && m.failures[l.dev.Stamp] < maxAttempts && m.planted[l.dev.ID] == nil {
		m.fatalf(t, "(6) (7) %v is faulty after %d failures: %s", l, m.failures[l.dev.Stamp], rec.Reason)
	}
	switch flushed := m.db.Stats().Commits > m.commits; {
	case l.touched:
		l.file |= of(s)
	case s != l.seen:
		l.file |= of(s, l.seen)
	case flushed: // and what was seen before is older than that
		l.file = of(s)
	}
	l.now, l.seen, l.touched = of(s), s, false
}

// checkTruth compares the resources with the records.
func (m *machine) checkTruth(t *rapid.T) {
	there := m.world.truth()
	for id, res := range there {
		rec, ok := m.records[id]
		owned := ok && (rec.Stamp == res.Stamp || res.Presence == store.Partial && res.Stamp.IsZero())
		if !owned && m.planted[id] == nil {
			m.fatalf(t, "(3) (4) resource %+v, record %+v", res, rec)
		}
	}
	for _, l := range m.lives {
		res := there.at(l.dev.ID)
		if !l.seen.usable() || l.tampered {
			continue
		}
		if res.Presence != store.Present || res.Stamp != l.dev.Stamp {
			m.fatalf(t, "(1) (6) %v is %v, its resource %+v", l, l.seen, res)
		}
		content, err := m.world.mem.Read(l.dev.ID)
		if err != nil || l.content != nil && !bytes.Equal(content, l.content) {
			m.fatalf(t, "(1) content of %v is %q, want %q: %v", l, content, l.content, err)
		}
	}
}

// checkViews compares what the reading methods say with the records.
func (m *machine) checkViews(t *rapid.T) {
	byName := map[string]store.Record{}
	var usable []store.DeviceID
	for _, id := range slices.Sorted(maps.Keys(m.records)) {
		rec := m.records[id]
		s := statusOf(rec)
		if s.named() {
			byName[rec.Name] = rec
		}
		if s.usable() {
			usable = append(usable, id)
			if rec.Attrs["memory"] != id.String() && len(rec.History) < maxAttempts {
				m.fatalf(t, "(2) usable without what the backing told: %+v", rec)
			}
		}
	}
	for _, name := range names {
		dev, err := m.devs.Get(name)
		m.checkView(t, "get "+name, dev, err, byName[name])
	}
	for id := firstID; id <= lastID; id++ {
		dev, err := m.devs.Lookup(id)
		m.checkView(t, "lookup "+id.String(), dev, err, m.records[id])
	}
	var listed []store.DeviceID
	for dev, err := range m.devs.List() {
		if err != nil {
			m.fatalf(t, "list: %v", err)
		}
		listed = append(listed, dev.ID)
	}
	if !slices.Equal(listed, usable) {
		m.fatalf(t, "listed ids %v, want %v", listed, usable)
	}
	for rec, err := range m.devs.Faulty() {
		if err != nil || m.records[rec.ID].State != store.Faulty || rec.Reason == "" {
			m.fatalf(t, "faulty yields %+v: %v", rec, err)
		}
	}
}

func (m *machine) checkView(t *rapid.T, what string, dev store.Device, err error, rec store.Record) {
	switch s := statusOf(rec); {
	case rec.ID != 0 && s.usable():
		if err != nil || dev.Ref() != rec.Ref() || dev.Name != rec.Name || dev.Claimed != rec.Claimed {
			m.fatalf(t, "%s: got %+v, %v; want %+v", what, dev, err, rec)
		}
	case rec.ID != 0 && s != removing && s < faulty:
		if !errors.Is(err, store.ErrPending) {
			m.fatalf(t, "%s: got %v, want pending", what, err)
		}
	case !errors.Is(err, store.ErrNotFound):
		m.fatalf(t, "%s: got %v, want not found", what, err)
	}
}

// A pair is a transaction that wrote a claim and the owner's key, and that a crash
// has cut off: both must be there, or neither.
type pair struct {
	life       *life
	put        bool // the key was put, else deleted
	was, after set
}

// checkKeys compares the owner's keys with the transactions that wrote them.
func (m *machine) checkKeys(t *rapid.T) {
	found := map[string]string{}
	err := m.db.View(func(tx *store.Tx) error {
		for entry, err := range tx.Bucket(ownBucket).Range(nil, nil) {
			if err != nil {
				return err
			}
			found[string(entry.Key)] = string(entry.Value)
		}
		return nil
	})
	if err != nil {
		m.fatalf(t, "owner's keys: %v", err)
	}
	for _, p := range m.pairs {
		name, stamp := p.life.dev.Name, p.life.dev.Stamp.String()
		before, after := m.keys[name], ""
		if p.put {
			after = stamp
		}
		got := found[name]
		if before == after {
			continue // the key tells nothing
		}
		want := p.was
		switch got {
		case after:
			want = p.after
			m.keys[name] = after
		case before:
		default:
			m.fatalf(t, "(2) key %q is %q, was %q", name, got, before)
		}
		want = want.each(anySettled)
		if want.has(ready) && m.answered[name][live] {
			want |= of(readyClaimed)
		}
		if want.has(ready) && m.answered[name][gone] {
			want |= removed
		}
		if !want.has(p.life.seen) {
			m.fatalf(t, "(2) key %q is %q and %v is %v: half a transaction", name, got, p.life, p.life.seen)
		}
		if got == "" {
			delete(m.keys, name)
		}
	}
	m.pairs = nil
	if !maps.Equal(found, m.keys) {
		m.fatalf(t, "(1) owner's keys are %v, want %v", found, m.keys)
	}
}

// forget drops what can no longer matter: attempts whose traces have become
// durable, and all but the latest handles of devices that are gone.
func (m *machine) forget() {
	flushed := m.db.Stats().Commits > m.commits
	m.attempts = slices.DeleteFunc(m.attempts, func(a *attempt) bool { return flushed && !a.fresh })
	for _, a := range m.attempts {
		a.fresh = false
	}
	spare := 4
	for _, l := range slices.Backward(m.sorted()) {
		if l.seen == gone0 && l.file == of(gone0) {
			if spare--; spare < 0 {
				delete(m.lives, l.dev.Stamp)
			}
		}
	}
	there := m.world.truth()
	for id, p := range m.planted {
		_, held := m.records[id]
		_, stays := there[id]
		if p.past && flushed && !stays && !held {
			delete(m.planted, id)
		}
		p.past = !stays && !held
	}
}
