package explore

import (
	"slices"
	"syscall"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// sync does what the end of an operation promises: it makes a crash point and then
// what the operation covers durable, or takes note that it failed.
func (b *builder) sync(op *trace.Op) {
	if !syncs(op) {
		return
	}
	covered := b.covered(op)
	if op.Err != 0 {
		b.failed(op, covered)
		return
	}
	if b.m.Lying {
		return
	}
	var chosen []int
	for _, id := range covered {
		if !b.atoms[id].dropped {
			chosen = append(chosen, id)
		}
	}
	chosen = b.closure(chosen)
	if len(chosen) == 0 {
		return
	}
	b.point(op.End)
	for _, id := range chosen {
		b.atoms[id].durable = op.End
	}
	b.commits = append(b.commits, chosen...)
	b.pending = slices.DeleteFunc(b.pending, b.settled)
	b.news = b.overtook(chosen)
}

// overtook tells whether chosen, which are durable now, left behind something that a
// journal has before them, or the rest of what they are a part of: then there are
// states that were not legal so far.
func (b *builder) overtook(chosen []int) bool {
	first := len(b.atoms)
	if b.m.Order == model.Journal {
		if i := slices.IndexFunc(b.pending, func(id int) bool { return b.atoms[id].journal }); i >= 0 {
			first = b.pending[i]
		}
	}
	return slices.ContainsFunc(chosen, func(id int) bool {
		a := &b.atoms[id]
		return (a.journal || a.delayed) && id > first || a.carried && !b.settled(id+1)
	})
}

// syncs tells whether op promises something.
func syncs(op *trace.Op) bool {
	if op.Kind == trace.Fsync || op.Kind == trace.Syncfs {
		return true
	}
	// A write that failed did nothing; it says nothing about what was before.
	return op.Sync != trace.SyncNone && (op.Kind == trace.Msync || op.Err == 0)
}

// failed takes note that the kernel does not try again to write covered.
func (b *builder) failed(op *trace.Op, covered []int) {
	if !b.m.DropFailed || slices.Contains(untried, op.Err) {
		return
	}
	for _, id := range covered {
		if a := &b.atoms[id]; a.kind == pieceData || a.kind == pieceZero {
			a.dropped = true
		}
	}
}

// untried are the errors of a sync that did not get as far as writing: the call was
// wrong, or did not begin.
var untried = []syscall.Errno{syscall.EINTR, syscall.EAGAIN, syscall.EBADF, syscall.EINVAL, syscall.ENOSYS, syscall.ENOTSUP}

// closure adds what atoms need, and sorts.
func (b *builder) closure(ids []int) []int {
	seen := map[int]bool{}
	var all []int
	var add func(id int)
	add = func(id int) {
		if seen[id] || b.atoms[id].durable != never {
			return
		}
		seen[id] = true
		all = append(all, id)
		for _, n := range b.atoms[id].needs {
			add(n)
		}
	}
	for _, id := range ids {
		add(id)
	}
	slices.Sort(all)
	return all
}

// covered returns the pending atoms that a sync promises, apart from what they need.
func (b *builder) covered(op *trace.Op) []int {
	c := cover{b: b, op: op, dirs: inodes(op.Ino)}
	if op.Kind != trace.Syncfs {
		c.prepare()
	}
	var found []int
	for _, id := range b.pending {
		if a := &b.atoms[id]; (a.end < op.Start || b.own(a, op)) && c.has(id, a) {
			found = append(found, id)
		}
	}
	return found
}

// own tells whether a is of op itself, a synchronous write.
func (b *builder) own(a *atom, op *trace.Op) bool { return op == &b.tr.Ops[a.op] }

// cover is what one sync of one inode covers.
type cover struct {
	b    *builder
	op   *trace.Op
	upTo int        // changes that a journal orders, up to this atom
	dirs []tree.Ino // the inode, and directories above it that are new
}

// prepare finds out what the model adds to the inode itself.
func (c *cover) prepare() {
	c.upTo = none
	switch c.b.m.Fsync {
	case model.Earlier:
		for _, id := range c.b.pending {
			if a := &c.b.atoms[id]; (a.end < c.op.Start || c.b.own(a, c.op)) && c.changes(a) {
				c.upTo = id
			}
		}
	case model.OwnNames:
		c.dirs = c.b.newAbove(c.op.Ino)
	case model.FileOnly:
	}
}

// changes tells whether a is a change of the inode that the sync has to commit:
// anything but data that is written in place and, without SyncFull, attributes and,
// by the model, names.
func (c *cover) changes(a *atom) bool {
	switch a.kind {
	case pieceAttr:
		return a.ino == c.op.Ino && c.op.Sync == trace.SyncFull
	case pieceName:
		full := c.op.Sync == trace.SyncFull || c.b.m.FdatasyncNames
		return slices.Contains(a.about, c.op.Ino) && (full || a.made == c.op.Ino || slices.Contains(a.dirs, c.op.Ino))
	case pieceSize:
		return a.ino == c.op.Ino
	case pieceData, pieceZero:
		return a.ino == c.op.Ino && a.delayed
	}
	return false
}

// has tells whether the sync promises a, which ended before it began.
func (c *cover) has(id int, a *atom) bool {
	if c.op.Kind == trace.Syncfs {
		return true
	}
	if a.journal && id <= c.upTo {
		return true
	}
	switch a.kind {
	case pieceData, pieceZero:
		return a.ino == c.op.Ino && c.inRange(a)
	case pieceSize:
		return a.ino == c.op.Ino
	case pieceAttr:
		return a.ino == c.op.Ino && c.op.Sync == trace.SyncFull
	case pieceName:
		return c.hasName(a)
	}
	return false
}

func (c *cover) inRange(a *atom) bool {
	if c.op.Kind == trace.Fsync || c.b.own(a, c.op) {
		return true
	}
	return a.off < c.op.Off+c.op.Len && c.op.Off < a.to
}

func (c *cover) hasName(a *atom) bool {
	if slices.Contains(a.dirs, c.op.Ino) || a.withFile && a.ino == c.op.Ino {
		return true
	}
	if c.b.m.Fsync != model.OwnNames {
		return false
	}
	for _, ino := range a.owns {
		if slices.Contains(c.dirs, ino) {
			return true
		}
	}
	return false
}

// newAbove returns ino and the directories above it whose own creation is pending.
func (b *builder) newAbove(ino tree.Ino) []tree.Ino {
	fresh := map[tree.Ino]bool{}
	for _, id := range b.pending {
		if made := b.atoms[id].made; made != 0 {
			fresh[made] = true
		}
	}
	found := inodes(ino)
	seen := map[tree.Ino]bool{ino: true}
	for at := inodes(ino); len(at) > 0; at = at[1:] {
		for _, e := range b.links[at[0]] {
			if seen[e.dir] {
				continue
			}
			seen[e.dir] = true
			at = append(at, e.dir)
			if fresh[e.dir] {
				found = append(found, e.dir)
			}
		}
	}
	return found
}
