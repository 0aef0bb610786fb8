package faultfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// Sweep runs test.Work once for each operation that one of the faults among the
// options can hit, with the fault at that operation, and then verifies states that
// a power cut can leave of each of these runs. A fault has to end in one of two
// ways:
//
//   - it surfaces: Work returns an error that wraps the errno injected
//     ([errors.Is]), or tells [W.Surfaced] of one after it, or ends its process
//     with a status other than 0, but not by a panic, or ends the test by Fatal;
//   - it is masked: Work goes on rightly without the operation. The call site then
//     has to be named by a [Masked] option.
//
// After either, what was acknowledged must hold in every state. A short write
// surfaces as any error at all, and so does a fault in a process that Work started,
// such as a command: an errno does not come out of it. A slow operation must not
// make Work fail. After one that hangs, Work is killed.
//
// The sweep of a fault ends when Work ends before its n-th operation. Budget and
// States are for all runs of one fault and model together.
func Sweep(t TB, test Test, options ...Option) Report {
	needTB(t)
	t.Helper()
	r, past := newRun(t, test, append(slices.Clip(options), sweeping))
	if r == nil {
		return past
	}
	defer r.close()
	if len(r.faults) == 0 {
		t.Fatal("faultfs: Sweep needs a fault: Fail, ShortWrite, Slow or Hang")
	}
	tr, out, err := r.record(record.Options{})
	if err != nil {
		t.Fatalf("faultfs: %v", err)
	}
	if out.Failed {
		t.Fatalf("faultfs: Work fails without a fault: %s", out.Text)
	}
	r.blindSpots(tr)
	s := &sweep{run: r, met: make([]bool, len(r.masked))}
	var report Report
	for _, f := range r.faults {
		report.Sweeps = append(report.Sweeps, s.fault(f, tr, &report))
	}
	for i, m := range r.masked {
		if !s.met[i] {
			t.Errorf("faultfs: Masked(%q, %v) was met by no fault: remove it", m.site, m.errno)
		}
	}
	r.call.end(report)
	return report
}

// sweeping is an option of all calls of Sweep.
var sweeping = optionFunc(func(c *config) { c.sweeping = true })

// sweep is one call of Sweep.
type sweep struct {
	*run
	met []bool // entries of masked
}

// hit is one run with a fault.
type hit struct {
	n     int // the operation that was hit, of those that the fault can hit
	trace *trace.Trace
	out   outcome
	stuck bool
	died  string    // how Work ended its process, if it did
	op    *trace.Op // nil: the run did not come so far
}

// fault sweeps f over the operations of Work.
func (s *sweep) fault(f Fault, clean *trace.Trace, report *Report) SweepReport {
	s.t.Helper()
	sum := SweepReport{Fault: f.String()}
	n := 0
	for i := range clean.Ops {
		if f.hits(&clean.Ops[i]) {
			n++
		}
	}
	if n == 0 {
		s.t.Errorf("faultfs: %s: Work does nothing that it could hit", f)
		return sum
	}
	models := make([]ModelReport, len(s.models))
	for i := 1; ; i++ {
		h, err := s.inject(f, i)
		if err != nil {
			s.t.Fatalf("faultfs: %s, operation %d: %v", f, i, err)
		}
		if h.op == nil && i > n {
			break
		}
		if h.op == nil {
			continue // with another schedule of its goroutines Work does fewer
		}
		sum.Hits++
		s.blindSpots(h.trace)
		s.classify(f, h, &sum)
		for j, m := range s.models {
			models[j].add(s.crash(f, h, m, n))
		}
	}
	s.t.Logf("faultfs: %s", sum)
	for _, m := range models {
		s.t.Logf("faultfs: %s, then power cuts: %s", f, m)
	}
	report.Models = append(report.Models, models...)
	return sum
}

// inject runs Work with f at the n-th operation that it can hit.
func (s *sweep) inject(f Fault, n int) (hit, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.workTimeout)
	defer cancel()
	h := hit{n: n}
	met := 0
	var start int64
	o := record.Options{Inject: func(op *trace.Op) record.Fault {
		if !f.hits(op) {
			return record.Fault{}
		}
		met++
		if met < n || met > n && !f.sticky {
			return record.Fault{}
		}
		if met == n {
			start = op.Start
			if f.hang {
				time.AfterFunc(grace, cancel)
			}
		}
		return f.at(op)
	}}
	var err error
	h.trace, h.out, err = s.recordUntil(ctx, o)
	switch {
	case errors.Is(err, errStuck):
		h.stuck, err = true, nil
	case errors.Is(err, errExited):
		h.died, err = err.Error(), nil
	case errors.Is(err, errLeft):
		err = nil // the same as if Work had returned nil
	}
	if err == nil && (h.trace == nil || h.out.Lost) { // Setup failed, for one
		err = errors.New(h.out.Text)
	}
	if err != nil {
		return h, err
	}
	for i := range h.trace.Ops {
		if op := &h.trace.Ops[i]; met >= n && op.Start == start {
			h.op = op
		}
	}
	return h, nil
}

// crash explores the states that a power cut leaves of the run h.
func (s *sweep) crash(f Fault, h hit, m Model, runs int) ModelReport {
	s.t.Helper()
	c := *s.config
	c.quiet = true
	c.budget = max(s.budget/time.Duration(runs), minBudget)
	c.states = sweepStates
	if s.states > 0 {
		c.states = max(1, s.states/runs)
	}
	c.story = fmt.Sprintf("after %s, operation %d, at %s:", f, h.n, h.trace.Sites[h.op.Site].Short())
	old := s.config
	s.config = &c
	defer func() { s.config = old }()
	return s.exploreModel(h.trace, m)
}

// minBudget and sweepStates bound the exploration of one run of a sweep: there are
// as many as operations.
const (
	minBudget   = 100 * time.Millisecond
	sweepStates = 200
)
