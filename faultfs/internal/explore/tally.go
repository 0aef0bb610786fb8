package explore

import (
	"cmp"
	"math/big"
	"slices"

	"github.com/driftlesskv/driftless/faultfs/model"
)

// The steps of counting that a point may take: what earlier ones have left, up to a
// limit. So a trace of many points takes a time that grows with their number only.
const (
	stepsPerPoint = 1 << 11
	mostSteps     = 1 << 17
)

// tally follows the number of legal sets from one crash point to the next. It counts
// again only parts, of atoms that hang together, which have changed.
type tally struct {
	x        *Explorer
	at       int64   // the point
	of       []*part // the part of each pending atom
	local    []int32 // numbers for a counter
	pending  int
	journals []int // pending atoms that a journal keeps in order; the last one is
	added    int   // atoms so far
	removed  int   // of Explorer.order
	changed  []*part
	left     int // steps

	// The number is odd << twos.
	odd  *big.Int
	twos uint
}

// part is some atoms that no edge connects to others.
type part struct {
	atoms   []int // durable ones are no longer of it
	live    int
	sets    *big.Int // how many legal ones the tally has
	bound   *big.Int // at least so many there are now
	changed bool     // since they were counted
	merged  bool     // is a part of another one
	cost    int      // steps that were too few to count it
}

func newTally(x *Explorer) *tally {
	return &tally{
		x: x, of: make([]*part, len(x.atoms)), local: make([]int32, len(x.atoms)),
		left: mostSteps, odd: big.NewInt(1),
	}
}

// advance goes on to the next point. Only what was pending becomes durable, before
// anything is added.
func (t *tally) advance(p point) {
	t.at = p.at
	for _, id := range t.x.order[t.removed:p.commits] {
		t.remove(id)
	}
	t.removed = p.commits
	for ; t.added < p.last; t.added++ {
		t.add(t.added)
	}
	t.left = min(t.left+stepsPerPoint, mostSteps)
	all := t.changed
	t.changed = nil
	slices.SortStableFunc(all, func(p, q *part) int { return cmp.Compare(p.live, q.live) })
	for _, p := range all {
		t.settle(p)
	}
}

// legal returns the number of legal sets, and whether it is no lower bound.
func (t *tally) legal() (*big.Int, bool) {
	return new(big.Int).Lsh(t.odd, t.twos), len(t.changed) == 0
}

func (t *tally) remove(id int) {
	if t.x.atoms[id].carried {
		if p := t.of[id+1]; p != nil {
			t.change(p) // who needed it no longer needs what carried it
		}
		return
	}
	p := t.of[id]
	t.of[id] = nil
	t.pending--
	p.live--
	p.bound = big.NewInt(int64(p.live + 1))
	p.cost = 0
	t.change(p)
}

func (t *tally) change(p *part) {
	if !p.changed {
		p.changed = true
		t.changed = append(t.changed, p)
	}
}

var two = big.NewInt(2)

func (t *tally) add(id int) {
	if t.x.atoms[id].carried {
		return
	}
	t.pending++
	var joined *part
	near := t.needs(id)
	for _, n := range near {
		p := t.of[n]
		switch {
		case joined == nil:
			joined = p
		case p != joined:
			joined = t.merge(joined, p)
		}
	}
	if a := &t.x.atoms[id]; a.journal && t.x.ordered() {
		t.journals = append(t.journals, id)
	}
	if joined == nil {
		t.of[id] = &part{atoms: []int{id}, live: 1, sets: two, bound: two}
		t.twos++
		return
	}
	top := slices.Contains(near, joined.atoms[len(joined.atoms)-1])
	t.of[id] = joined
	joined.atoms = append(joined.atoms, id)
	joined.live++
	joined.bound = new(big.Int).Add(joined.bound, big.NewInt(1))
	if joined.changed || !top || !joined.bound.IsInt64() || joined.bound.Int64() != int64(joined.live+1) {
		t.change(joined)
		return
	}
	t.count(joined, joined.bound) // a chain, as only that has so few
}

// needs returns the pending atoms that id, the newest one, needs at least.
func (t *tally) needs(id int) []int {
	a := &t.x.atoms[id]
	var found []int
	for _, n := range a.needs {
		if n = t.x.carrier(n, t.at); n != id && t.of[n] != nil {
			found = append(found, n)
		}
	}
	for n := len(t.journals); n > 0 && t.of[t.journals[n-1]] == nil; n-- {
		t.journals = t.journals[:n-1]
	}
	if n := len(t.journals); n > 0 && (a.journal || a.delayed) {
		found = append(found, t.journals[n-1])
	}
	return found
}

// ordered tells whether there is a journal that keeps its order.
func (x *Explorer) ordered() bool { return x.m.Order == model.Journal && !x.m.Lying }

// merge makes one part of two, the smaller one of which goes into the larger one.
func (t *tally) merge(p, q *part) *part {
	if len(p.atoms) < len(q.atoms) {
		p, q = q, p
	}
	for _, id := range q.atoms {
		if t.of[id] == q {
			t.of[id] = p
			p.atoms = append(p.atoms, id)
		}
	}
	p.live += q.live
	p.sets = new(big.Int).Mul(p.sets, q.sets)
	p.bound = new(big.Int).Mul(p.bound, q.bound)
	p.cost = max(p.cost, q.cost)
	q.merged = true
	t.change(p)
	return p
}

// settle counts a part that has changed, if there are steps left for that.
func (t *tally) settle(p *part) {
	switch {
	case p.merged:
		return
	case p.live == 0:
		t.count(p, big.NewInt(1))
		return
	}
	// What took too many steps once is tried again with twice as many, or when the
	// part is smaller.
	if t.left >= max(p.live, 2*p.cost) && t.recount(p) {
		return
	}
	t.count(p, p.bound)
	t.changed = append(t.changed, p)
}

// count makes the number of the sets of p known to be n.
func (t *tally) count(p *part, n *big.Int) {
	if p.sets.Cmp(n) == 0 {
		return
	}
	old := p.sets.TrailingZeroBits()
	t.twos -= old
	if p.sets.BitLen() > int(old)+1 {
		t.odd.Quo(t.odd, new(big.Int).Rsh(p.sets, old))
	}
	zeros := n.TrailingZeroBits()
	t.twos += zeros
	if n.BitLen() > int(zeros)+1 {
		t.odd.Mul(t.odd, new(big.Int).Rsh(n, zeros))
	}
	p.sets = n
}
