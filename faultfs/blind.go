package faultfs

import (
	"fmt"
	"path"
	"slices"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// blindSpots fails the test for what the recorder could not see of a recording,
// unless accepted; once for each.
func (r *run) blindSpots(tr *trace.Trace) {
	r.t.Helper()
	for _, b := range tr.Blind {
		if b.What == record.BlindURing || b.What == record.BlindAIO {
			r.once(r.t.Logf, "faultfs: %s at %s: the program went on without", b.What, tr.Sites[b.Site].Short())
			continue
		}
		if reason := r.accepts(b); reason != "" {
			r.once(r.t.Logf, "faultfs: blind spot accepted: %s: %s (%s)", b.What, b.Path, reason)
			continue
		}
		r.once(r.t.Errorf, "faultfs: blind spot: %s", blindText(tr, b, nil))
	}
}

// blindText says what was not seen; empty if one of the patterns accepts it, or if
// the program only went on without something.
func blindText(tr *trace.Trace, b trace.BlindSpot, accepted []string) string {
	if b.What == record.BlindURing || b.What == record.BlindAIO {
		return ""
	}
	for _, pattern := range accepted {
		if (acceptedBlind{pattern: pattern}).covers(b) {
			return ""
		}
	}
	return fmt.Sprintf("%s: %s, at %s: what it does is in no state; see AcceptBlind", b.What, b.Path, tr.Sites[b.Site].Short())
}

// once says something unless it has been said.
func (r *run) once(say func(format string, args ...any), format string, args ...any) {
	r.t.Helper()
	text := fmt.Sprintf(format, args...)
	if r.said == nil {
		r.said = map[string]bool{}
	}
	if !r.said[text] {
		r.said[text] = true
		say("%s", text)
	}
}

// accepts returns why the test accepts b; empty if it does not.
func (c *config) accepts(b trace.BlindSpot) string {
	for _, a := range c.blind {
		if a.covers(b) {
			return a.reason
		}
	}
	return ""
}

// ofFiles are the blind spots that are about one file. Those about a process could
// be about any.
var ofFiles = []string{record.BlindMap, record.BlindElsewhere, record.BlindMoved, record.BlindUnknown}

// covers reports whether a is about b: one of ofFiles whose path matches.
func (a acceptedBlind) covers(b trace.BlindSpot) bool {
	ok, err := path.Match(a.pattern, b.Path)
	return ok && err == nil && slices.Contains(ofFiles, b.What)
}
