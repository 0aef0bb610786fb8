package explore

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// damage is what the medium did wrong beside losing what was pending.
type damage struct {
	ino  tree.Ino // 0: none
	bit  int64    // that is wrong, or -1
	unit int64    // that is destroyed, if bit is -1
}

// findDamages returns all damage that is possible at the point, in a fixed order.
func (v *view) findDamages() []damage {
	var found []damage
	if v.x.m.Collateral > 0 {
		found = v.neighbours()
	}
	if v.x.m.BitRot {
		found = append(found, v.wrongBits()...)
	}
	return found
}

// unitSize is what the medium destroys at once.
func (v *view) unitSize() int64 {
	if v.x.m.Tear == 0 {
		return tree.BlockSize
	}
	return v.x.m.Tear
}

type eraseBlock struct {
	ino   tree.Ino
	index int64
}

// neighbours returns each unit that shares an erase block with another one of which
// a write is pending.
func (v *view) neighbours() []damage {
	unit, span := v.unitSize(), v.x.m.Collateral
	written := map[eraseBlock][]int64{} // the units
	sizes := map[tree.Ino]int64{}
	for i := range v.ids {
		a := v.atom(i)
		if a.kind != pieceData {
			continue
		}
		if _, found := sizes[a.ino]; !found {
			sizes[a.ino] = v.base.Size(a.ino)
		}
		sizes[a.ino] = max(sizes[a.ino], a.to)
		for off := a.off / unit * unit; off < a.to; off += unit {
			at := eraseBlock{a.ino, off / span}
			if !slices.Contains(written[at], off/unit) {
				written[at] = append(written[at], off/unit)
			}
		}
	}
	var found []damage
	for at, units := range written {
		end := min((at.index+1)*span, sizes[at.ino])
		for off := at.index * span / unit * unit; off < end; off += unit {
			u := off / unit
			if len(units) > 1 || units[0] != u {
				found = append(found, damage{at.ino, -1, u})
			}
		}
	}
	slices.SortFunc(found, func(a, b damage) int { return cmp.Or(cmp.Compare(a.ino, b.ino), cmp.Compare(a.unit, b.unit)) })
	return slices.Compact(found)
}

// wrongBits returns one bit of each block of each file that is there with all of the
// pending atoms or with none.
func (v *view) wrongBits() []damage {
	var found []damage
	for _, t := range []*tree.Tree{v.base, v.build(fullBits(len(v.ids)))} {
		t.Walk(func(e tree.Entry) bool {
			for off := t.NextData(e.Ino, 0); off >= 0 && e.Linked == 0; off = t.NextData(e.Ino, off+tree.BlockSize) {
				n := min(tree.BlockSize, t.Size(e.Ino)-off)
				found = append(found, damage{e.Ino, 8*off + someBit(e.Ino, off)%(8*n), 0})
			}
			return true
		})
	}
	slices.SortFunc(found, func(a, b damage) int { return cmp.Or(cmp.Compare(a.ino, b.ino), cmp.Compare(a.bit, b.bit)) })
	return slices.Compact(found)
}

// someBit returns a number that depends on the block alone.
func someBit(ino tree.Ino, off int64) int64 {
	h := fnv.New64a()
	var p [16]byte
	binary.LittleEndian.PutUint64(p[:], uint64(ino))
	binary.LittleEndian.PutUint64(p[8:], uint64(off))
	h.Write(p[:])
	return int64(h.Sum64() >> 1)
}

// apply returns t with the damage, which is t itself if there is none or it is where
// nothing is.
func (d damage) apply(t *tree.Tree, unit int64) *tree.Tree {
	from, to := d.bit/8, d.bit/8+1
	if d.bit < 0 {
		from, to = d.unit*unit, (d.unit+1)*unit
	}
	to = min(to, t.Size(d.ino))
	if d.ino == 0 || from >= to {
		return t
	}
	p := make([]byte, to-from)
	t.ReadAt(d.ino, from, p)
	for i := range p {
		if d.bit < 0 {
			p[i] = 0xFF
		} else {
			p[i] ^= 1 << (d.bit % 8)
		}
	}
	t = t.Clone()
	t.WriteAt(d.ino, from, p)
	return t
}
