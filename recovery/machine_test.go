package recovery_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

var flagSteps = flag.Int("steps", 1000, "steps that TestStateMachine makes at least; the seed is rapid's, -rapid.seed")

// The device table of the machine is small, so that ids run out and are reused.
const (
	table       = "t"
	maxAttempts = 3

	firstID, lastID store.DeviceID = 1, 6
)

var names = []string{"a", "b", "c", "d", "fresh"}

// totals are what the machine has done, over all runs.
type totals struct {
	steps, operations, recoveries int
	crashes, nested               int
	faults, cancelled             int
}

func (n totals) String() string {
	return fmt.Sprintf("%d steps, %d operations, %d crashes, %d of them during recovery, %d recoveries, %d faults injected, %d operations cancelled",
		n.steps, n.operations, n.crashes, n.nested, n.recoveries, n.faults, n.cancelled)
}

// TestStateMachine runs random operations of a device table, with faults of its
// backing, crashes, and crashes of the recovery from them, and holds every result
// and every state in between against a simple model: invariants 1 to 7 and 10 of
// package store.
//
// For a long run: go test ./recovery -run TestStateMachine -v -steps=100000 -timeout=1h;
// with TMPDIR on a tmpfs it is several times faster. The same -rapid.seed and -steps
// repeat a run; a failure also names the seed of the one check that failed.
func TestStateMachine(t *testing.T) {
	set := func(name, value string) {
		if f := flag.Lookup(name); f.Value.String() == f.DefValue || name == "rapid.seed" {
			if err := f.Value.Set(value); err != nil {
				t.Fatal(err)
			}
		}
	}
	seed := flag.Lookup("rapid.seed").Value.(flag.Getter).Get().(uint64)
	if seed == 0 {
		seed = 1 + rand.Uint64N(1<<32)
	}
	set("rapid.checks", "20")
	set("rapid.steps", "50")
	set("rapid.nofailfile", "true") // the seed is enough; leave nothing in the tree
	var total totals
	t.Logf("-rapid.seed=%d -steps=%d", seed, *flagSteps)
	base := t.TempDir()
	for next := seed; total.steps < *flagSteps; next += 1 << 20 {
		before := total.steps
		set("rapid.seed", fmt.Sprint(next))
		rapid.Check(t, func(t *rapid.T) {
			rapid.SyncTest(t, func(t *rapid.T) { newMachine(t, base, &total).run(t) })
		})
		if total.steps == before {
			t.Fatal("no step was made: too little time is left")
		}
	}
	set("rapid.seed", fmt.Sprint(seed))
	t.Logf("-rapid.seed=%d: %v", seed, total)
}

// A machine is one run: a world, the store that is open on it, and the model.
type machine struct {
	sched
	model
	total *totals

	base       string // of the directories of worlds
	generation int
	world      *world
	order      store.AllocationOrder
	db         *store.DB
	devs       *store.Devices

	records map[store.DeviceID]store.Record // as of the latest check
	commits int64                           // the same
	before  truth                           // as of the beginning of the step
	faults  int                             // injected in this step
	cutOffs map[store.DeviceID]bool         // calls after which a context has to end
	weather map[string]verdict              // what becomes of each call of a kind, until it changes
	retry   []*op                           // what crashes have cut off

	silent    bool                        // the owner can tell nothing
	answers   map[string]verdict          // of the owner, the first for each name, in the latest recovery
	disowned  map[string]bool             // whether its latest answer was Gone
	answered  map[string]map[verdict]bool // in all recoveries since the crash
	tampering int                         // resources that were taken away
}

var generation int // of machines; rapid runs one at a time

func newMachine(t *rapid.T, base string, total *totals) *machine {
	m := &machine{
		model: model{
			lives:   map[store.Stamp]*life{},
			planted: map[store.DeviceID]*plant{}, keys: map[string]string{}, failures: map[store.Stamp]int{},
		},
		total: total, base: base, order: store.LowestFirst, cutOffs: map[store.DeviceID]bool{},
	}
	if rapid.Bool().Draw(t, "reuse last") {
		m.order = store.ReuseLast
	}
	generation++
	m.base = filepath.Join(base, fmt.Sprint(generation))
	m.world = newWorld(&m.sched, filepath.Join(m.base, "0"), backing.NewMemory("pool"))
	t.Cleanup(func() {
		if m.world != nil {
			m.end(t)
		}
	})
	return m
}

// options are those with which the store of the current world is opened.
func (m *machine) options(t *rapid.T) recovery.Options {
	tab := recovery.Table{
		Name: table,
		DevicesOptions: store.DevicesOptions{
			Backing: m.world, FirstID: firstID, LastID: lastID, Order: m.order, MaxAttempts: maxAttempts,
		},
	}
	if m.silent || rapid.Bool().Draw(t, "owner") {
		tab.Owner = m.own
	}
	return recovery.Options{Store: store.Options{Observer: m.world}, Tables: []recovery.Table{tab}}
}

// own is the machine's recovery.Owner.
func (m *machine) own(ctx context.Context, name string) (recovery.Liveness, error) {
	switch m.hold(ctx, &gate{kind: "owner", name: name}) {
	case live:
		return recovery.Live, nil
	case gone:
		return recovery.Gone, nil
	case fail:
		return recovery.Gone, errInjected // the error counts, not the answer
	case pass, failAfter, half, unknown, busy, elsewhere, cancel, cutOff:
	}
	return recovery.Unknown, nil
}

