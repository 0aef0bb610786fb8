package explore

import (
	"math/rand/v2"
	"slices"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// sampler yields some of the legal sets of a point, each once.
type sampler struct {
	v     *view
	rng   *rand.Rand
	seen  map[tree.Sum]bool // of sets
	yield func(State) bool
	ended bool
}

// sample goes through the strategies; those that tell most come first, so that an
// early end costs least.
func (v *view) sample(o Options, yield func(State) bool) {
	s := &sampler{v: v, rng: rand.New(rand.NewPCG(o.Seed, uint64(v.p))), seen: map[tree.Sum]bool{}, yield: yield}
	n := len(v.ids)
	none, all := newBits(n), fullBits(n)
	s.damaged(none, o.Samples)
	s.damaged(all, o.Samples)
	s.groups(func(a *atom) int64 { return int64(a.op) })
	s.groups(func(a *atom) int64 { return -1 - int64(a.ino) })
	for i := range n {
		s.without(func(j int) bool { return j == i })
	}
	for i := range n {
		s.only(func(j int) bool { return j == i })
	}
	prefix := none.clone()
	for i := range n {
		prefix.add(i)
		s.take(prefix)
	}
	for range o.Samples {
		s.random()
	}
}

// groups drops and keeps the atoms that key puts together, one group after the other.
func (s *sampler) groups(key func(*atom) int64) {
	var keys []int64
	for i := range s.v.ids {
		keys = append(keys, key(s.v.atom(i)))
	}
	for _, k := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		s.without(func(i int) bool { return keys[i] == k })
		s.only(func(i int) bool { return keys[i] == k })
	}
}

// without takes everything but what in holds, and what needs that.
func (s *sampler) without(in func(i int) bool) {
	if s.ended {
		return
	}
	set := newBits(len(s.v.ids))
	for i := range s.v.ids {
		if !in(i) && s.v.allows(set, i) {
			set.add(i)
		}
	}
	s.take(set)
}

// only takes what in holds, and what that needs.
func (s *sampler) only(in func(i int) bool) {
	if s.ended {
		return
	}
	set := newBits(len(s.v.ids))
	for i := range s.v.ids {
		if in(i) {
			s.v.keep(set, i)
		}
	}
	s.take(set)
}

// random takes each atom with a probability that is random itself: either those that
// are lost or those that are there decide what falls with them.
func (s *sampler) random() {
	density := s.rng.Float64()
	chosen := newBits(len(s.v.ids))
	for i := range s.v.ids {
		if s.rng.Float64() < density {
			chosen.add(i)
		}
	}
	if s.rng.IntN(2) == 0 {
		s.only(chosen.has)
	} else {
		s.without(func(i int) bool { return !chosen.has(i) })
	}
}

// take yields a set that is new, and one damage of it.
func (s *sampler) take(set bits) {
	var some []damage
	if n := len(s.v.damages); n > 0 {
		some = s.v.damages[s.rng.IntN(n):][:1]
	}
	s.emit(set, some)
}

// damaged yields a set with at most n damages.
func (s *sampler) damaged(set bits, n int) {
	all := s.v.damages
	if len(all) > n {
		all = slices.Clone(all)
		s.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:n]
	}
	s.emit(set, all)
}

func (s *sampler) emit(set bits, damages []damage) {
	if s.ended {
		return
	}
	key := set.sum()
	if s.seen[key] {
		return
	}
	s.seen[key] = true
	s.ended = !s.v.emit(set, s.v.build(set), damages, s.yield)
}
