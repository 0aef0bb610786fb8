package explore

import (
	"math/big"
	"slices"
)

// recount counts a part, or the parts that it has come to be. It returns false if
// there were too few steps.
func (t *tally) recount(p *part) bool {
	p.atoms = slices.DeleteFunc(p.atoms, func(id int) bool { return t.of[id] != p })
	slices.Sort(p.atoms)
	c := newCounter(t.edges(p.atoms), t.left)
	list := make([]int32, p.live)
	for i := range list {
		list[i] = int32(i)
	}
	var found []*part
	for _, part := range c.parts(list) {
		q := t.newPart(p, part)
		if q.sets = two; len(part) > 1 {
			q.sets = c.part(part)
		}
		q.bound = q.sets
		found = append(found, q)
	}
	had := t.left
	if t.left = max(c.left, 0); c.left < 0 {
		p.cost = had
		return false
	}
	t.count(p, big.NewInt(1))
	for _, q := range found {
		for _, id := range q.atoms {
			t.of[id] = q
		}
		sets := q.sets
		q.sets = big.NewInt(1)
		t.count(q, sets)
	}
	return true
}

// newPart returns the part of p that a counter found.
func (t *tally) newPart(p *part, numbers []int32) *part {
	q := &part{live: len(numbers)}
	for _, i := range numbers {
		q.atoms = append(q.atoms, p.atoms[i])
	}
	slices.Sort(q.atoms)
	return q
}

// edges returns what each of atoms, a part in order, needs of the others.
func (t *tally) edges(atoms []int) [][]int32 {
	for i, id := range atoms {
		t.local[id] = int32(i)
	}
	needs := make([][]int32, len(atoms))
	journal := int32(none)
	for i, id := range atoms {
		a := &t.x.atoms[id]
		for _, n := range a.needs {
			if n = t.x.carrier(n, t.at); n != id && t.of[n] != nil {
				needs[i] = append(needs[i], t.local[n])
			}
		}
		// All that a journal orders, and what follows it, is in one part.
		if t.x.ordered() && journal != none && (a.journal || a.delayed) {
			needs[i] = append(needs[i], journal)
		}
		if a.journal {
			journal = int32(i)
		}
	}
	return needs
}
