package explore

import (
	"fmt"
	"slices"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// Loss is what a state lacks of one operation.
type Loss struct {
	Op     int     // index in Trace.Ops
	All    bool    // nothing of the operation is there
	Pieces []Piece // that are lost, in order

	// Targets are the inodes of which a sync after the operation would have kept
	// what is lost: the file, or the directories of a name.
	Targets []tree.Ino

	// Of the syncs of Targets, indices in Trace.Ops, or -1 if there is none: the
	// last one that failed, the last one that began before the operation had
	// ended and so does not cover it, the last one that returned and does not
	// cover what is lost, as fdatasync does not cover a mode, and the first one
	// that had not returned when the power went, or on a medium that lies.
	Failed, Overlapped, Narrow, Late int
}

// Piece is a part of what an operation did.
type Piece struct {
	What    string // "data", "hole", "size", "name", "old name", "mode", "owner", "xattr NAME"
	Off, To int64  // of data and holes, where; the new size is To
	Dir     tree.Ino
	Name    string // that changed in Dir
}

// String returns what the piece is in words.
func (p Piece) String() string {
	switch p.What {
	case "data", "hole":
		return fmt.Sprintf("%s %d-%d", p.What, p.Off, p.To)
	case "size":
		return fmt.Sprintf("size %d", p.To)
	case "name", "old name":
		return fmt.Sprintf("%s %q", p.What, p.Name)
	}
	return p.What
}

// Lost returns what s lacks, by operation, in order.
func (x *Explorer) Lost(s State) []Loss {
	v := x.view(s.Point)
	lost := map[int][]*atom{}
	var ops []int
	there := map[int]bool{} // operations of which something is there
	for i := range v.ids {
		switch a := v.atom(i); {
		case s.kept.has(i):
			there[a.op] = true
		case lost[a.op] == nil:
			ops = append(ops, a.op)
			fallthrough
		default:
			if with := v.carried(i); with != nil {
				lost[a.op] = append(lost[a.op], with)
			}
			lost[a.op] = append(lost[a.op], a)
		}
	}
	for _, id := range x.order[:x.points[s.Point].commits] {
		there[x.atoms[id].op] = true
	}
	slices.Sort(ops)
	losses := make([]Loss, len(ops))
	for i, op := range ops {
		losses[i] = x.loss(op, lost[op], x.points[s.Point].at)
		losses[i].All = !there[op]
	}
	return losses
}

func (x *Explorer) loss(op int, atoms []*atom, at int64) Loss {
	l := Loss{Op: op, Failed: none, Overlapped: none, Narrow: none, Late: none}
	for _, a := range atoms {
		for _, p := range a.pieces() {
			if n := len(l.Pieces); n > 0 && p.follows(l.Pieces[n-1]) {
				l.Pieces[n-1].To = p.To
				continue
			}
			l.Pieces = append(l.Pieces, p)
		}
		for _, t := range x.targets(a) {
			if !slices.Contains(l.Targets, t) {
				l.Targets = append(l.Targets, t)
			}
		}
	}
	x.blame(&l, at)
	return l
}

func (p Piece) follows(q Piece) bool {
	return p.What == q.What && (p.What == "data" || p.What == "hole") && q.To == p.Off
}

// pieces returns a for a reader; the bridge of a rename in halves is no piece.
func (a *atom) pieces() []Piece {
	switch a.kind {
	case pieceData:
		return []Piece{{What: "data", Off: a.off, To: a.to}}
	case pieceZero:
		return []Piece{{What: "hole", Off: a.off, To: a.to}}
	case pieceSize:
		return []Piece{{What: "size", To: a.to}}
	case pieceAttr:
		if a.what == attrMode || a.what == attrOwner {
			return []Piece{{What: a.what}}
		}
		return []Piece{{What: "xattr " + a.what}}
	case pieceName:
		var all []Piece
		for _, n := range a.names {
			what := "name"
			if n.ino == 0 {
				what = "old name"
			}
			all = append(all, Piece{What: what, Dir: n.dir, Name: n.name})
		}
		return all
	}
	return nil
}

// targets returns the inodes whose sync makes a durable.
func (x *Explorer) targets(a *atom) []tree.Ino {
	if a.kind != pieceName {
		return []tree.Ino{a.ino}
	}
	targets := slices.Clone(a.dirs)
	if a.withFile {
		targets = append(targets, a.ino)
	}
	if x.m.Fsync == model.OwnNames {
		targets = append(targets, a.owns...)
	}
	if x.m.Fsync == model.Earlier {
		targets = append(targets, a.about...)
	}
	return targets
}

// blame looks for syncs that could have kept what is lost and did not.
func (x *Explorer) blame(l *Loss, at int64) {
	op := &x.tr.Ops[l.Op]
	for i := range x.tr.Ops {
		s := &x.tr.Ops[i]
		if i == l.Op || s.Start >= at || s.End < op.Start || !syncs(s) || s.Kind == trace.Write {
			continue
		}
		if s.Kind != trace.Syncfs && !slices.Contains(l.Targets, s.Ino) {
			continue
		}
		switch {
		case s.Err != 0:
			l.Failed = i
		case s.Start < op.End:
			l.Overlapped = i
		case s.End < at && !x.m.Lying:
			l.Narrow = i
		case l.Late == none:
			l.Late = i
		}
	}
}

// Restore returns s with everything that op did, and what the model demands for
// that. It returns false if that is what s holds already.
func (x *Explorer) Restore(s State, op int) (State, bool) {
	v := x.view(s.Point)
	s.kept = s.kept.clone()
	changed := false
	for i := range v.ids {
		if v.atom(i).op == op {
			changed = v.keep(s.kept, i) || changed
		}
	}
	if !changed {
		return s, false
	}
	s.Tree = s.damage.apply(v.build(s.kept), v.unitSize())
	return s, true
}
