package explore

import (
	"slices"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// view is a crash point made ready to take states from: the pending atoms, numbered
// from 0, and what each needs of the others. A set of them is legal if it holds with
// each atom those that it needs.
type view struct {
	x       *Explorer
	p       int
	ids     []int
	needs   [][]int32
	base    *tree.Tree
	damages []damage
}

func (x *Explorer) view(p int) *view {
	v := &view{x: x, p: p, base: x.durable(p)}
	at := x.points[p]
	for id := at.first; id < at.last; id++ {
		if a := &x.atoms[id]; a.durable >= at.at && !a.carried {
			v.ids = append(v.ids, id)
		}
	}
	v.needs = make([][]int32, len(v.ids))
	lastJournal := int32(none)
	for i, id := range v.ids {
		a := &x.atoms[id]
		for _, n := range a.needs {
			if j, found := slices.BinarySearch(v.ids, x.carrier(n, at.at)); found && j < i {
				v.needs[i] = append(v.needs[i], int32(j))
			}
		}
		if !x.ordered() {
			continue
		}
		// What is durable already is no part of the order: an fsync that carries
		// only its own names takes them out of the journal.
		if (a.journal || a.delayed) && lastJournal != none && !slices.Contains(v.needs[i], lastJournal) {
			v.needs[i] = append(v.needs[i], lastJournal)
		}
		if a.journal {
			lastJournal = int32(i)
		}
	}
	v.damages = v.findDamages()
	return v
}

func (v *view) atom(i int) *atom { return &v.x.atoms[v.ids[i]] }

// carrier returns the atom with which atom id is there at a time.
func (x *Explorer) carrier(id int, at int64) int {
	if a := &x.atoms[id]; a.carried && a.durable >= at {
		return id + 1
	}
	return id
}

// carried returns the atom that is there with atom i, or nil.
func (v *view) carried(i int) *atom {
	id := v.ids[i]
	if id == 0 || v.x.carrier(id-1, v.x.points[v.p].at) != id {
		return nil
	}
	return &v.x.atoms[id-1]
}

// apply does to t what atom i does, and what is there with it.
func (v *view) apply(i int, t *tree.Tree) {
	if a := v.carried(i); a != nil {
		a.apply(t)
	}
	v.atom(i).apply(t)
}

// allows tells whether set, which holds what the needs of atom i are about, can hold
// atom i as well.
func (v *view) allows(set bits, i int) bool {
	for _, n := range v.needs[i] {
		if !set.has(int(n)) {
			return false
		}
	}
	return true
}

// build returns the files with the atoms of set.
func (v *view) build(set bits) *tree.Tree {
	t := v.base.Clone()
	for i := range v.ids {
		if set.has(i) {
			v.apply(i, t)
		}
	}
	return t
}

// keep adds atom i to set, and what it needs. It tells whether set changed.
func (v *view) keep(set bits, i int) bool {
	if set.has(i) {
		return false
	}
	set.add(i)
	for todo := slices.Clone(v.needs[i]); len(todo) > 0; {
		n := int(todo[len(todo)-1])
		todo = todo[:len(todo)-1]
		if !set.has(n) {
			set.add(n)
			todo = append(todo, v.needs[n]...)
		}
	}
	return true
}
