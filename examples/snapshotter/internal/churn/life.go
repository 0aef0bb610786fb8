package churn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/audit"
)

// A life is what one child is started for. It always begins with recovery.
type life struct {
	step       string        // where it kills itself; empty or Random: nowhere
	hit        int           // at which passing
	patience   time.Duration // after recovery, before the parent kills it; 0: never
	operations int           // to be begun anew; negative: until it is killed
	time       time.Duration // after recovery, in which operations are begun; 0: any
}

// silence is longer than any child is silent that does not hang: it reports the
// beginning and the end of each operation, and the end of recovery.
const silence = 2 * time.Minute

var errHangs = errors.New("child neither works nor ends")

// live runs one child from its start to its end, and reports whether it was killed.
// A killed one counts as a crash if an operation was in flight.
func (r *runner) live(ctx context.Context, l life) (killed bool, err error) {
	p, err := start(Orders{Dir: r.Dir, Naive: r.Naive, Workers: r.Workers, Step: l.step, Hit: l.hit})
	if err != nil {
		return false, err
	}
	before := r.answered()
	var timeout, evening <-chan time.Time
	hanging := time.NewTimer(silence)
	defer hanging.Stop()
	for open := true; open; {
		var report Report
		select {
		case report, open = <-p.reports:
			if !open {
				continue
			}
			hanging.Reset(silence)
			if report.Event == Ready && l.patience > 0 {
				timeout = time.After(l.patience)
			}
			if report.Event == Ready && l.time > 0 {
				evening = time.After(l.time)
			}
			if err == nil {
				err = r.hear(p, &l, report)
			}
			if err != nil {
				p.kill()
			}
		case <-timeout:
			if l.step != Random && r.answered() == before {
				// Layers may be so large that nothing is ever finished in this time.
				r.patience = min(2*r.patience, longPatience)
			}
			l.step = Random
			p.kill()
		case <-evening:
			l.operations = 0
		case <-hanging.C:
			err = fmt.Errorf("%w for %v while it does %s", errHangs, silence, r.ledger.doing())
			p.kill()
		case <-ctx.Done():
			p.kill()
			for range p.reports { // lets its reader end
			}
			_, _ = p.wait()
			return false, ctx.Err()
		}
	}
	killed, failure := p.wait()
	switch {
	case err == nil:
		err = failure
	case errors.Is(err, errHangs):
		err = p.complaint(err)
	}
	if killed && r.ledger.inFlight() > 0 {
		r.result.Crashes++
		r.plan.hits[l.step]++
	}
	r.ledger.end()
	return killed, err
}

// answered returns the number of operations that have come to an end.
func (r *runner) answered() int { return r.result.Operations + r.result.Failed }

// hear takes a report down and keeps the child busy.
func (r *runner) hear(p *process, l *life, report Report) error {
	switch report.Event {
	case Ready:
		for range r.Workers {
			r.feed(p, l)
		}
	case Begin:
		_, err := r.ledger.answer(report)
		return err
	case Ack:
		e, err := r.ledger.answer(report)
		if err != nil {
			return err
		}
		r.result.Operations++
		if err := r.checkDigest(e, report); err != nil {
			return err
		}
		r.feed(p, l)
	case Fail:
		e, err := r.ledger.answer(report)
		if err != nil {
			return err
		}
		r.result.Failed++
		if r.result.Failure == "" {
			r.result.Failure = e.command.String() + ": " + report.Error
		}
		r.feed(p, l)
	}
	if len(r.ledger.sent) == 0 {
		return p.stdin.Close() // there is no more to do: the child ends by itself
	}
	return nil
}

// feed sends the child one command: what an earlier one left unfinished first.
func (r *runner) feed(p *process, l *life) {
	if l.operations == 0 {
		return
	}
	if interrupted := r.ledger.interrupted(); len(interrupted) > 0 {
		p.send(r.ledger.send(interrupted[0]))
		return
	}
	l.operations--
	c := r.workload.next()
	r.ledger.plan(c)
	p.send(r.ledger.send(r.ledger.entries[c.Key]))
}

// checkDigest compares what the child says that it made or read with what the layers
// amount to.
func (r *runner) checkDigest(e *entry, report Report) error {
	if report.Digest == "" {
		return nil
	}
	expected, err := r.oracle.Expect(e.command.Key, e.Before.Layers)
	if err != nil {
		return err
	}
	if report.Digest != expected.Digest() {
		r.found(audit.Finding{
			Kind: audit.Lost, Subject: e.command.Key,
			Detail: e.command.String() + " acknowledged other content",
		})
	}
	return nil
}
