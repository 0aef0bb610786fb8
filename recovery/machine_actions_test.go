package recovery_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/driftlesskv/driftless/store"
)

// A mood is what may go wrong in one step.
type mood struct {
	faults bool // calls of the backing fail, contexts are cancelled
	crash  int  // after how many gates the world ends; below 0: it does not
}

var calm = mood{crash: -1}

func (m *machine) drawMood(t *rapid.T) mood {
	mood := calm
	switch rapid.IntRange(0, 7).Draw(t, "mood") {
	case 4, 5:
		mood.faults = true
	case 6:
		mood.crash = rapid.IntRange(0, 9).Draw(t, "crash after")
	case 7:
		mood.faults = true
		mood.crash = rapid.IntRange(0, 9).Draw(t, "crash after")
	}
	return mood
}

// verdicts are what may become of a call of each kind, beside passing.
var verdicts = map[string][]verdict{
	"create":   {fail, failAfter, half, cancel, cutOff},
	"remove":   {fail, failAfter, half, busy, cancel, cutOff},
	"probe":    {fail, unknown, cancel},
	"list":     {fail, half, cancel},
	"identity": {fail, cancel},
	"commit":   {cancel},
	"tx":       {fail},
}

// judge returns the decision about each gate of a step: see sched.play.
func (m *machine) judge(t *rapid.T, mood mood, tasks []*task) func(*gate) (verdict, bool) {
	return func(g *gate) (verdict, bool) {
		if mood.crash == 0 {
			return "", false
		}
		mood.crash--
		v := pass
		switch w, bad := m.weather[g.kind]; {
		case g.kind == "owner":
			return m.answer(t, g.name), true
		case bad && !g.after:
			v = w
		case g.after && m.cutOffs[g.id]:
			delete(m.cutOffs, g.id)
			v = cancel
		case !mood.faults:
		case g.after:
			if rapid.IntRange(0, 19).Draw(t, "after "+g.kind) == 19 {
				v = cancel
			}
		default:
			bad := verdicts[g.kind]
			if n := rapid.IntRange(0, 3*len(bad)).Draw(t, g.kind); n > 2*len(bad) {
				v = bad[n-2*len(bad)-1]
			}
		}
		switch v {
		case pass, live, gone:
			return v, true
		case cancel:
			m.cancel(g, tasks)
		case fail, failAfter, half, unknown, busy, elsewhere, cutOff:
			m.total.faults++
			if v == cutOff {
				m.cutOffs[g.id] = true
			}
			if g.kind == "remove" && v != busy {
				m.failures[g.stamp]++
			}
		}
		m.faults++
		return v, true
	}
}

// cancel ends the context of the operation at g, or of any if it is nobody's.
func (m *machine) cancel(g *gate, tasks []*task) {
	victim := g.task
	if victim == nil {
		i := slices.IndexFunc(tasks, func(t *task) bool { return t.started && !m.isDone(t) })
		if i < 0 {
			return
		}
		victim = tasks[i]
	}
	victim.dead = true
	victim.cancel()
	m.total.cancelled++
}

// answer draws what the owner says about a name.
func (m *machine) answer(t *rapid.T, name string) verdict {
	v := pass
	if !m.silent {
		v = rapid.SampledFrom([]verdict{pass, live, gone, fail}).Draw(t, "owner of "+name)
	}
	if _, asked := m.answers[name]; !asked {
		m.answers[name] = v
	}
	m.disowned[name] = v == gone
	if m.answered[name] == nil {
		m.answered[name] = map[verdict]bool{}
	}
	m.answered[name][v] = true
	return v
}

