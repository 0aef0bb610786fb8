package faultfs

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// String returns what the fault does to what, such as "fsync fails with EIO".
func (f Fault) String() string {
	var does string
	switch {
	case f.hang:
		does = "hangs"
	case f.delay > 0:
		does = fmt.Sprintf("takes %v longer", f.delay)
	case f.short:
		does = "is short"
	default:
		does = "fails with " + errnoName(f.errno)
	}
	if f.sticky {
		does += " from then on"
	}
	return f.kinds.String() + " " + does
}

// String returns the names of the kinds in k.
func (k Kind) String() string {
	if k == Any {
		return "any operation"
	}
	var names []string
	for i := range 32 {
		if name := trace.Kind(i).String(); k&(1<<i) != 0 && name != "unknown" {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// String returns one line: how often the fault hit, and how it ended.
func (r SweepReport) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: %d runs, %d surfaced, %d masked, %d survived", r.Fault, r.Hits, r.Surfaced, r.Masked, r.Survived)
	for _, m := range r.Sites {
		fmt.Fprintf(&s, "\n    masked %d times at %s: %s", m.Count, m.Site, m.Reason)
	}
	return s.String()
}

// note counts a masked fault at site.
func (r *SweepReport) note(site, reason string) {
	for i := range r.Sites {
		if r.Sites[i].Site == site {
			r.Sites[i].Count++
			return
		}
	}
	r.Sites = append(r.Sites, MaskedSite{Site: site, Count: 1, Reason: reason})
}

// errnoExpr returns e as Go source.
func errnoExpr(e syscall.Errno) string {
	name := errnoName(e)
	switch {
	case e == 0:
		return "0"
	case strings.HasPrefix(name, "E"):
		return "syscall." + name
	}
	return fmt.Sprint(int(e))
}
