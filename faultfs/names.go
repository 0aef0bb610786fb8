package faultfs

import (
	"path"
	"slices"
	"strconv"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// names tells what to call an inode: by the last name that it was given.
type names map[tree.Ino]entry

type entry struct {
	dir  tree.Ino
	name string
}

func newNames(tr *trace.Trace) names {
	n := names{}
	for e, p := range tr.Base.Paths {
		if e.Ino != tree.Root {
			n[e.Ino] = entry{tree.Root, p}
		}
	}
	for _, op := range tr.Ops {
		if op.Err != 0 {
			continue
		}
		switch {
		case op.Kind == trace.Rename:
			n[op.Ino] = entry{op.To, op.New}
			if op.Exchange {
				n[op.Over] = entry{op.Dir, op.Name}
			}
		case slices.Contains(naming, op.Kind):
			n[op.Ino] = entry{op.Dir, op.Name}
		}
	}
	return n
}

// naming are the kinds that give an inode a name.
var naming = []trace.Kind{trace.Create, trace.Mkdir, trace.Symlink, trace.Mknod, trace.Link}

// of returns the path of ino below the watched directory.
func (n names) of(ino tree.Ino) string {
	if ino == tree.Root {
		return "the directory"
	}
	return n.at(ino, "")
}

// in returns the path of name in dir.
func (n names) in(dir tree.Ino, name string) string { return n.at(dir, name) }

// at joins the names from the root to ino, and rest. A directory that was moved
// into one that was below it would be its own parent: the number of steps is
// bounded.
func (n names) at(ino tree.Ino, rest string) string {
	for range 64 {
		e, ok := n[ino]
		if !ok {
			break
		}
		rest = path.Join(e.name, rest)
		ino = e.dir
	}
	if rest == "" {
		return "a file without a name"
	}
	if quoted := strconv.Quote(rest); quoted != `"`+rest+`"` {
		return quoted // a name can hold anything, line breaks too
	}
	return rest
}