// actions are the steps of the machine.
func (m *machine) actions() map[string]func(*rapid.T) {
	one := func(draw func(*rapid.T) *op) func(*rapid.T) {
		return func(t *rapid.T) { m.do(t, m.drawMood(t), draw(t)) }
	}
	handle := func(kind string) func(*rapid.T) {
		return one(func(t *rapid.T) *op { return m.drawHandle(t, kind) })
	}
	return map[string]func(*rapid.T){
		"prepare":    one(func(t *rapid.T) *op { return m.drawCreation(t, "prepare") }),
		"create":     one(func(t *rapid.T) *op { return m.drawCreation(t, "create") }),
		"create too": one(func(t *rapid.T) *op { return m.drawCreation(t, "create") }),
		"claim":      handle("claim"),
		"claim tx":   handle("claim tx"),
		"unclaim":    handle("unclaim"),
		"unclaim tx": handle("unclaim tx"),
		"remove":     handle("remove"),
		"remove too": handle("remove"),
		"mark":       handle("mark"),
		"settle":     one(func(t *rapid.T) *op { return &op{kind: "settle", id: drawID(t)} }),
		"reclaim":    one(func(t *rapid.T) *op { return &op{kind: "reclaim", id: drawID(t)} }),
		"scrub":      one(func(*rapid.T) *op { return &op{kind: "scrub"} }),
		"bundle":     m.bundle,
		"crash":      func(t *rapid.T) { m.do(t, mood{crash: 0}) },
		"reopen":     m.reopen,
		"wait":       m.wait,
		"plant":      m.plant,
		"unplant":    m.unplant,
		"tamper":     m.tamper,
		"weather":    m.change,
		"heal":       m.heal,
	}
}

func drawID(t *rapid.T) store.DeviceID {
	return store.DeviceID(rapid.Uint32Range(uint32(firstID), uint32(lastID)).Draw(t, "id"))
}

func (m *machine) drawCreation(t *rapid.T, kind string) *op {
	name := rapid.SampledFrom(names[:4]).Draw(t, "name")
	spec := store.Spec{Labels: map[string]string{"spec": rapid.SampledFrom([]string{"1", "2"}).Draw(t, "spec")}}
	if rapid.Bool().Draw(t, "parent?") {
		spec.Parent = rapid.SampledFrom(names[:4]).Draw(t, "parent")
	}
	return &op{kind: kind, name: name, spec: spec}
}

// drawHandle returns an operation on a device that the machine knows. Devices that
// are there are preferred to those that are gone.
func (m *machine) drawHandle(t *rapid.T, kind string) *op {
	var all []*life
	for _, there := range []bool{true, true, true, false} {
		for _, l := range m.sorted() {
			if there == (l.seen != gone0) {
				all = append(all, l)
			}
		}
	}
	if len(all) == 0 {
		t.Skip("no device")
	}
	return &op{kind: kind, life: all[rapid.IntRange(0, len(all)-1).Draw(t, "handle")]}
}

// bundle runs two to four operations on different names at once, and perhaps a
// scrub beside them.
func (m *machine) bundle(t *rapid.T) {
	var ops []*op
	taken := map[string]bool{}
	for range rapid.IntRange(2, 4).Draw(t, "operations") {
		kind := rapid.SampledFrom([]string{"create", "prepare", "remove", "claim", "unclaim", "unclaim tx", "mark"}).Draw(t, "operation")
		var o *op
		if kind == "create" || kind == "prepare" {
			o = m.drawCreation(t, kind)
		} else if len(m.lives) > 0 {
			o = m.drawHandle(t, kind)
			o.name = o.life.dev.Name
		}
		if o != nil && !taken[o.name] {
			taken[o.name] = true
			ops = append(ops, o)
		}
	}
	switch id := drawID(t); rapid.IntRange(0, 7).Draw(t, "meanwhile") {
	case 4:
		ops = append(ops, &op{kind: "settle", id: id})
	case 5:
		ops = append(ops, &op{kind: "reclaim", id: id})
	case 6:
		ops = append(ops, &op{kind: "scrub"})
	case 7:
		ops = append(ops, &op{kind: "scrub"}, &op{kind: "scrub"})
	}
	m.do(t, m.drawMood(t), ops...)
}

// reopen closes the store in order and opens it again.
func (m *machine) reopen(t *rapid.T) {
	m.do(t, m.drawMood(t), &op{kind: "close"})
	if m.db == nil {
		m.recover(t, false)
	}
}

