package faultfs

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/driftlesskv/driftless/faultfs/internal/explore"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// samples is how many random states are tried at a crash point that has more legal
// ones than are all explored, beside those of the fixed strategies.
const samples = 512

// exploreModel verifies the states of tr under m, first those of Work, then, with
// Nested, those of the recoveries from them.
func (r *run) exploreModel(tr *trace.Trace, m Model) ModelReport {
	r.t.Helper()
	begun := time.Now()
	report := ModelReport{Model: m.Name, Operations: len(tr.Ops), Legal: new(big.Int)}
	x, err := explore.New(tr, m)
	if err != nil {
		r.t.Fatalf("faultfs: %s: %v", m.Name, err)
	}
	r.saved++ // a name of its own: verifiers keep a trace that they have read
	path := filepath.Join(r.dir, fmt.Sprintf("work-%d.trace", r.saved))
	defer func() { _ = os.Remove(path) }()
	if err := tr.Save(path); err != nil {
		r.t.Fatalf("faultfs: %v", err)
	}
	for _, p := range x.Points() {
		report.Points++
		report.Legal.Add(report.Legal, p.Legal)
		report.AtLeast = report.AtLeast || p.AtLeast
	}
	var found []finding
	bad := func(f finding) { found = append(found, f) }
	stop := r.watch(m.Name)
	share := budget{until: begun.Add(r.budget), workers: r.workers, states: r.states, shared: !r.exhaustive}
	work := share
	if r.nested > 0 {
		work = share.half()
	}
	var sum tally
	err = r.pool.run(&sum, r.pointJobs(x, path, m), work.plan, bad)
	report.Distinct = sum.Verified
	if err == nil && r.nested > 0 {
		err = r.pool.run(&sum, r.nestedJobs(path, m, sum.States), share.plan, bad)
	}
	stop()
	for _, text := range sum.Blind {
		if text != "" {
			r.once(r.t.Errorf, "faultfs: blind spot in Recover: %s", text)
		}
	}
	report.Explored = sum.Explored
	report.Recoveries, report.Nested = sum.Recoveries, sum.Verified-report.Distinct
	report.Exhaustive = err == nil && !sum.Cut && !sum.Sampled
	report.Left = sum.Left
	report.Elapsed = time.Since(begun)
	report.Found = len(found)
	report.Violations = r.tell(x, found, m)
	r.judge(report)
	if err != nil {
		r.t.Fatalf("faultfs: %s: %v", m.Name, err)
	}
	return report
}

// together is up to how many crash points with the same marks are one job.
const together = 16

// pointJobs splits the crash points of x into jobs. Points with the same marks stay
// together as far as that leaves work for all processes: only among them can two
// states be equal, and one process verifies equal ones once.
func (r *run) pointJobs(x *explore.Explorer, path string, m Model) []job {
	points := x.Points()
	var jobs []job
	for from := 0; from < len(points); {
		to := from + 1
		for to < len(points) && to < from+together && points[to].Marks == points[from].Marks {
			to++
		}
		j := r.newJob(path, m)
		j.From, j.To = from, to
		j.Samples = max(j.Samples, 4*r.states/len(points))
		jobs = append(jobs, j)
		from = to
	}
	size := func(j job) *big.Int { // small ones first: what they leave goes to the large ones
		n := new(big.Int)
		for _, p := range points[j.From:j.To] {
			n.Add(n, p.Legal)
		}
		return n
	}
	slices.SortStableFunc(jobs, func(a, b job) int { return size(a).Cmp(size(b)) })
	return jobs
}

// batch is from how many states of Work a process cuts off the recoveries before it
// asks for more.
const batch = 8

// nestedSubsets and nestedSamples stand for subsets and samples in recoveries, unless
// more are needed: there are many of them, and each is short.
const (
	nestedSubsets = 16
	nestedSamples = 8
)

// nestedJobs cuts off the recoveries from the states ids, in random order. What they
// sample suffices for about so many distinct states, most of them being equal.
func (r *run) nestedJobs(path string, m Model, ids []string) []job {
	rng := rand.New(rand.NewPCG(r.seed, 2))
	rng.Shuffle(len(ids), func(a, b int) { ids[a], ids[b] = ids[b], ids[a] })
	recoveries := max(1, len(ids)*(1+deeper*(r.nested-1)))
	each := 4 * r.states / recoveries
	var jobs []job
	for some := range slices.Chunk(ids, batch) {
		j := r.newJob(path, m)
		j.States, j.Depth = some, r.nested
		if !r.exhaustive {
			j.Subsets, j.Samples = min(j.Subsets, max(nestedSubsets, each)), max(nestedSamples, each)
		}
		jobs = append(jobs, j)
	}
	return jobs
}

func (r *run) newJob(path string, m Model) job {
	j := job{Trace: path, Model: m, Subsets: r.subsets, Samples: samples, Seed: r.seed, All: r.exhaustive}
	for _, a := range r.blind {
		j.Accepted = append(j.Accepted, a.pattern)
	}
	if r.exhaustive {
		j.Subsets = exhaustiveSubsets
	}
	return j
}

// exhaustiveSubsets is where Exhaustive gives up: no budget suffices for more.
const exhaustiveSubsets = 1 << 30

// judge logs report and fails the test for what is wrong with it.
func (r *run) judge(report ModelReport) {
	r.t.Helper()
	if !r.quiet {
		r.t.Logf("faultfs: %s", report)
	}
	if r.exhaustive && !report.Exhaustive {
		r.t.Errorf("faultfs: %s: the budget does not suffice to explore exhaustively", report.Model)
	}
	for _, v := range report.Violations {
		if v.Story != "" {
			r.t.Errorf("faultfs: %s: %s\n%s", v.Model, v.Text, v.Story)
		}
	}
}
