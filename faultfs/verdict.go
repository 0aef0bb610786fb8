package faultfs

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// classify says whether the fault of h surfaced, and fails the test if it neither
// did nor may be masked.
func (s *sweep) classify(f Fault, h hit, sum *SweepReport) {
	s.t.Helper()
	site := h.trace.Sites[h.op.Site]
	panics := strings.HasPrefix(h.out.Text, "panic: ") || strings.Contains(h.died, "panic: ") || strings.Contains(h.died, "fatal error: ")
	switch {
	case h.stuck && !f.hang:
		s.t.Errorf("faultfs: %s at %s: Work hangs", f, site.Short())
	case panics:
		s.t.Errorf("faultfs: %s at %s: %s%s", f, site.Short(), h.out.Text, h.died)
	case f.hang:
		sum.Survived++
	case f.delay > 0 && (h.out.Failed || h.died != ""):
		s.t.Errorf("faultfs: %s at %s: Work fails: %s%s", f, site.Short(), h.out.Text, h.died)
	case f.delay > 0:
		sum.Survived++
	case h.surfaced(f):
		sum.Surfaced++
	case h.out.Failed:
		s.t.Errorf("faultfs: %s at %s: the error does not wrap the errno: %s", f, site.Short(), h.out.Text)
	default:
		s.masking(f, site, sum)
	}
}

// surfaced reports whether the program told of the fault: by the error that Work
// returned, by one that it passed to W.Surfaced after the fault, or by ending. An
// errno does not come out of another process; any error does for one of those.
func (h hit) surfaced(f Fault) bool {
	elsewhere := h.op.PID != h.out.PID
	if h.died != "" || h.out.Fatal || slices.Contains(h.out.Surfaced, f.errno) || h.out.Failed && (f.short || elsewhere) {
		return true
	}
	for _, m := range h.trace.Marks {
		var told []syscall.Errno
		if m.Op != surfaced || m.At < h.op.Start || json.Unmarshal(m.Args, &told) != nil {
			continue
		}
		if slices.Contains(told, f.errno) || f.short {
			return true
		}
	}
	return false
}

// closure is what the name of a function literal has behind that of the function
// around it; how many there are depends on what was inlined.
var closure = regexp.MustCompile(`(\.func\d+|\.\d+|\.gowrap\d+)+$`)

// names reports whether m is about function: its name, or the end of it from a dot
// or a slash on.
func (m maskedFault) names(function string) bool {
	rest, ok := strings.CutSuffix(function, m.site)
	return ok && (rest == "" || strings.HasSuffix(rest, ".") || strings.HasSuffix(rest, "/") || strings.HasPrefix(m.site, "."))
}

// masking notes a fault that surfaced nowhere.
func (s *sweep) masking(f Fault, site trace.Site, sum *SweepReport) {
	s.t.Helper()
	sum.Masked++
	own := closure.ReplaceAllString(site.Own().Func, "")
	if own == "" {
		own = "process." + site.Process
	}
	for i, m := range s.masked {
		if m.errno == f.errno && (m.site == "*" || m.names(own)) {
			s.met[i] = true
			sum.note(site.Short(), m.reason)
			return
		}
	}
	sum.note(site.Short(), "")
	s.t.Errorf("faultfs: %s at %s surfaced nowhere: Work goes on as if nothing had happened. "+
		"If that is right, say why: faultfs.Masked(%q, %s, reason)", f, site.Short(), own, errnoExpr(f.errno))
}
