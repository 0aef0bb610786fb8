package faultfs

import (
	"fmt"
	"strings"
	"syscall"
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

// kindNames has all kinds, in the order of their constants.
var kindNames = []struct {
	kind Kind
	name string
}{
	{Write, "write"},
	{Truncate, "truncate"},
	{Fallocate, "fallocate"},
	{Create, "create"},
	{Mkdir, "mkdir"},
	{Symlink, "symlink"},
	{Link, "link"},
	{Unlink, "unlink"},
	{Rmdir, "rmdir"},
	{Rename, "rename"},
	{Chmod, "chmod"},
	{Utimes, "utimes"},
	{Xattr, "xattr"},
	{Fsync, "fsync"},
	{Syncfs, "syncfs"},
}

// String returns the names of the kinds in k, such as "write|fsync", or of those that
// are not, such as "any operation but fsync", whichever are fewer.
func (k Kind) String() string {
	var in, out []string
	for _, n := range kindNames {
		if k&n.kind != 0 {
			in = append(in, n.name)
		} else {
			out = append(out, n.name)
		}
	}
	switch {
	case len(out) == 0:
		return "any operation"
	case len(out) < len(in):
		return "any operation but " + strings.Join(out, "|")
	}
	return strings.Join(in, "|")
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
