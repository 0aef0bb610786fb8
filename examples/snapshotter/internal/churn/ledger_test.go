package churn

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/audit"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
)

// give plans a command and sends it, and returns its number.
func give(l *ledger, c Command) int {
	l.plan(c)
	return l.send(l.entries[c.Key]).Seq
}

func hear(t *testing.T, l *ledger, event Event, seq int) {
	_, err := l.answer(Report{Event: event, Seq: seq})
	require.NoError(t, err)
}

// TestLedger follows one key through a crash: only a begin makes an operation in
// flight, and only an acknowledgement makes it expected.
func TestLedger(t *testing.T) {
	l := newLedger()
	made := audit.State{Kind: snapshot.Active, Layers: []string{"x.tar"}}
	prepare := Command{Op: Prepare, Key: "a", Archive: "x.tar"}

	give(l, prepare)
	l.end() // it died before it read the command
	require.Zero(t, l.inFlight())
	require.Equal(t, audit.Expectation{}, l.expectations()["a"])

	seq := give(l, prepare)
	require.Contains(t, l.doing(), "recovery")
	hear(t, l, Begin, seq)
	require.Equal(t, "prepare a", l.doing())
	l.end() // it died in the middle
	require.Equal(t, 1, l.inFlight())
	require.Equal(t, audit.Expectation{After: made}, l.expectations()["a"])
	require.Len(t, l.interrupted(), 1)

	again := l.send(l.interrupted()[0]).Seq
	require.Empty(t, l.interrupted(), "it is under way")
	l.end() // it died before it began anew: still unknown
	require.Equal(t, 1, l.inFlight())
	require.Equal(t, audit.Expectation{After: made}, l.expectations()["a"])
	_, err := l.answer(Report{Event: Ack, Seq: again})
	require.Error(t, err, "an answer from a former life")

	hear(t, l, Ack, l.send(l.interrupted()[0]).Seq)
	require.Zero(t, l.inFlight())
	require.Equal(t, audit.Expectation{Before: made, After: made}, l.expectations()["a"])

	seq = give(l, Command{Op: Commit, Key: "a"})
	hear(t, l, Begin, seq)
	hear(t, l, Ack, seq)
	require.Equal(t, snapshot.Committed, l.expectations()["a"].Before.Kind)

	hear(t, l, Ack, give(l, Command{Op: Prepare, Key: "b", Parent: "a", Archive: "y.tar"}))
	require.Equal(t, []string{"x.tar", "y.tar"}, l.expectations()["b"].Before.Layers)

	hear(t, l, Fail, give(l, Command{Op: Remove, Key: "b"}))
	require.True(t, l.entries["b"].failed)
	e := l.expectations()["b"]
	require.Equal(t, snapshot.Absent, e.After.Kind, "nobody knows whether it is gone")
	require.Equal(t, snapshot.Active, e.Before.Kind)
	_, err = l.answer(Report{Event: Ready, Seq: 99})
	require.Error(t, err)
}

// TestWorkload shows that a correct snapshotter could carry out all that is chosen,
// and that everything is chosen at some time.
func TestWorkload(t *testing.T) {
	l := newLedger()
	w := &workload{ledger: l, archives: []string{"x", "y"}, random: rand.New(rand.NewPCG(1, 2))}
	count, reused, deepest := map[Op]int{}, 0, 0
	var running []int
	for i := range 5000 {
		c := w.next()
		if e, ok := l.entries[c.Key]; ok {
			require.False(t, e.pending, "one operation at a time on a key")
			reused++
		}
		count[c.Op]++
		require.NoError(t, permitted(l, c))
		running = append(running, give(l, c))
		deepest = max(deepest, len(l.entries[c.Key].After.Layers))
		if i%50 == 49 { // a crash: nothing that had not begun counts
			l.end()
			running = nil
		}
		if len(running) == 4 {
			hear(t, l, Ack, running[0])
			running = running[1:]
		}
	}
	require.Len(t, count, 4, "%v", count)
	require.Equal(t, maxChain, deepest)
	require.Positive(t, reused)
	require.Less(t, len(l.keys), 500, "names are used again")
}

// permitted returns an error if a correct snapshotter would.
func permitted(l *ledger, c Command) error {
	now := func(key string) snapshot.Kind {
		if e, ok := l.entries[key]; ok {
			return e.Before.Kind
		}
		return snapshot.Absent
	}
	switch {
	case c.Op == Prepare && now(c.Key) != snapshot.Absent:
		return snapshot.ErrExists
	case c.Op == Prepare && c.Parent != "" && (now(c.Parent) != snapshot.Committed || l.entries[c.Parent].pending):
		return snapshot.ErrNotCommitted
	case c.Op != Prepare && now(c.Key) == snapshot.Absent:
		return snapshot.ErrNotFound
	}
	for _, e := range l.entries {
		if c.Op == Remove && (e.Before.Parent == c.Key || e.After.Parent == c.Key) {
			return snapshot.ErrInUse
		}
	}
	return nil
}

// TestPlan shows that every step has its turn.
func TestPlan(t *testing.T) {
	for _, isNaive := range []bool{false, true} {
		p := newPlan(isNaive, rand.New(rand.NewPCG(1, 2)))
		for range 60 { // crashes, each of which hits
			name, hit := p.crash()
			require.Equal(t, name != Random, hit > 0)
			p.hits[name]++
			if name, hit, die := p.recoveryCrash(); die {
				require.Positive(t, hit)
				p.hits[name]++
			}
		}
		require.Empty(t, p.missing(p.names))
		require.Positive(t, p.hits[Random])
		for name := range p.hits {
			require.True(t, name == Random || slices.Contains(p.names, name), name)
		}
	}
}
