package explore

import (
	"bytes"
	"slices"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// file is what a builder knows of the contents of one inode.
type file struct {
	size0 int64         // durable when the trace began
	sizes []int         // atoms of its size, in order
	units map[int64]int // the last change of each tear unit, apart from wide ones
	wide  []int         // cuts, and zeros between the end and a write: changes of many units
	whole []int         // without tear units: the changes of data
}

func (b *builder) file(ino tree.Ino) *file {
	f := b.files[ino]
	if f == nil {
		f = &file{size0: b.live.Size(ino), units: map[int64]int{}}
		b.files[ino] = f
	}
	return f
}

// write makes an atom of each tear unit of a write, and one of the new size if that
// can be there without the data.
func (b *builder) write(i int, op *trace.Op) {
	if len(op.Data) == 0 {
		return
	}
	f, old, end := b.file(op.Ino), b.live.Size(op.Ino), op.Off+op.Len
	if end > old && b.m.SizeAlone {
		b.size(i, f, atom{ino: op.Ino, to: end, delayed: true})
	}
	if b.m.Stale && op.Off > old {
		b.gap(i, f, op.Ino, old, op.Off)
	}
	for off := op.Off; off < end; {
		to := b.unitEnd(off, end)
		data := op.Data[off-op.Off : to-op.Off]
		a := atom{kind: pieceData, ino: op.Ino, off: off, to: to, data: data, fill: b.m.Stale}
		a.delayed = to > old && !b.m.SizeAlone
		// What changes nothing can still damage what is near.
		if a.delayed || b.m.Collateral > 0 || !b.same(f, &a) {
			b.data(i, f, a)
		}
		off = to
	}
	b.live.WriteAt(op.Ino, op.Off, op.Data)
}

// unitEnd returns the end of the tear unit at off, but at most end.
func (b *builder) unitEnd(off, end int64) int64 {
	if b.m.Tear == 0 {
		return end
	}
	return min(end, (off/b.m.Tear+1)*b.m.Tear)
}

// same tells whether a changes nothing: the piece has that content, and no change of
// it is pending.
func (b *builder) same(f *file, a *atom) bool {
	if b.m.Stale && a.to > b.live.Size(a.ino) {
		return false
	}
	for _, before := range b.changes(f, a.off, a.to) {
		if !b.settled(before) {
			return false
		}
	}
	now := slices.Grow(b.now[:0], len(a.data))[:len(a.data)]
	b.now = now
	clear(now) // what is behind the end is not read
	b.live.ReadAt(a.ino, a.off, now)
	return bytes.Equal(now, a.data)
}

// data adds an atom of data or zeros within one tear unit.
func (b *builder) data(i int, f *file, a atom) {
	needs := append(b.changes(f, a.off, a.to), b.sizeFor(f, a.to))
	id := b.add(i, a, needs...)
	if b.m.Tear == 0 {
		f.whole = append(f.whole, id)
		return
	}
	f.units[a.off/b.m.Tear] = id
}

// gap adds the zeros between the old end of a file and what is written behind it.
func (b *builder) gap(i int, f *file, ino tree.Ino, from, to int64) {
	a := atom{kind: pieceZero, ino: ino, off: from, to: to, delayed: !b.m.SizeAlone, fill: true}
	needs := append(b.changes(f, from, to), b.lastSize(f))
	f.wide = append(f.wide, b.add(i, a, needs...))
}

// changes returns the last changes of what lies between off and to. Where there are
// tear units it must lie in one of them, or at the end of the file. Of those that are
// durable some are left out: what they changed before is durable, too.
func (b *builder) changes(f *file, off, to int64) []int {
	f.whole = slices.DeleteFunc(f.whole, b.settled)
	f.wide = slices.DeleteFunc(f.wide, b.settled)
	var found []int
	last := none
	if b.m.Tear > 0 {
		to = (off/b.m.Tear + 1) * b.m.Tear
		off = off / b.m.Tear * b.m.Tear
		if id, ok := f.units[off/b.m.Tear]; ok {
			last = id
			found = append(found, id)
		}
	}
	for _, id := range f.whole {
		if a := &b.atoms[id]; a.off < to && off < a.to {
			found = append(found, id)
		}
	}
	for _, id := range f.wide {
		if id > last && b.atoms[id].covers(off, to) {
			found = append(found, id)
		}
	}
	return found
}

// covers tells whether a cut or a gap changes something between off and to.
func (a *atom) covers(off, to int64) bool {
	if a.kind == pieceSize {
		return a.to < to
	}
	return a.off < to && off < a.to
}

func (b *builder) lastSize(f *file) int {
	if len(f.sizes) == 0 {
		return none
	}
	return f.sizes[len(f.sizes)-1]
}

// sizeFor returns the first size from which on the file is to bytes long.
func (b *builder) sizeFor(f *file, to int64) int {
	for j := len(f.sizes) - 1; j >= 0; j-- {
		switch a := &b.atoms[f.sizes[j]]; {
		case a.to < to && j+1 == len(f.sizes):
			return none // the atom itself makes the file longer
		case a.to < to:
			return f.sizes[j+1]
		case a.durable != never:
			return none
		}
	}
	if len(f.sizes) > 0 && f.size0 < to {
		return f.sizes[0]
	}
	return none
}

// size adds a new size; sizes of one inode reach the medium in order.
func (b *builder) size(i int, f *file, a atom, needs ...int) int {
	a.kind, a.fill = pieceSize, b.m.Stale
	id := b.add(i, a, append(needs, b.lastSize(f))...)
	f.sizes = append(f.sizes, id)
	return id
}

// resize adds a truncate, in either direction.
func (b *builder) resize(i int, ino tree.Ino, size int64) {
	f, old := b.file(ino), b.live.Size(ino)
	switch {
	case size > old:
		b.size(i, f, atom{ino: ino, to: size, journal: true})
		if b.m.Stale {
			b.gap(i, f, ino, old, size)
		}
	case size < old:
		id := b.size(i, f, atom{ino: ino, to: size, journal: true, cut: true}, b.behind(f, size)...)
		f.wide = append(f.wide, id)
	}
	b.live.Resize(ino, size)
}

// behind returns the last changes of all that a cut to size changes.
func (b *builder) behind(f *file, size int64) []int {
	var found []int
	for unit, id := range f.units {
		if (unit+1)*b.m.Tear > size && !b.settled(id) {
			found = append(found, id)
		}
	}
	slices.Sort(found) // a map has no order
	for _, id := range f.whole {
		if !b.settled(id) && b.atoms[id].to > size {
			found = append(found, id)
		}
	}
	for _, id := range f.wide {
		if a := &b.atoms[id]; !b.settled(id) && (a.kind == pieceSize || a.to > size) {
			found = append(found, id)
		}
	}
	return found
}

// punch makes an atom of each tear unit of a hole that was not zero before.
func (b *builder) punch(i int, op *trace.Op) {
	f := b.file(op.Ino)
	end := min(op.Off+op.Len, b.live.Size(op.Ino))
	for off := op.Off; off < end; {
		next := b.live.NextData(op.Ino, off)
		if next < 0 || next >= end {
			break
		}
		off = next
		to := b.unitEnd(off, end)
		a := atom{kind: pieceZero, ino: op.Ino, off: off, to: to, data: make([]byte, min(to-off, maxCompared))}
		if to-off > maxCompared || !b.same(f, &a) {
			a.data = nil
			b.data(i, f, a)
		}
		off = to
	}
	b.live.Punch(op.Ino, op.Off, op.Len)
}

// maxCompared bounds what is compared to leave out a hole that was one already.
const maxCompared = 1 << 20
