package churn

import (
	"context"
	"errors"
	"time"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/audit"
)

// A life is what one child is started for. It always begins with recovery.
type life struct {
	step       string        // where it kills itself; empty or Random: nowhere
	hit        int           // at which passing
	patience   time.Duration // after recovery, before the parent kills it; 0: never
	operations int           // to be begun anew; negative: until it is killed
}

// forever is longer than any child takes that does not hang.
const forever = 2 * time.Minute

var errHangs = errors.New("child neither works nor ends")

// live runs one child from its start to its end, and reports whether it was killed.
// A killed one counts as a crash if an operation was in flight.
func (r *runner) live(ctx context.Context, l life) (killed bool, err error) {
	p, err := start(Orders{Dir: r.Dir, Naive: r.Naive, Workers: r.Workers, Step: l.step, Hit: l.hit})
	if err != nil {
		return false, err
	}
	var timeout <-chan time.Time
	hanging := time.After(forever)
	for open := true; open; {
		var report Report
		select {
		case report, open = <-p.reports:
			if !open {
				continue
			}
			if report.Event == Ready && l.patience > 0 {
				timeout = time.After(l.patience)
			}
			if err == nil {
				err = r.hear(p, &l, report)
			}
			if err != nil {
				p.kill()
			}
		case <-timeout:
			l.step = Random
			p.kill()
		case <-hanging:
			err = errHangs
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
	if err == nil {
		err = failure
	}
	if killed && r.ledger.inFlight() > 0 {
		r.result.Crashes++
		r.plan.hits[l.step]++
	}
	r.ledger.end()
	return killed, err
}

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
