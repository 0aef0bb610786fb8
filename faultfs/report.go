package faultfs

import (
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Report is what [Run] and [Sweep] found.
type Report struct {
	Models []ModelReport // in the order in which they were explored
	Sweeps []SweepReport // of Sweep, one for each fault
}

// nothing returns the report of a call that is passed over on the way to a replay.
func (c *config) nothing() Report {
	var r Report
	for _, m := range c.models {
		r.Models = append(r.Models, ModelReport{Model: m.Name, Legal: new(big.Int)})
	}
	for _, f := range c.faults {
		r.Sweeps = append(r.Sweeps, SweepReport{Fault: f.String()})
	}
	return r
}

// ModelReport is what was explored under one model.
type ModelReport struct {
	Model      string
	Operations int      // of Work, recorded
	Points     int      // crash points
	Legal      *big.Int // states that the model allows, over all crash points
	AtLeast    bool     // Legal is a lower bound
	Explored   int      // of Legal
	Distinct   int      // of Explored: different files or different marks; all were verified
	Recoveries int      // that were recorded and cut off in their turn
	Nested     int      // distinct states of those recoveries, verified
	Left       int      // crash points that the budget left out
	Exhaustive bool     // every legal state of every crash point was explored
	Elapsed    time.Duration
	Violations []Violation // at most 100; the first of them with a story
	Found      int         // violations in all
}

// Verified returns how many states were verified.
func (r ModelReport) Verified() int { return r.Distinct + r.Nested }

// String returns one line: the model, what was explored of how much, and whether
// that was all.
func (r ModelReport) String() string {
	how := "sampled"
	if r.Exhaustive {
		how = "exhaustive"
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s: %s: %d of %s legal states at %d crash points of %d operations, %d distinct",
		r.Model, how, r.Explored, r.total(), r.Points, r.Operations, r.Distinct)
	if r.Recoveries > 0 {
		fmt.Fprintf(&s, "; %d recoveries cut off, %d distinct states of theirs", r.Recoveries, r.Nested)
	}
	if r.Left > 0 {
		fmt.Fprintf(&s, "; %d crash points left out by the budget", r.Left)
	}
	fmt.Fprintf(&s, "; %d violations; %v, %.0f states/s", r.Found, r.Elapsed.Round(time.Millisecond), float64(r.Verified())/max(r.Elapsed.Seconds(), 1e-3))
	return s.String()
}

// add adds the exploration of one more run.
func (r *ModelReport) add(o ModelReport) {
	if r.Legal == nil {
		*r = o
		return
	}
	r.Operations += o.Operations
	r.Points += o.Points
	r.Legal.Add(r.Legal, o.Legal)
	r.AtLeast = r.AtLeast || o.AtLeast
	r.Explored += o.Explored
	r.Distinct += o.Distinct
	r.Recoveries += o.Recoveries
	r.Nested += o.Nested
	r.Left += o.Left
	r.Exhaustive = r.Exhaustive && o.Exhaustive
	r.Elapsed += o.Elapsed
	r.Violations = append(r.Violations, o.Violations...)
	r.Found += o.Found
}

// total returns Legal, as a power of two if it is long.
func (r ModelReport) total() string {
	text := r.Legal.String()
	if len(text) > 9 {
		text = fmt.Sprintf("2^%d", r.Legal.BitLen()-1)
	}
	if r.AtLeast {
		text = "at least " + text
	}
	return text
}

// Violation is a state that Recover or Verify rejects.
type Violation struct {
	Model  string
	Text   string // what Recover or Verify said, or how the process ended
	Story  string // what the power cut lost, which sync was missing; for the first few
	Replay string // for -faultfs.replay
}

// SweepReport is what one [Fault] did.
type SweepReport struct {
	Fault    string
	Hits     int // operations that were hit, one in each run
	Surfaced int // runs in which the error was returned, or ended the program
	Survived int // runs in which a slow or hanging operation did no harm
	Masked   int // runs in which nothing surfaced and all that was acknowledged was true
	Sites    []MaskedSite
}

// MaskedSite is a call site whose fault surfaced nowhere.
type MaskedSite struct {
	Site   string // function and file:line
	Count  int
	Reason string // of the [Masked] option that allows it
}
