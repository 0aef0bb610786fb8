// Package churn has a child process work on snapshots, kills it again and again, and
// has an audit look at what is left each time.
//
// The parent chooses the operations and writes down what the child acknowledges;
// the child does nothing but carry them out. Killing a process shows whether the
// order of its steps is right. It says nothing about syncing: the operating system
// keeps what a killed process wrote.
package churn

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/audit"
)

// Config says what Run does.
type Config struct {
	Dir      string   // where the snapshotter keeps everything
	Archives []string // the layers, at least one
	Naive    bool     // the naive snapshotter instead of the careful one
	Crashes  int      // how many times the child is killed in the middle of an operation
	Workers  int      // operations at a time, at least 1
	Seed     uint64   // of the choice of operations and crashes
	Progress func(Result)
}

// A Result is what Run found out.
type Result struct {
	Operations int // acknowledged
	Crashes    int // with at least one operation in flight
	Failed     int // operations that returned an error
	Failure    string
	Findings   []audit.Finding // distinct, in the order of discovery
	Steps      []Step
	Elapsed    time.Duration
}

// A Step is a point at which the child was killed, and how many times.
type Step struct {
	Name string
	Hits int
}

// Count returns the number of findings of a kind.
func (r Result) Count(kind audit.Kind) (n int) {
	for _, f := range r.Findings {
		if f.Kind == kind {
			n++
		}
	}
	return n
}

// Drift returns the number of all findings.
func (r Result) Drift() int { return len(r.Findings) }

// operations after the last crash: what was broken by it, or before, shows now. With
// large layers there are as many as fit into the time.
const (
	closing     = 100
	closingTime = 20 * time.Second
)

// Bounds of how long a child may take to come to the step where it is to die.
const (
	shortPatience = 500 * time.Millisecond // not every step comes along in every life
	longPatience  = time.Minute
)

type runner struct {
	Config
	ledger   *ledger
	workload *workload
	plan     *plan
	oracle   *audit.Oracle
	known    map[string]bool
	patience time.Duration // grows while children are killed before they are done with anything
	started  time.Time
	result   Result
}

// Run works and crashes until Config.Crashes are counted, then works on for a while
// without. An audit follows each crash and the end. Its result is also valid, as far
// as it goes, if there is an error.
func Run(ctx context.Context, config Config) (Result, error) {
	// The kernel kills the child when the thread ends that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	random := rand.New(rand.NewPCG(config.Seed, 0))
	r := &runner{
		Config: config, ledger: newLedger(), plan: newPlan(config.Naive, random),
		oracle: audit.NewOracle(), known: map[string]bool{}, started: time.Now(),
		patience: shortPatience,
	}
	r.workload = &workload{ledger: r.ledger, archives: config.Archives, random: random}
	err := r.run(ctx)
	r.result.Elapsed = time.Since(r.started)
	for _, name := range append([]string{Random}, r.plan.names...) {
		r.result.Steps = append(r.result.Steps, Step{name, r.plan.hits[name]})
	}
	return r.result, err
}

func (r *runner) run(ctx context.Context) error {
	for r.result.Crashes < r.Crashes {
		if err := r.crash(ctx); err != nil {
			return err
		}
		if err := r.recover(ctx); err != nil {
			return err
		}
		if err := r.audit(ctx); err != nil {
			return err
		}
	}
	if _, err := r.live(ctx, life{operations: closing, time: closingTime}); err != nil {
		return err
	}
	return r.audit(ctx)
}

// crash lets a child work until it is killed.
func (r *runner) crash(ctx context.Context) error {
	l := life{operations: -1}
	l.step, l.hit = r.plan.crash()
	l.patience = r.patience
	if l.step == Random {
		l.patience = r.patience * time.Duration(2+r.plan.random.IntN(300)) / 1000
	}
	_, err := r.live(ctx, l)
	return err
}

// recover lets children clean up after a crash until one of them comes to its end:
// some are killed while they are at it.
func (r *runner) recover(ctx context.Context) error {
	for {
		var l life
		if r.result.Crashes < r.Crashes {
			if name, hit, die := r.plan.recoveryCrash(); die {
				l.step, l.hit = name, hit
			}
		}
		killed, err := r.live(ctx, l)
		if err != nil || !killed {
			return err
		}
	}
}

// audit compares everything, and keeps what is new. No child is alive.
func (r *runner) audit(ctx context.Context) error {
	picture, err := r.picture(ctx)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	findings, err := audit.Compare(picture, r.ledger.expectations(), r.oracle)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	r.found(findings...)
	if r.Progress != nil {
		r.Progress(r.result)
	}
	return nil
}

func (r *runner) picture(ctx context.Context) (audit.Picture, error) {
	if r.Naive {
		return audit.Naive(r.Dir)
	}
	return audit.Careful(ctx, r.Dir)
}

// found adds findings to the result. What goes on differing is one finding, however
// many audits see it.
func (r *runner) found(findings ...audit.Finding) {
	for _, f := range findings {
		if name := string(f.Kind) + f.Subject; !r.known[name] {
			r.known[name] = true
			r.result.Findings = append(r.result.Findings, f)
		}
	}
}
