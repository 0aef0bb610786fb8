package faultfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/driftlesskv/driftless/faultfs/internal/explore"
	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// errExited is returned when Work ended its process, errLeft when it did so with
// status 0, as if all were well.
var (
	errExited = errors.New("work ended its process")
	errLeft   = errors.New("work ended its process with status 0")
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
	root, err := os.Open(dir)
	if err != nil {
		return nil, outcome{}, fmt.Errorf("open the directory for work: %w", err)
	}
	defer func() { _ = root.Close() }()
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
	if out.Failed || answerErr != nil { // let it print what there is to say
		time.AfterFunc(waitDelay, p.session.Kill)
		_ = p.session.Wait()
	}
	p.session.Kill()
	_ = p.session.Wait()
	_ = closed(nil, p.pipes...)
	if printed := p.output.String(); out.Failed && printed != "" {
		out.Text += "\n" + printed
	}
	switch {
	case errors.Is(nextErr, errStuck):
		return tr, out, fmt.Errorf("%w of %v", errStuck, r.workTimeout)
	case answerErr == nil && out.Failed && tr == nil:
		return nil, out, nil // Setup failed, or joining
	case tr != nil && nextErr == nil && answerErr != nil:
		tr.Dir = dir
		exited := errExited
		if p.cmd.ProcessState.Success() {
			exited = errLeft
		}
		return tr, out, fmt.Errorf("%w: the process ended without an outcome (%v)\n%s", exited, p.cmd.ProcessState, p.output)
	case nextErr != nil || answerErr != nil:
		return nil, out, fmt.Errorf("record work: %w (%v; does the test function reach this call of Run in the copy of the process?)\n%s", errors.Join(nextErr, answerErr), p.cmd.ProcessState, p.output)
	}
	tr.Dir = dir
	return tr, out, r.compare(tr, root)
}

// compare fails the test if the files that are there are not those that the recorded
// operations make: then something changed them that the recorder did not see, such
// as a server that Setup had started. root is the directory as it was made for Setup.
func (r *run) compare(tr *trace.Trace, root *os.File) error {
	r.t.Helper()
	recorded, err := explore.Final(tr)
	if err != nil {
		return err
	}
	found, _, err := tree.Scan(tr.Dir)
	if err != nil && !inPlace(root) {
		r.replaced()
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at what work has left: %w", err)
	}
	diff := slices.DeleteFunc(tree.Diff(recorded, found), func(line string) bool {
		return slices.ContainsFunc(tr.Blind, func(b trace.BlindSpot) bool {
			return b.What == record.BlindMap && strings.HasPrefix(line, b.Path+": ") // told already
		})
	})
	switch {
	case len(diff) == 0:
	case !inPlace(root):
		r.replaced()
	default:
		r.once(r.t.Errorf, "faultfs: blind spot: the files are not those that the recorded operations make; "+
			"whatever else changes them has to be started by Work:\n    %s", strings.Join(diff[:min(len(diff), 10)], "\n    "))
	}
	return nil
}

// replaced fails the test because the directory that it was given is another one now,
// or gone.
func (r *run) replaced() {
	r.t.Helper()
	r.once(r.t.Errorf, "faultfs: blind spot: the directory itself was removed, renamed or replaced, of which nothing is recorded: Work may change only what is in it")
}

// inPlace reports whether the open directory is what is at its path.
func inPlace(root *os.File) bool {
	was, err := root.Stat()
	is, statErr := os.Stat(root.Name())
	return err == nil && statErr == nil && os.SameFile(was, is)
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

// grace is how long Work may go on after an injected fault that hangs.
const grace = time.Second
