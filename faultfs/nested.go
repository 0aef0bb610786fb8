package faultfs

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/driftlesskv/driftless/faultfs/internal/explore"
	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// deeper is in how many states of one recovery the next recovery is cut off too,
// unless the exploration is exhaustive.
const deeper = 2

// recording stands for the state that a recovery is being recorded from.
const recording = "recording"

// nested cuts off the recoveries from the states that j lists.
func (v *verifier) nested(j job) (*tally, error) {
	done := &tally{}
	for _, id := range j.States {
		s, err := v.explorer.Parse(id)
		if err != nil {
			return nil, err
		}
		if err := v.cutRecovery(j, done, s, v.trace, j.Depth, id); err != nil {
			return nil, err
		}
		if done.Cut {
			break
		}
	}
	return done, nil
}

// cutRecovery records the recovery from s, which is a state of tr, and verifies
// the states that a power cut in it can leave; depth more recoveries deep.
func (v *verifier) cutRecovery(j job, done *tally, s explore.State, tr *trace.Trace, depth int, root string) error {
	path := filepath.Join(v.dir, fmt.Sprintf("nested-%d.trace", depth))
	if err := v.answer.Encode(event{At: &place{Trace: path, State: recording, Root: root}}); err != nil {
		return err
	}
	dir, err := v.write(s)
	if err != nil {
		return err
	}
	inner, err := v.record(dir)
	_ = removeAll(dir) // a process that Recover has left behind may still write
	if err != nil || inner == nil {
		return err
	}
	for _, b := range inner.Blind {
		done.Blind = append(done.Blind, blindText(inner, b, j.Accepted))
	}
	inner.Marks = before(tr.Marks[:s.Marks()])
	_ = os.Remove(path) // a violation may have linked to the one before
	if err := inner.Save(path); err != nil {
		return err
	}
	x, err := explore.New(inner, s.Model())
	if err != nil {
		return err
	}
	done.Recoveries++
	next, err := v.innerStates(j, done, x, inner, place{Trace: path, Root: root})
	if err != nil || depth == 1 {
		return err
	}
	if !j.All {
		rng := rand.New(rand.NewPCG(j.Seed, uint64(done.Recoveries)))
		rng.Shuffle(len(next), func(a, b int) { next[a], next[b] = next[b], next[a] })
		done.Sampled = done.Sampled || len(next) > deeper
		next = next[:min(len(next), deeper)]
	}
	for _, s := range next {
		if done.Cut {
			break
		}
		if err := v.cutRecovery(j, done, s, inner, depth-1, root); err != nil {
			return err
		}
	}
	return nil
}

// innerStates verifies the states of one recorded recovery that are new, and returns
// them.
func (v *verifier) innerStates(j job, done *tally, x *explore.Explorer, tr *trace.Trace, at place) ([]explore.State, error) {
	var found []explore.State
	var failed error
	for p, point := range x.Points() {
		if point.Marks < len(tr.Marks) {
			continue // before the recovery
		}
		all := x.States(p, j.options(), func(s explore.State) bool {
			if !v.isNew(s, done) {
				return true
			}
			done.Verified++
			found = append(found, s)
			at.State = s.ID()
			failed = v.verify(s, tr, at)
			done.Cut = j.ended(done.Verified)
			return failed == nil && !done.Cut
		})
		done.Sampled = done.Sampled || !all
		if failed != nil || done.Cut {
			break
		}
	}
	return found, failed
}

// before returns marks as they are seen by a trace that begins after all of them.
func before(marks []trace.Mark) []trace.Mark {
	moved := make([]trace.Mark, len(marks))
	for i, m := range marks {
		m.At = int64(i - len(marks))
		m.Site = 0
		moved[i] = m
	}
	return moved
}

// recoverer is a process that runs Recover under a recorder.
type recoverer struct {
	session *record.Session
	control *json.Encoder
	answer  *json.Decoder
	pipes   []*os.File
}

// record runs Recover in dir and returns what it did; nil if it failed or ended its
// process, which verifying the same state tells.
func (v *verifier) record(dir string) (*trace.Trace, error) {
	if v.recorded == nil {
		r, err := startRecoverer(v.dir)
		if err != nil {
			return nil, err
		}
		v.recorded = r
	}
	tr, out, err := v.recorded.record(dir)
	if err != nil {
		v.recorded.close()
		v.recorded = nil
		return nil, nil
	}
	if out.Failed {
		return nil, nil
	}
	return tr, nil
}

// startRecoverer starts a copy of this process, which is a verifier, for the same
// call of Run.
func startRecoverer(dir string) (*recoverer, error) {
	c := call{test: self.test, number: self.call, past: self.past}
	p, err := c.start(roleRecover, dir, func(p *process) (err error) {
		p.session, err = record.Start(p.cmd, record.Options{})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &recoverer{session: p.session, control: p.control, answer: p.answer, pipes: p.pipes}, nil
}

// record runs Recover in dir and returns what it did and how it ended; an error if
// the process ended.
func (r *recoverer) record(dir string) (*trace.Trace, outcome, error) {
	var out outcome
	if err := r.control.Encode(dir); err != nil {
		return nil, out, fmt.Errorf("ask for a recovery: %w", err)
	}
	tr, err := r.session.Next(context.Background())
	if err == nil {
		err = r.answer.Decode(&out)
	}
	if err != nil {
		return nil, out, fmt.Errorf("record a recovery: %w", err)
	}
	return tr, out, nil
}

func (r *recoverer) close() {
	if r == nil {
		return
	}
	r.session.Kill()
	_ = r.session.Wait()
	_ = closed(nil, r.pipes...)
}
