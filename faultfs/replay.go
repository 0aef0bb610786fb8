package faultfs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"github.com/driftlesskv/driftless/faultfs/internal/explore"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

var (
	replayFlag = flag.String("faultfs.replay", "", "write out the `state` of a failure printed by faultfs, and verify it alone")
	dirFlag    = flag.String("faultfs.dir", "", "the `directory` for -faultfs.replay; empty: a new one")
)

// replayID names a state of a trace in a file under a model.
type replayID struct {
	trace, model, state string
}

func (r replayID) String() string { return r.trace + ":" + r.model + ":" + r.state }

// command returns the command line that replays r.
func (r replayID) command(c call) string {
	if !isTest() {
		return fmt.Sprintf("the same command with -replay='%s'", r)
	}
	pkg := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		pkg = strings.TrimSuffix(info.Path, ".test") + " "
	}
	return fmt.Sprintf("go test %s-run '%s' -faultfs.replay='%s'", pkg, selector(c.test), r)
}

func parseReplay(text string) (replayID, error) {
	parts := strings.Split(text, ":")
	if n := len(parts); n >= 3 {
		return replayID{strings.Join(parts[:n-2], ":"), parts[n-2], parts[n-1]}, nil
	}
	return replayID{}, fmt.Errorf("parse -faultfs.replay %q: want TRACE:MODEL:STATE", text)
}

// find returns the trace, and the state in it, of r.
func (r replayID) find(models []Model) (*trace.Trace, *explore.Explorer, explore.State, error) {
	for _, m := range models {
		if m.Name != r.model {
			continue
		}
		tr, err := trace.Load(r.trace)
		if err != nil {
			return nil, nil, explore.State{}, err
		}
		x, err := explore.New(tr, m)
		if err != nil {
			return nil, nil, explore.State{}, err
		}
		s, err := x.Parse(r.state)
		return tr, x, s, err
	}
	return nil, nil, explore.State{}, fmt.Errorf("replay %s: the test has no model of that name", r)
}

// of reports whether the trace of r was kept by c.
func (r replayID) of(c call) bool {
	number, ok := strings.CutPrefix(filepath.Base(r.trace), callName(c)+"-")
	return ok && !strings.ContainsAny(number, "-_")
}

// replayed is whether some call has taken the state of -faultfs.replay.
var replayed atomic.Bool

// replay writes the state of -faultfs.replay out twice: once to look at and once
// to verify, in this process so that a debugger sees it.
// It returns false if the state is one of another call.
func replay(t TB, call call, c *config, test Test) bool {
	t.Helper()
	id, err := parseReplay(*replayFlag)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(id.trace); err != nil {
		t.Fatalf("faultfs: replay: %v", err)
	}
	if !id.of(call) {
		t.Cleanup(func() {
			if !replayed.Load() {
				t.Errorf("faultfs: replay: %s is not of a call of Run or Sweep that %s has made", id.trace, call.test)
			}
		})
		return false
	}
	replayed.Store(true)
	tr, x, s, err := id.find(c.models)
	if err != nil {
		t.Fatal(err)
	}
	dir := *dirFlag
	if dir == "" {
		if dir, err = os.MkdirTemp("", "faultfs-replay-"); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"crashed", "verified"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := s.Tree.Write(filepath.Join(dir, sub)); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the files after the power cut: %s\nafter Recover and Verify: %s", filepath.Join(dir, "crashed"), filepath.Join(dir, "verified"))
	out := check(test, &State{dir: filepath.Join(dir, "verified"), model: s.Model().Name, marks: marksOf(tr, s)})
	if out.Failed {
		t.Fatalf("%s\n%s", out.Text, newStory(tr, x, s))
	}
	t.Log("Verify finds nothing wrong with this state")
	return true
}
