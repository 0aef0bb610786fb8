package churn

import (
	"math/rand/v2"
	"slices"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/careful"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/naive"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/step"
)

// Random is the step of a crash that happened wherever it happened.
const Random = "at random"

// A plan chooses where the next crash shall be, so that every step has its turn.
type plan struct {
	random   *rand.Rand
	names    []string // of all steps, for the table
	working  []string // steps that a child passes while it works
	starting []string // steps that it passes while it recovers or ends
	hits     map[string]int
}

func newPlan(isNaive bool, random *rand.Rand) *plan {
	p := &plan{random: random, hits: map[string]int{}}
	if isNaive {
		p.working = step.Names(naive.Calls...)
		p.names = p.working
		return p
	}
	p.names = step.Names(slices.Concat(careful.Calls, step.BackingCalls)...)
	p.starting = step.Names(
		"backing.OpenDir", "store.Open", "recovery.Open", "recovery.Scrub", "DB.Close",
		"Backing.Identity", "Backing.Probe", "Backing.List",
	)
	for _, name := range p.names {
		if !slices.Contains(p.starting, name) {
			p.working = append(p.working, name)
		}
	}
	return p
}

// crash returns the step at which a working child shall die, Random for none: mostly
// one that has not been hit, and every other time none once all have been.
func (p *plan) crash() (name string, hit int) {
	if p.random.IntN(4) == 0 || p.missing(p.working) == nil && p.random.IntN(3) == 0 {
		return Random, 0
	}
	return p.choose(p.working), 1 + p.random.IntN(8)
}

// recoveryCrash returns the step at which a child shall die that cleans up after a
// crash, and whether it shall die at all: always while there are steps to be hit.
func (p *plan) recoveryCrash() (name string, hit int, die bool) {
	if len(p.starting) == 0 || p.missing(p.starting) == nil && p.random.IntN(4) > 0 {
		return "", 0, false
	}
	return p.choose(p.starting), 1 + p.random.IntN(2), true
}

// choose returns one of names, rather one that has not been hit.
func (p *plan) choose(names []string) string {
	if missing := p.missing(names); missing != nil {
		names = missing
	}
	return names[p.random.IntN(len(names))]
}

func (p *plan) missing(names []string) (missing []string) {
	for _, name := range names {
		if p.hits[name] == 0 {
			missing = append(missing, name)
		}
	}
	return missing
}
