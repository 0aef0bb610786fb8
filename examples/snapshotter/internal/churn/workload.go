package churn

import (
	"fmt"
	"math/rand/v2"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
)

// Bounds of the workload: small enough that the audit, which reads everything, does
// not take longer than the work.
const (
	maxSnapshots = 20
	maxChain     = 4
)

// A workload chooses operations that a correct snapshotter carries out without
// an error, given what the ledger says.
type workload struct {
	ledger   *ledger
	archives []string
	random   *rand.Rand
}

// next returns a command for a key on which nothing is under way.
func (w *workload) next() Command {
	for {
		switch draw := w.random.IntN(10); {
		case draw < 4:
			if key, ok := w.unused(); ok {
				return w.prepare(key)
			}
		case draw < 6:
			if key, ok := w.pick(func(_ string, e *entry) bool { return e.Before.Kind == snapshot.Active }); ok {
				return Command{Op: Commit, Key: key}
			}
		case draw < 7:
			if key, ok := w.pick(func(_ string, e *entry) bool { return e.Before.Kind != snapshot.Absent }); ok {
				return Command{Op: View, Key: key}
			}
		default:
			if key, ok := w.pick(w.removable); ok {
				return Command{Op: Remove, Key: key}
			}
		}
	}
}

// prepare makes key on top of a committed snapshot, or on nothing now and then.
func (w *workload) prepare(key string) Command {
	c := Command{Op: Prepare, Key: key, Archive: w.archives[w.random.IntN(len(w.archives))]}
	if w.random.IntN(3) > 0 {
		c.Parent, _ = w.pick(func(_ string, e *entry) bool {
			return e.Before.Kind == snapshot.Committed && len(e.Before.Layers) < maxChain
		})
	}
	return c
}

// unused returns a key to prepare: a removed one, so that names are used again, or a
// new one. There is none while there are many snapshots.
func (w *workload) unused() (string, bool) {
	snapshots := 0
	for _, e := range w.ledger.entries {
		if !e.failed && (e.pending || e.Before.Kind != snapshot.Absent) {
			snapshots++
		}
	}
	if snapshots >= maxSnapshots {
		return "", false
	}
	if w.random.IntN(4) > 0 {
		if key, ok := w.pick(func(_ string, e *entry) bool { return e.Before.Kind == snapshot.Absent }); ok {
			return key, true
		}
	}
	return fmt.Sprintf("snap-%d", len(w.ledger.keys)+1), true
}

func (w *workload) removable(key string, e *entry) bool {
	if e.Before.Kind == snapshot.Absent {
		return false
	}
	for _, child := range w.ledger.entries {
		if child.Before.Parent == key || child.After.Parent == key {
			return false
		}
	}
	return true
}

// pick returns a random key among those that fit and on which nothing is under way.
func (w *workload) pick(fits func(string, *entry) bool) (string, bool) {
	var keys []string
	for _, key := range w.ledger.keys {
		if e := w.ledger.entries[key]; !e.pending && !e.failed && fits(key, e) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return "", false
	}
	return keys[w.random.IntN(len(keys))], true
}
