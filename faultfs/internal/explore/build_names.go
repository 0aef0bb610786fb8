package explore

import (
	"slices"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// create makes an inode, which is there in every state, and an atom of its name.
func (b *builder) create(i int, op *trace.Op) {
	n := tree.Inode{Mode: op.Mode, UID: op.UID, GID: op.GID}
	if typ, found := types[op.Kind]; found {
		n.Mode = typed(n.Mode, typ)
	}
	if op.Kind == trace.Symlink {
		n.Target = string(op.Data)
	}
	b.live.Make(op.Ino, n)
	b.base.Make(op.Ino, n)
	if op.Kind == trace.Tmpfile {
		return
	}
	b.name(i, atom{made: op.Ino, owns: inodes(op.Ino), about: inodes(op.Ino), names: []nameChange{{entry{op.Dir, op.Name}, op.Ino}}})
}

// types are what the kinds make, but for mknod.
var types = map[trace.Kind]uint32{
	trace.Create:  tree.ModeRegular,
	trace.Tmpfile: tree.ModeRegular,
	trace.Mkdir:   tree.ModeDir,
	trace.Symlink: tree.ModeSymlink,
}

func typed(mode, typ uint32) uint32 { return mode&^tree.ModeType | typ }

// name adds a change of names, which is a change of the directories that hold them
// too, and does it to what the program sees.
func (b *builder) name(i int, a atom, needs ...int) int {
	id := b.nameAtom(i, a, needs...)
	for _, n := range a.names {
		b.relink(n)
	}
	return id
}

// nameAtom is name without what the program sees.
func (b *builder) nameAtom(i int, a atom, needs ...int) int {
	a.kind, a.journal = pieceName, true
	for _, n := range a.names {
		if before, found := b.names[n.entry]; found {
			needs = append(needs, before)
		}
		if !a.withFile && !slices.Contains(a.dirs, n.dir) {
			a.dirs = append(a.dirs, n.dir)
		}
		a.about = append(a.about, n.dir)
	}
	id := b.add(i, a, needs...)
	for _, n := range a.names {
		b.names[n.entry] = id
	}
	return id
}

// relink does a change of a name to what the program sees.
func (b *builder) relink(n nameChange) {
	if old := b.live.Lookup(n.dir, n.name); old != 0 {
		b.links[old] = slices.DeleteFunc(b.links[old], func(e entry) bool { return e == n.entry })
	}
	n.apply(b.live)
	if n.ino != 0 {
		b.links[n.ino] = append(b.links[n.ino], n.entry)
	}
}

// rename adds a rename in as many pieces as the model has it.
func (b *builder) rename(i int, op *trace.Op) {
	from, to := entry{op.Dir, op.Name}, entry{op.To, op.New}
	if b.live.Lookup(to.dir, to.name) == op.Ino {
		return // two links to one inode: rename does nothing
	}
	gone, come := nameChange{from, 0}, nameChange{to, op.Ino}
	subject := inodes(op.Ino)
	about := inodes(op.Ino)
	if op.Over != 0 {
		about = inodes(op.Ino, op.Over)
	}
	if op.Exchange {
		gone.ino, subject = op.Over, about
	}
	switch {
	case b.m.Rename == model.Halves && op.Exchange:
		b.nameAtom(i, atom{owns: subject, about: about, names: []nameChange{come}})
		b.nameAtom(i, atom{owns: subject, about: about, names: []nameChange{gone}})
	case b.m.Rename == model.Halves:
		b.nameAtom(i, atom{owns: subject, about: about, names: []nameChange{{to, b.leftOver(op)}}})
		b.nameAtom(i, atom{owns: subject, about: about, names: []nameChange{gone}})
		b.nameAtom(i, atom{owns: subject, about: about, names: []nameChange{come}, withFile: true, ino: op.Ino})
	case b.m.Rename == model.AcrossInHalves && from.dir != to.dir && !op.Exchange:
		added := b.nameAtom(i, atom{owns: subject, about: about, names: []nameChange{come}})
		b.nameAtom(i, atom{owns: subject, about: about, names: []nameChange{gone}}, added)
	case b.m.Fsync == model.OwnNames && from.dir != to.dir && !op.Exchange && !b.isDir(op.Ino):
		added := b.nameAtom(i, atom{about: about, names: []nameChange{come}, carried: true})
		b.nameAtom(i, atom{owns: subject, about: about, names: []nameChange{gone}}, added)
	default:
		b.nameAtom(i, atom{owns: subject, about: about, names: []nameChange{gone, come}})
	}
	b.relink(gone)
	b.relink(come)
}

func (b *builder) isDir(ino tree.Ino) bool {
	n, _ := b.live.Stat(ino)
	return n.Mode&tree.ModeType == tree.ModeDir
}

// leftOver makes the empty file that the new name of a rename in halves shows before it
// shows the renamed one: what is left of the one that was replaced, if any.
func (b *builder) leftOver(op *trace.Op) tree.Ino {
	like := op.Ino
	if op.Over != 0 {
		like = op.Over
	}
	n, _ := b.live.Stat(like)
	if !b.isDir(like) {
		n = tree.Inode{Mode: typed(n.Mode, tree.ModeRegular), UID: n.UID, GID: n.GID}
	}
	b.ghost++
	b.base.Make(b.ghost, n)
	return b.ghost
}
