package explore

import (
	"math/big"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// State is what a power cut can leave. The zero State is none.
type State struct {
	Point int        // index in Explorer.Points
	Tree  *tree.Tree // the files; not to be changed, only cloned

	x      *Explorer
	kept   bits
	damage damage
}

// Model returns the model that allows the state.
func (s State) Model() model.Model { return s.x.m }

// Marks returns how many marks of the trace come before the power cut. States with
// the same number and the same hash of Tree are equal to a verifier.
func (s State) Marks() int { return s.x.points[s.Point].marks }

// Options chooses among the states of a point.
type Options struct {
	Subsets int    // all of them if Point.Legal is at most this
	Samples int    // else so many random ones, beside those of the fixed strategies
	Seed    uint64 // of the random ones
}

// States calls yield for each state of point p that o asks for, until it returns
// false: all that are legal, or a sample. It reports whether it was all. Equal states
// can come more than once. The same trace, model and options give the same states in
// the same order.
func (x *Explorer) States(p int, o Options, yield func(State) bool) bool {
	v := x.view(p)
	legal := x.public[p]
	if legal.AtLeast || legal.Legal.Cmp(big.NewInt(int64(o.Subsets))) > 0 {
		v.sample(o, yield)
		return false
	}
	e := enumerator{v: v, set: newBits(len(v.ids)), yield: yield}
	return e.from(0, v.base)
}

// enumerator goes through the legal sets, and builds the files of sets that begin in
// the same way only once.
type enumerator struct {
	v     *view
	set   bits
	yield func(State) bool
}

// from decides about atom i and all after it; t is what those before it left.
func (e *enumerator) from(i int, t *tree.Tree) bool {
	if i == len(e.v.ids) {
		return e.v.emit(e.set, t, e.v.damages, e.yield)
	}
	if !e.from(i+1, t) {
		return false
	}
	if !e.v.allows(e.set, i) {
		return true
	}
	t = t.Clone()
	e.v.apply(i, t)
	e.set.add(i)
	ok := e.from(i+1, t)
	e.set.remove(i)
	return ok
}

// emit yields the state of set, whose files are t, and with each of the damages.
func (v *view) emit(set bits, t *tree.Tree, damages []damage, yield func(State) bool) bool {
	s := State{Point: v.p, Tree: t, x: v.x, kept: set.clone()}
	if !yield(s) {
		return false
	}
	for _, s.damage = range damages {
		s.Tree = s.damage.apply(t, v.unitSize())
		if !yield(s) {
			return false
		}
	}
	return true
}
