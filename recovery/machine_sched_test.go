package recovery_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/driftlesskv/driftless/store"
)

// A gate is a place at which a running operation is held until the machine lets it
// go on: before and after each call of the backing, after each commit, in the
// owner's answer and in a caller's own transaction. While everything that runs is
// held at gates, nothing changes, so the machine can copy the world there as a kill
// would leave it; and since it alone decides who goes on, a seed repeats a run.
type gate struct {
	kind  string // create, remove, probe, list, identity, commit, owner, tx
	after bool   // the call has been made
	id    store.DeviceID
	stamp store.Stamp // of the device that is created or removed
	name  string      // whom the owner is asked about
	task  *task       // nil: work that outlives its operation, or nobody's in particular
	reply chan verdict
}

// order is the fixed order in which the gates of one moment are offered.
func (g *gate) order(other *gate) int {
	side := func(g *gate) int {
		if g.after {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(g.kind, other.kind), cmp.Compare(side(g), side(other)),
		cmp.Compare(g.id, other.id), cmp.Compare(g.name, other.name))
}

// A verdict is what becomes of the call at a gate.
type verdict string

const (
	pass      verdict = "pass"
	fail      verdict = "fail before effect"
	failAfter verdict = "fail after effect"
	half      verdict = "fail half-way"
	unknown   verdict = "unknown"
	busy      verdict = "busy"
	elsewhere verdict = "elsewhere" // it asks another backing, an empty one
	cancel    verdict = "cancel"    // the operation's context ends, the call is made
	cutOff    verdict = "cut off"   // the call takes effect, fails, and the context ends
	live      verdict = "live"      // the owner's answers
	gone      verdict = "gone"
)

// errInjected is the error of every failure that the machine plans.
var errInjected = errors.New("injected failure")

// A task is one operation that the machine runs in a goroutine of its own.
type task struct {
	name    string
	run     func(context.Context) error
	cancel  context.CancelFunc
	started bool
	done    bool // guarded by sched.mu
	ended   bool // done before the crash, if there was one
	err     error
	dead    bool // its context was cancelled
}

type taskKey struct{}

// sched holds what runs at its gates.
type sched struct {
	mu      sync.Mutex
	waiting []*gate
	open    bool // every gate passes
}

// hold keeps the caller at g.
func (s *sched) hold(ctx context.Context, g *gate) verdict {
	g.task, _ = ctx.Value(taskKey{}).(*task)
	g.reply = make(chan verdict)
	s.mu.Lock()
	if s.open {
		s.mu.Unlock()
		return pass
	}
	s.waiting = append(s.waiting, g)
	s.mu.Unlock()
	return <-g.reply
}

// gates returns the gates at which somebody waits, in their fixed order.
func (s *sched) gates() []*gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.waiting, (*gate).order)
	return slices.Clone(s.waiting)
}

// release lets the caller at g go on.
func (s *sched) release(g *gate, v verdict) {
	s.mu.Lock()
	s.waiting = slices.DeleteFunc(s.waiting, func(other *gate) bool { return other == g })
	s.mu.Unlock()
	g.reply <- v
}

// setOpen opens all gates, or closes them again.
func (s *sched) setOpen(open bool) {
	s.mu.Lock()
	s.open = open
	held := s.waiting
	if open {
		s.waiting = nil
	}
	s.mu.Unlock()
	if open {
		for _, g := range held {
			g.reply <- pass
		}
	}
}

// start runs a task up to its first gate.
func (s *sched) start(t *task) {
	ctx, stop := context.WithCancel(context.WithValue(context.Background(), taskKey{}, t))
	t.cancel, t.started = stop, true
	go func() {
		defer stop()
		err := t.run(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		t.err, t.done = err, true
	}()
}

// isDone tells whether a task has returned.
func (s *sched) isDone(t *task) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.done
}

// maxGates bounds a step. An operation that passes more is taken for one that does
// not end.
const maxGates = 2000

// play runs tasks to their end, one gate at a time. Who goes on next, which of the
// tasks starts when, and what becomes of each call is drawn from t, the latter by
// decide. When decide answers false the world ends at that gate: the rest runs on
// without anybody looking, and play returns false.
func (s *sched) play(t *rapid.T, tasks []*task, decide func(*gate) (verdict, bool)) bool {
	for range maxGates {
		synctest.Wait()
		gates := s.gates()
		var idle []*task
		busyTasks := 0
		for _, task := range tasks {
			switch {
			case !task.started:
				idle = append(idle, task)
			case !s.isDone(task):
				busyTasks++
			}
		}
		if len(idle)+busyTasks == 0 {
			return s.settleBackground(t, gates, decide)
		}
		if len(gates)+len(idle) == 0 {
			t.Fatalf("(10) %d operations wait for something that never comes", busyTasks)
		}
		next := 0
		if n := len(gates) + len(idle); n > 1 {
			next = rapid.IntRange(0, n-1).Draw(t, "next")
		}
		if next < len(idle) {
			s.start(idle[next])
			continue
		}
		if !s.pass(gates[next-len(idle)], decide) {
			return false
		}
	}
	t.Fatalf("(7) more than %d calls in one step", maxGates)
	return false
}

// settleBackground lets on what no operation waits for, as far as it is drawn.
// Commits always go on.
func (s *sched) settleBackground(t *rapid.T, gates []*gate, decide func(*gate) (verdict, bool)) bool {
	for range maxGates {
		i := slices.IndexFunc(gates, func(g *gate) bool { return g.kind == "commit" })
		if i < 0 && (len(gates) == 0 || rapid.Bool().Draw(t, "leave background")) {
			return true
		}
		if !s.pass(gates[max(i, 0)], decide) {
			return false
		}
		synctest.Wait()
		gates = s.gates()
	}
	t.Fatalf("(7) background work makes more than %d calls", maxGates)
	return false
}

func (s *sched) pass(g *gate, decide func(*gate) (verdict, bool)) bool {
	v, alive := decide(g)
	if alive {
		s.release(g, v)
	}
	return alive
}
