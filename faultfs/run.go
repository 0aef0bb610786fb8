package faultfs

import (
	"fmt"
	"os"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
)

// Supported returns nil if this machine can record: Linux 5.19 or later, on amd64
// or arm64, where seccomp user notification is not forbidden. Else the error says
// what is missing, and errors.Is(err, ErrUnsupported) holds.
func Supported() error {
	if self.name != "" {
		return nil // the process that started this one has found out
	}
	return record.Supported()
}

// ErrUnsupported is returned by [Supported] when the machine cannot record.
var ErrUnsupported = record.ErrUnsupported

// Run records test.Work and verifies the states that a power cut at any moment of
// it can leave, under each model. Violations, an error of Setup or Work, and what
// the recorder could not see ([AcceptBlind]) fail the test; the log says how much
// was explored. Where [Supported] returns an error the test is skipped with it, or
// fails with it if the environment variable FAULTFS_REQUIRE is not empty: a
// continuous integration that means to prove something should set it.
//
// Run starts copies of the test binary that run the same test function up to this
// call; see [Test].
func Run(t TB, test Test, options ...Option) Report {
	needTB(t)
	t.Helper()
	r, past := newRun(t, test, options)
	if r == nil {
		return past
	}
	defer r.close()
	tr, out, err := r.record(record.Options{})
	if err != nil {
		t.Fatalf("faultfs: %v", err)
	}
	if out.Failed {
		t.Fatalf("faultfs: Work: %s", out.Text)
	}
	r.blindSpots(tr)
	if len(tr.Ops) == 0 {
		t.Fatalf("faultfs: Work changed no file below its directory: there is nothing to verify")
	}
	var report Report
	for _, m := range r.models {
		report.Models = append(report.Models, r.exploreModel(tr, m))
	}
	r.call.end(report)
	return report
}

// envRequire is the environment variable that makes a test fail where it would be
// skipped.
const envRequire = "FAULTFS_REQUIRE"

// run is one call of Run or Sweep in the test process.
type run struct {
	*config
	t     TB
	test  Test
	call  call
	dir   string // scratch
	pool  *pool
	kept  string          // where failures are kept, once there is one
	made  int             // recordings
	saved int             // traces
	said  map[string]bool // what was said once

	remove func()
}

// newRun prepares a call. It returns nil if the call is not to go on, in a copy of
// the test binary that is here for another call or for a replay, and the report
// that the call returned in the test process.
func newRun(t TB, test Test, options []Option) (*run, Report) {
	t.Helper()
	if test.Work == nil || test.Verify == nil {
		t.Fatal("faultfs: a Test needs Work and Verify")
	}
	c, err := newConfig(options)
	if err != nil {
		t.Fatalf("faultfs: %v", err)
	}
	if c.nested > 0 && test.Recover == nil {
		t.Fatal("faultfs: Nested needs a Test with Recover")
	}
	call := nextCall(t)
	if self.name != "" {
		if call.here() {
			play(t, test)
		}
		return nil, call.report()
	}
	if err := Supported(); err != nil {
		if os.Getenv(envRequire) != "" {
			t.Fatalf("faultfs: %s is set, and %v", envRequire, err)
		}
		t.Skipf("faultfs: %v", err)
	}
	if *replayFlag != "" {
		if replay(t, call, c, test) {
			t.SkipNow()
		}
		return nil, c.nothing()
	}
	dir, remove, err := scratch(c.dir)
	if err != nil {
		t.Fatalf("faultfs: %v", err)
	}
	if err := call.tell(dir); err != nil {
		remove()
		t.Fatalf("faultfs: %v", err)
	}
	r := &run{config: c, t: t, test: test, call: call, dir: dir, remove: remove}
	r.pool = newPool(call, dir, c.workers, c.stateTimeout)
	return r, Report{}
}

func (r *run) close() {
	r.pool.close()
	r.remove()
}

// nextDir returns a name for the directory of the next recording.
func (r *run) nextDir() string {
	r.made++
	return fmt.Sprintf("%s/work-%d", r.dir, r.made)
}
