package explore

import (
	"fmt"
	"slices"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// builder goes through a trace once and finds its atoms, when each of them becomes
// durable, and the crash points.
type builder struct {
	tr *trace.Trace
	m  model.Model

	live    *tree.Tree // what the program sees
	base    *tree.Tree // what is there without any atom
	ghost   tree.Ino   // the last inode that is in no trace
	atoms   []atom
	pending []int // atoms that are not durable, in order
	files   map[tree.Ino]*file
	names   map[entry]int        // the last change of each name
	attrs   map[attribute]int    // the last change of each attribute
	links   map[tree.Ino][]entry // which names lead to an inode, live
	commits []int                // atoms in the order in which they became durable
	points  []point
	marks   int
	now     []byte // a buffer, for what is compared
	news    bool   // an operation or an ack since the last crash point
}

type attribute struct {
	ino  tree.Ino
	what string
}

func newBuilder(tr *trace.Trace, m model.Model) *builder {
	b := &builder{
		tr: tr, m: m,
		live:  tr.Base.Clone(),
		base:  tr.Base.Clone(),
		ghost: tr.Base.Last(),
		files: map[tree.Ino]*file{},
		names: map[entry]int{},
		attrs: map[attribute]int{},
		links: map[tree.Ino][]entry{},
		news:  true, // before the first begin, too, the power can go
	}
	for _, op := range tr.Ops {
		b.ghost = max(b.ghost, min(op.Ino, tree.MaxIno))
	}
	tr.Base.Walk(func(e tree.Entry) bool {
		if e.Dir != 0 {
			b.links[e.Ino] = append(b.links[e.Ino], entry{e.Dir, e.Name})
		}
		return true
	})
	return b
}

// run goes through the moments of the trace.
func (b *builder) run() error {
	all, err := moments(b.tr)
	if err != nil {
		return err
	}
	last := int64(0)
	for _, now := range all {
		last = now.at
		switch {
		case now.op < 0:
			b.mark(now)
		case now.end:
			b.sync(&b.tr.Ops[now.op])
		default:
			if err := b.start(now.op); err != nil {
				return fmt.Errorf("%w: operation %d (%s): %w", ErrInconsistent, now.op, b.tr.Ops[now.op].Kind, err)
			}
		}
	}
	b.point(last + 1)
	return nil
}

// mark makes a crash point before a begin: the mark itself makes verification more
// lenient.
func (b *builder) mark(now moment) {
	if b.tr.Marks[now.mark].Ack {
		b.news = true
	} else if b.news {
		b.point(now.at)
	}
	b.marks++
}

func (b *builder) point(at int64) {
	first := len(b.atoms)
	if len(b.pending) > 0 {
		first = b.pending[0]
	}
	b.points = append(b.points, point{at: at, marks: b.marks, first: first, last: len(b.atoms), commits: len(b.commits)})
	b.news = false
}

// start takes the atoms of an operation, which may reach the medium from now on.
func (b *builder) start(i int) error {
	op := &b.tr.Ops[i]
	if op.Err != 0 {
		return nil
	}
	if err := checkOp(b.live, *op); err != nil {
		return err
	}
	before := len(b.atoms)
	b.effect(i, op)
	b.news = b.news || len(b.atoms) > before
	return nil
}

func (b *builder) effect(i int, op *trace.Op) {
	switch op.Kind {
	case trace.Write:
		b.write(i, op)
	case trace.Truncate:
		b.resize(i, op.Ino, op.Len)
	case trace.Fallocate:
		b.resize(i, op.Ino, max(op.Len, b.live.Size(op.Ino)))
	case trace.Punch:
		b.punch(i, op)
	case trace.Create, trace.Mkdir, trace.Symlink, trace.Mknod, trace.Tmpfile:
		b.create(i, op)
	case trace.Link:
		b.name(i, atom{owns: inodes(op.Ino), about: inodes(op.Ino), names: []nameChange{{entry{op.Dir, op.Name}, op.Ino}}})
	case trace.Unlink, trace.Rmdir:
		b.name(i, atom{about: inodes(op.Ino), names: []nameChange{{entry{op.Dir, op.Name}, 0}}})
	case trace.Rename:
		b.rename(i, op)
	case trace.Chmod:
		b.attribute(i, op.Ino, attrMode, func(t *tree.Tree) { t.Chmod(op.Ino, op.Mode) })
	case trace.Chown:
		b.attribute(i, op.Ino, attrOwner, func(t *tree.Tree) { t.Chown(op.Ino, op.UID, op.GID) })
	case trace.Setxattr:
		b.attribute(i, op.Ino, op.Attr, func(t *tree.Tree) { t.SetXattr(op.Ino, op.Attr, op.Data) })
	case trace.Removexattr:
		b.attribute(i, op.Ino, op.Attr, func(t *tree.Tree) { t.RemoveXattr(op.Ino, op.Attr) })
	case trace.Utimes, trace.Fsync, trace.SyncRange, trace.Msync, trace.Syncfs:
	}
}

// add makes a an atom of operation i and returns its number. Needs that are durable
// already, or 0 for none, are left out of it.
func (b *builder) add(i int, a atom, needs ...int) int {
	op := &b.tr.Ops[i]
	a.op, a.start, a.end, a.durable = i, op.Start, op.End, never
	for _, n := range needs {
		if n != none && b.atoms[n].durable == never {
			a.needs = append(a.needs, n)
		}
	}
	id := len(b.atoms)
	if id == cap(b.atoms) {
		b.atoms = slices.Grow(b.atoms, id+64) // append by itself copies them more often
	}
	b.atoms = append(b.atoms, a)
	b.pending = append(b.pending, id)
	return id
}

// none stands for no atom.
const none = -1

// settled tells whether an atom is durable, or none.
func (b *builder) settled(id int) bool { return id == none || b.atoms[id].durable != never }

func (b *builder) attribute(i int, ino tree.Ino, what string, set func(t *tree.Tree)) {
	key := attribute{ino, what}
	before, found := b.attrs[key]
	if !found {
		before = none
	}
	b.attrs[key] = b.add(i, atom{kind: pieceAttr, ino: ino, journal: true, attr: set, what: what}, before)
	set(b.live)
}

func inodes(all ...tree.Ino) []tree.Ino { return all }

// The attributes that are not extended ones, whose names have a dot.
const (
	attrMode  = "mode"
	attrOwner = "owner"
)
