package faultfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// errStuck is returned when Setup and Work took too long.
var errStuck = errors.New("work took longer than its time-out")

// record runs Setup and Work in a process of its own under a recorder. The outcome
// is Work's; the error is one of the machinery, or errStuck.
func (r *run) record(o record.Options) (*trace.Trace, outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.workTimeout)
	defer cancel()
	return r.recordUntil(ctx, o)
}

func (r *run) recordUntil(ctx context.Context, o record.Options) (*trace.Trace, outcome, error) {
	o.MarkLines = r.markLines
	base := r.nextDir()
	defer func() { _ = removeAll(base) }()
	dir := filepath.Join(base, "dir")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, outcome{}, fmt.Errorf("make a directory for work: %w", err)
	}
	p, err := r.call.start(roleWork, base, func(p *process) (err error) {
		p.cmd.Env = append(p.cmd.Env, envDir+"="+dir)
		p.session, err = record.Start(p.cmd, o)
		return err
	})
	if err != nil {
		return nil, outcome{}, err
	}
	tr, nextErr := p.session.Next(ctx)
	if nextErr != nil && ctx.Err() != nil {
		p.session.Kill()
		tr, nextErr = p.session.Next(context.Background()) // what was done until then
		if nextErr == nil {
			nextErr = errStuck
		}
	}
	var out outcome
	answerErr := p.answerOrKill(ctx, &out)
	p.session.Kill()
	_ = p.session.Wait()
	_ = closed(nil, p.pipes...)
	if printed := p.output.String(); out.Failed && printed != "" {
		out.Text += "\n" + printed
	}
	switch {
	case errors.Is(nextErr, errStuck):
		return tr, out, errStuck
	case answerErr == nil && out.Failed && tr == nil:
		return nil, out, nil // Setup failed, or joining
	case nextErr != nil || answerErr != nil:
		return nil, out, fmt.Errorf("record work: %w\n%s", errors.Join(nextErr, answerErr), p.output)
	}
	tr.Dir = dir
	return tr, out, nil
}

// answerOrKill waits for the outcome of p as long as ctx lasts.
func (p *process) answerOrKill(ctx context.Context, out *outcome) error {
	stop := context.AfterFunc(ctx, p.session.Kill)
	defer stop()
	if err := p.answer.Decode(out); err != nil {
		return fmt.Errorf("the process ended without an outcome (%w)", err)
	}
	return nil
}

// accepts returns why the test accepts b; empty if it does not.
func (c *config) accepts(b trace.BlindSpot) string {
	for _, a := range c.blind {
		if ok, err := path.Match(a.pattern, b.Path); ok && err == nil {
			return a.reason
		}
		if ok, err := path.Match(a.pattern, path.Base(b.Path)); ok && err == nil {
			return a.reason
		}
	}
	return ""
}

// grace is how long Work may go on after an injected fault that hangs.
const grace = 2 * time.Second
