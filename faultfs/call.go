package faultfs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// call names one call of Run or Sweep.
type call struct {
	test   string
	number int    // within the test, from 1
	past   string // file with the reports of the calls before it, if there are any
}

// calls holds the reports of the calls that each test that runs now has made; the
// last can still be going on.
var calls = struct {
	sync.Mutex
	reports map[string][]Report
}{reports: map[string][]Report{}}

// nextCall numbers this call within t.
func nextCall(t TB) call {
	calls.Lock()
	defer calls.Unlock()
	name := t.Name()
	if calls.reports[name] == nil {
		t.Cleanup(func() { // a test can run again under the same name
			calls.Lock()
			defer calls.Unlock()
			delete(calls.reports, name)
		})
	}
	calls.reports[name] = append(calls.reports[name], Report{})
	return call{test: name, number: len(calls.reports[name])}
}

// end keeps the report of c for the copies of this process that come past it on
// their way to a later call.
func (c call) end(r Report) {
	calls.Lock()
	defer calls.Unlock()
	calls.reports[c.test][c.number-1] = r
}

// here reports whether this process was started for the call c.
func (c call) here() bool {
	return self.test == c.test && self.call == c.number
}

// tell writes the reports of the calls before c into dir.
func (c *call) tell(dir string) error {
	if c.number == 1 {
		return nil
	}
	calls.Lock()
	defer calls.Unlock()
	text, err := json.Marshal(calls.reports[c.test][:c.number-1])
	if err != nil {
		return fmt.Errorf("encode the reports so far: %w", err)
	}
	c.past = filepath.Join(dir, "past.json")
	if err := os.WriteFile(c.past, text, 0o600); err != nil {
		return fmt.Errorf("write the reports so far: %w", err)
	}
	return nil
}

// report returns what c returned in the test process, in a copy of it that is here
// for a later call: so the test function goes the same way.
func (c call) report() Report {
	text, err := os.ReadFile(self.past)
	if err != nil || self.test != c.test {
		return Report{}
	}
	var past []Report
	if err := json.Unmarshal(text, &past); err != nil || len(past) < c.number {
		return Report{}
	}
	return past[c.number-1]
}