// wait lets time go by, so that what is lazy is flushed.
func (m *machine) wait(t *rapid.T) {
	time.Sleep(2 * time.Second)
	m.do(t, m.drawMood(t))
}

// plant puts a resource that is not ours under a free id.
func (m *machine) plant(t *rapid.T) {
	id := drawID(t)
	_, held := m.records[id]
	if _, there := m.world.truth()[id]; held || there || len(m.gates()) > 0 {
		t.Skip("not free")
	}
	res := store.Resource{ID: id, Presence: store.Present, Name: "foreign"}
	switch rapid.IntRange(0, 2).Draw(t, "what") {
	case 1:
		res.Stamp = store.Stamp{Incarnation: 1, Sequence: uint64(rapid.IntRange(1, 1<<20).Draw(t, "stamp"))}
	case 2:
		res.Stamp, res.Presence = store.Stamp{Incarnation: 1, Sequence: 7}, store.Partial
	}
	m.world.mem.Plant(res)
	m.planted[id] = &plant{}
	m.check(t)
}

// unplant takes such a resource away again.
func (m *machine) unplant(t *rapid.T) {
	id := drawID(t)
	res, there := m.world.truth()[id]
	if m.planted[id] == nil || !there || m.lives[res.Stamp] != nil || len(m.gates()) > 0 {
		t.Skip("nothing planted")
	}
	m.world.mem.Drop(id)
	m.check(t)
}

// tamper takes away the resource of a device, and puts another one there perhaps.
func (m *machine) tamper(t *rapid.T) {
	if len(m.gates()) > 0 || m.tampering > 2 {
		t.Skip("seldom")
	}
	o := m.drawHandle(t, "tamper")
	if !o.life.seen.usable() || o.life.tampered {
		t.Skip("not usable")
	}
	id := o.life.dev.ID
	m.world.mem.Drop(id)
	o.life.tampered = true
	m.tampering++
	if rapid.Bool().Draw(t, "replace") {
		m.world.mem.Plant(store.Resource{ID: id, Presence: store.Present, Stamp: store.Stamp{Incarnation: 1, Sequence: 1}})
		m.planted[id] = &plant{known: true}
	}
	m.check(t)
}

// change draws what the backing does from now on.
func (m *machine) change(t *rapid.T) {
	m.weather = rapid.SampledFrom([]map[string]verdict{
		nil,
		{"remove": fail},
		{"remove": half},
		{"remove": busy},
		{"remove": cancel},
		{"probe": unknown},
		{"create": half},
		{"identity": fail, "probe": fail, "list": fail, "create": fail, "remove": fail},
		{"identity": elsewhere, "probe": elsewhere, "list": elsewhere, "create": fail, "remove": fail},
	}).Draw(t, "weather")
}

// heal ends all trouble with a crash: after a recovery without faults everything
// must work, above all what was cut off before.
func (m *machine) heal(t *rapid.T) {
	m.weather = nil
	mood := m.drawMood(t)
	mood.crash = 0
	m.do(t, mood)
	if len(m.gates()) == 0 {
		m.do(t, calm, &op{kind: "close"})
		report := m.recover(t, true)
		m.recoverTwice(t, report)
	}
	m.alive(t)
}

// alive makes a device of a new name and repeats what crashes have cut off, with
// every result predicted. Keeps (10) honest.
func (m *machine) alive(t *rapid.T) {
	const fresh = "fresh"
	m.do(t, calm, &op{kind: "prepare", name: fresh})
	if l := m.holder(fresh); l != nil {
		for _, kind := range []string{"claim", "unclaim", "remove"} {
			m.do(t, calm, &op{kind: kind, life: l})
		}
		if l.seen != gone0 {
			m.fatalf(t, "(10) %v is %v after its removal", l, l.seen)
		}
	}
	again := m.retry
	m.retry = nil
	for _, o := range again {
		m.do(t, calm, o)
	}
}
