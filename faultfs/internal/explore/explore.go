package explore

import (
	"errors"
	"math/big"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// Explorer knows the states that a power cut can leave of what a trace recorded. Its
// methods may be called from any number of goroutines.
type Explorer struct {
	tr     *trace.Trace
	m      model.Model
	atoms  []atom
	order  []int // atoms in the order in which they became durable
	points []point
	public []Point
	bases  []*tree.Tree // what is durable at every stride-th point
}

// point is a moment at which the power can go.
type point struct {
	at          int64
	marks       int
	first, last int // between these atoms are all that are pending
	commits     int // how many atoms of Explorer.order are durable
}

// Point is a moment at which the power can go.
type Point struct {
	At      int64    // just before this number of the trace's counter
	Marks   int      // marks of the trace before it
	Atoms   int      // changes that are pending
	Legal   *big.Int // states that the model allows, equal ones and damage counted
	AtLeast bool     // Legal is a lower bound
}

// stride is how far apart the points are for which the durable files are kept.
const stride = 16

// New finds the crash points of tr under m and what is pending at each. The error
// wraps [ErrInconsistent] if tr is not of anything that happened. Neither tr nor
// what it leads to may change afterwards.
func New(tr *trace.Trace, m model.Model) (*Explorer, error) {
	if err := checkModel(m); err != nil {
		return nil, err
	}
	if tr.Base == nil {
		return nil, errors.Join(ErrInconsistent, errors.New("no base"))
	}
	b := newBuilder(tr, m)
	if err := b.run(); err != nil {
		return nil, err
	}
	x := &Explorer{tr: tr, m: m, atoms: b.atoms, order: b.commits, points: b.points}
	x.keepBases(b.base)
	x.publish()
	return x, nil
}

// publish makes public.
func (x *Explorer) publish() {
	t := newTally(x)
	for p, point := range x.points {
		t.advance(point)
		legal, exact := t.legal()
		if x.m.Collateral > 0 || x.m.BitRot {
			legal.Mul(legal, big.NewInt(int64(1+len(x.view(p).damages))))
		}
		x.public = append(x.public, Point{
			At: point.at, Marks: point.marks, Atoms: t.pending, Legal: legal, AtLeast: !exact,
		})
	}
}

// Points returns the crash points in order.
func (x *Explorer) Points() []Point { return x.public }

// keepBases makes bases; base is what is there without any atom.
func (x *Explorer) keepBases(base *tree.Tree) {
	now, done := base, 0
	for p := range x.points {
		if p%stride == 0 {
			if p == 0 || done < x.points[p].commits {
				now = now.Clone()
				done = x.advance(now, done, x.points[p].commits)
			}
			x.bases = append(x.bases, now)
		}
	}
}

// advance makes what became durable between two numbers of commits durable in t.
func (x *Explorer) advance(t *tree.Tree, from, to int) int {
	for _, id := range x.order[from:to] {
		x.atoms[id].apply(t)
	}
	return to
}

// durable returns a new tree of what is durable at point p.
func (x *Explorer) durable(p int) *tree.Tree {
	t := x.bases[p/stride].Clone()
	x.advance(t, x.points[p/stride*stride].commits, x.points[p].commits)
	return t
}
