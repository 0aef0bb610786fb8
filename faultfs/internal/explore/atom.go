package explore

import (
	"math"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// never is later than everything.
const never = math.MaxInt64

// piece is what kind of change an atom is.
type piece uint8

const (
	pieceData piece = iota + 1
	pieceZero       // of a hole, or of what lies between the old end of a file and a write
	pieceSize
	pieceName
	pieceAttr
)

// atom is what may or may not have reached the medium.
type atom struct {
	op         int   // that it is of
	start, end int64 // of op
	durable    int64 // when a sync that covers it returns; never if none does
	needs      []int // atoms without which it cannot be there; all are earlier

	kind     piece
	journal  bool // one of the changes that a journal keeps in order
	delayed  bool // a growth, which follows the journal and which the journal does not wait for
	cut      bool // a size that is smaller than the one before
	dropped  bool // a sync of it failed: no later one tries again
	withFile bool // a name that the fsync of the inode itself makes durable
	carried  bool // until it is durable, it is there with the next atom and never without

	ino  tree.Ino // that data, a size or an attribute is of
	off  int64
	to   int64 // end of data and zeros; the new size
	data []byte
	fill bool // growing shows what the medium held before

	names []nameChange
	dirs  []tree.Ino // whose fsync makes a name durable
	owns  []tree.Ino // whose fsync does so if it carries its own names
	about []tree.Ino // inodes that a change of names changes
	made  tree.Ino   // the inode that a name is the first one of

	attr func(t *tree.Tree)
	what string // which attribute
}

// nameChange makes a name lead to ino, or to nothing if that is 0.
type nameChange struct {
	entry
	ino tree.Ino
}

type entry struct {
	dir  tree.Ino
	name string
}

func (n nameChange) apply(t *tree.Tree) {
	if n.ino == 0 {
		t.Remove(n.dir, n.name)
		return
	}
	t.Enter(n.dir, n.name, n.ino)
}

// apply does to t what a does. Atoms of which none needs the other can be applied
// in any order.
func (a *atom) apply(t *tree.Tree) {
	switch a.kind {
	case pieceData:
		a.grow(t, a.off)
		t.WriteAt(a.ino, a.off, a.data)
	case pieceZero:
		if a.delayed {
			a.grow(t, a.to)
		}
		t.Punch(a.ino, a.off, a.to-a.off)
	case pieceSize:
		// A growth is no step back if data made the file longer still.
		if a.grow(t, a.to); a.cut {
			t.Resize(a.ino, a.to)
		}
	case pieceName:
		for _, n := range a.names {
			n.apply(t)
		}
	case pieceAttr:
		a.attr(t)
	}
}

// grow makes the file at least size bytes long.
func (a *atom) grow(t *tree.Tree, size int64) {
	old := t.Size(a.ino)
	if size <= old {
		return
	}
	t.Resize(a.ino, size)
	if !a.fill {
		return
	}
	// The rest of the last sector was written with it.
	from := (old + sector - 1) / sector * sector
	if size-from > 2*staleSize {
		a.show(t, from, from+staleSize)
		from = size - staleSize
	}
	a.show(t, from, size)
}

// show makes the file show what the medium held before.
func (a *atom) show(t *tree.Tree, from, to int64) {
	for from < to {
		n := min(to-from, int64(len(stale)))
		t.WriteAt(a.ino, from, stale[:n])
		from += n
	}
}

// staleSize is how much of old blocks a file shows at most, at each end of what is not
// written: what was between held zeros, so that a file with a large hole stays small.
const staleSize = 1 << 20

// sector is what is cleared behind the end of a file when its last block is written.
const sector = 512

// stale is what blocks show that were never written.
var stale = func() []byte {
	p := make([]byte, 64<<10)
	for i := range p {
		p[i] = 0xDB
	}
	return p
}()
