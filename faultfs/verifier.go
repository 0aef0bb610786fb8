package faultfs

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/driftlesskv/driftless/faultfs/internal/explore"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// verifier is the process that verifies states, one after the other. It makes the
// states itself, from the trace, so that little travels between processes and
// killing it loses nothing.
type verifier struct {
	t      TB
	test   Test
	dir    string // its own
	answer *json.Encoder
	made   int // directories

	loaded   string // the trace and model of explorer
	explorer *explore.Explorer
	trace    *trace.Trace
	seen     map[stateKey]struct{} // states of trace under that model, and of recoveries from them

	recorded *recoverer // started when first needed
}

// playVerify does one job after the other.
func playVerify(t TB, test Test, control *json.Decoder, answer *json.Encoder) {
	v := &verifier{t: t, test: test, dir: self.dir, answer: answer}
	defer func() { v.recorded.close() }()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // the heap is small, and all that a state leaves is garbage
	}
	for {
		var j job
		if control.Decode(&j) != nil {
			return // the parent has gone, or wants no more
		}
		done, err := v.do(j)
		if errors.Is(err, errUseless) {
			return
		}
		if err != nil {
			_ = answer.Encode(event{Err: err.Error()}) // without it the parent sees that the process died
			return
		}
		if answer.Encode(event{Done: done}) != nil {
			return
		}
	}
}

func (v *verifier) do(j job) (*tally, error) {
	if err := v.load(j); err != nil {
		return nil, err
	}
	switch {
	case j.Depth > 0:
		return v.nested(j)
	case j.States != nil:
		return v.these(j)
	default:
		return v.explore(j)
	}
}

// load reads the trace of j, unless it is the one of the job before.
func (v *verifier) load(j job) error {
	key := j.Trace + "\x00" + fmt.Sprint(j.Model)
	if v.loaded == key {
		return nil
	}
	tr, err := trace.Load(j.Trace)
	if err != nil {
		return err
	}
	x, err := explore.New(tr, j.Model)
	if err != nil {
		return err
	}
	v.loaded, v.trace, v.explorer, v.seen = key, tr, x, map[stateKey]struct{}{}
	return nil
}

// heartbeat is after how many states, equal ones counted, a verifier shows that it
// does not hang.
const heartbeat = 1000

// explore verifies the states of the crash points of j, each distinct one once.
func (v *verifier) explore(j job) (*tally, error) {
	done, begun := &tally{}, time.Now()
	skip := j.After != ""
	var failed error
	for p := j.From; p < j.To && failed == nil; p++ {
		share := j.upTo(p, begun)
		cut := !skip && share.ended(done.Verified)
		if cut {
			done.Cut = true
			done.Left++
			continue
		}
		all := v.explorer.States(p, j.options(), func(s explore.State) bool {
			done.Explored++
			if done.Explored%heartbeat == 0 {
				failed = v.answer.Encode(event{})
				cut = !skip && share.ended(done.Verified)
			}
			if failed != nil || cut || !v.isNew(s, done) {
				return failed == nil && !cut
			}
			done.Verified++
			id := s.ID()
			done.States = append(done.States, id)
			if skip {
				skip = id != j.After
				return true
			}
			failed = v.verify(s, v.trace, place{Trace: j.Trace, State: id})
			cut = share.ended(done.Verified)
			return failed == nil && !cut
		})
		done.Sampled = done.Sampled || !all
		done.Cut = done.Cut || cut
	}
	return done, failed
}

// isNew reports whether no state equal to s was met before, and takes note of it.
func (v *verifier) isNew(s explore.State, done *tally) bool {
	hash := s.Tree.Hash()
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(hash[:], uint64(s.Marks())))
	key := stateKey(sum[:])
	if _, met := v.seen[key]; met {
		return false
	}
	v.seen[key] = struct{}{}
	done.Keys = append(done.Keys, key[:]...)
	return true
}

// these verifies the states that j lists.
func (v *verifier) these(j job) (*tally, error) {
	done := &tally{}
	for _, id := range j.States {
		s, err := v.explorer.Parse(id)
		if err != nil {
			return nil, err
		}
		if err := v.verify(s, v.trace, place{Trace: j.Trace, State: id}); err != nil {
			return nil, err
		}
		done.Verified++
	}
	return done, nil
}

// verify writes s out and calls Recover and Verify on it. What they find goes to
// the parent; the error is one of the machinery.
func (v *verifier) verify(s explore.State, tr *trace.Trace, at place) error {
	if err := v.answer.Encode(event{At: &at}); err != nil {
		return err
	}
	dir, err := v.write(s)
	if err != nil {
		return err
	}
	out := check(v.test, &State{dir: dir, model: s.Model().Name, marks: marksOf(tr, s)})
	useless := failing(v.t, &out)
	if out.Failed && isFull(v.dir) {
		return errFull
	}
	if out.Failed {
		if at.Root != "" { // the next recovery overwrites its trace
			kept := filepath.Join(v.dir, fmt.Sprintf("bad-%d-%d.trace", os.Getpid(), v.made))
			if err := os.Link(at.Trace, kept); err != nil {
				return fmt.Errorf("keep the trace of a recovery: %w", err)
			}
			at.Trace = kept
		}
		if err := v.answer.Encode(event{Bad: &finding{at, out.Text}, Useless: useless}); err != nil {
			return err
		}
	}
	_ = removeAll(dir) // a process that Verify has left behind may still write
	if useless {
		return errUseless
	}
	return nil
}

// errUseless is returned when Verify has failed the test itself: a test cannot be
// made good again, so the next failure would not show.
var errUseless = errors.New("the test of this process has failed")

// check calls Recover and Verify of test.
func check(test Test, s *State) outcome {
	if test.Recover != nil {
		if out := guard(func() error { return test.Recover(s.dir) }); out.Failed {
			out.Text = "recover: " + out.Text
			return out
		}
	}
	return guard(func() error { return test.Verify(s) })
}

// stateDir is what the names of the directories of states begin with.
const stateDir = "state-"

// write materialises s in a directory of its own.
func (v *verifier) write(s explore.State) (string, error) {
	v.made++
	dir := filepath.Join(v.dir, stateDir+strconv.Itoa(v.made))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a directory for a state: %w", err)
	}
	if err := s.Tree.Write(dir); err != nil {
		if isFull(v.dir) {
			err = errors.Join(errFull, err)
		}
		return "", fmt.Errorf("write out a state: %w", err)
	}
	return dir, nil
}

// marksOf returns the marks before the power cut of s.
func marksOf(tr *trace.Trace, s explore.State) []Mark {
	var marks []Mark
	for _, m := range tr.Marks[:s.Marks()] {
		if m.Op == surfaced {
			continue
		}
		marks = append(marks, Mark{Op: m.Op, Args: m.Args, Ack: m.Ack})
	}
	return marks
}