func (m *machine) run(t *rapid.T) {
	m.recover(t, false)
	count := func(action func(*rapid.T)) func(*rapid.T) {
		return func(t *rapid.T) {
			action(t)
			m.total.steps++
		}
	}
	actions := map[string]func(*rapid.T){}
	for name, action := range m.actions() {
		actions[name] = count(action)
	}
	t.Repeat(actions)
}

// do runs ops at once, brings what came of them into the model and checks it; after
// a crash it recovers.
func (m *machine) do(t *rapid.T, mood mood, ops ...*op) {
	m.before, m.faults = m.world.truth(), 0
	background := len(m.gates()) > 0
	if background {
		m.settleBehind(ops)
	}
	predictable := len(ops) == 1 && mood == calm && len(m.weather) == 0 && !background
	var tasks []*task
	for _, o := range ops {
		if o.holder = m.holder(o.name); predictable {
			o.want = m.expect(o)
		}
		if o.creates() {
			o.left = &attempt{name: o.name, labels: o.spec.Labels, claimed: o.kind == "create", fresh: true}
			m.attempts = append(m.attempts, o.left)
		}
		tasks = append(tasks, m.bind(o))
		m.total.operations++
	}
	m.answered, m.disowned = nil, nil
	alive := m.play(t, tasks, m.judge(t, mood, tasks))
	if crashed := !alive || mood.crash >= 0; crashed {
		m.crash(t, tasks)
		alive = false
	} else {
		for _, task := range tasks {
			task.ended = true
		}
	}
	m.checkCollisions(t)
	closed := false
	for _, o := range ops {
		switch {
		case o.task.ended:
			m.logf(t, "%v: %v", o, o.task.err)
			m.acknowledge(t, o)
			closed = closed || o.kind == "close"
		case o.task.started:
			m.logf(t, "%v: cut off", o)
			m.doubt(o)
		}
	}
	if beside := slices.ContainsFunc(ops, func(o *op) bool { return o.is("scrub", "settle", "reclaim") }); beside && len(ops) > 1 {
		m.settleBeside()
	}
	switch {
	case !alive:
		m.recover(t, false)
	case closed:
		m.db, m.devs = nil, nil
		for _, l := range m.lives {
			l.file = l.now
		}
	default:
		m.check(t)
		m.checkCancelled(t, tasks)
		if predictable && ops[0].kind == "scrub" {
			m.checkReport(t, ops[0].report, true)
		}
	}
}

// settleBehind adds what work that has outlived its operation may make of devices
// meanwhile. It takes cancelled creations back; only others roll them forward.
func (m *machine) settleBehind(ops []*op) {
	for _, l := range m.lives {
		if !l.seen.unsettled() {
			continue
		}
		after := anySettled(l.seen)
		if !slices.ContainsFunc(ops, func(o *op) bool { return o.is("settle", "scrub") || o.name == l.dev.Name }) {
			after &^= of(ready, readyClaimed)
		}
		l.widen(after)
	}
}

// settleBeside adds what a settling may have made of the results of the operations
// that it ran beside.
func (m *machine) settleBeside() {
	after := func(s status) set {
		if s >= faulty {
			return of(s, faulty, gone0)
		}
		return anySettled(s)
	}
	for _, l := range m.lives {
		if l.touched {
			l.widen(l.now.each(after).each(after))
		}
	}
	for _, a := range m.attempts {
		if a.fresh {
			a.allowed = a.allowed.each(after)
		}
	}
}

func (o *op) is(kinds ...string) bool {
	for _, k := range kinds {
		if o.kind == k {
			return true
		}
	}
	return false
}

func (o *op) String() string {
	var b strings.Builder
	b.WriteString(o.kind)
	if o.creates() {
		fmt.Fprintf(&b, " %q %+v", o.name, o.spec)
	}
	if o.life != nil {
		fmt.Fprintf(&b, " %v (%v)", o.life, o.life.seen)
	}
	if o.id != 0 {
		fmt.Fprintf(&b, " id %d", o.id)
	}
	return b.String()
}

// fatalf ends the run with a violation. It leaves out what is random in stamps: rapid
// takes failures of another text for other failures.
func (m *machine) fatalf(t *rapid.T, format string, args ...any) {
	t.Helper()
	t.Fatal(m.text(format, args...))
}

// logf tells of a step, if the run has failed and is shown.
func (m *machine) logf(t *rapid.T, format string, args ...any) {
	t.Helper()
	t.Log(m.text(format, args...))
}

func (m *machine) text(format string, args ...any) string {
	text := fmt.Sprintf(format, args...)
	for i, n := range m.opened {
		text = strings.ReplaceAll(text, fmt.Sprintf("%016x-", n), fmt.Sprintf("#%d-", i))
	}
	return text
}

// fill writes a new device's content, as its owner would.
func (m *machine) fill(t *rapid.T, dev store.Device) {
	l := m.lives[dev.Stamp]
	l.content = []byte(dev.Stamp.String())
	if err := m.world.mem.Write(dev.ID, l.content); err != nil {
		m.fatalf(t, "(1) %v was acknowledged and cannot be filled: %v", l, err)
	}
}
