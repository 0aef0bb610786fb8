package explore_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// The reference knows no atoms. A disk has slots: tear units of files, sizes, and
// names in the root. Each slot holds one of the versions that it had; a change gives
// a new version to some slots. All choices of a version for each slot are tried, and
// those kept that no rule speaks against.

const refUnit = 4

type refSlot struct {
	file byte // 0: a name
	unit int  // -1: the size
	name string
}

// refChange is one change of one or more slots at once.
type refChange struct {
	slots   []refSlot
	op      int
	data    string // of a unit, from byte at on
	at      int
	size    int // of a size, and of a cut also where units end
	cut     bool
	file    byte // that a name leads to; 0 none
	gone    string
	durable bool
	after   int // another change that must be there, -1 none
}

type refDisk struct {
	m       model.Model
	changes []refChange
	sizes   map[byte]int
}

func (d *refDisk) add(c refChange) int {
	d.changes = append(d.changes, c)
	return len(d.changes) - 1
}

// touches returns the changes of a slot in order.
func (d *refDisk) touches(s refSlot) []int {
	var found []int
	for i, c := range d.changes {
		if slices.Contains(c.slots, s) {
			found = append(found, i)
		}
	}
	return found
}

func (d *refDisk) slots() []refSlot {
	var all []refSlot
	for _, c := range d.changes {
		for _, s := range c.slots {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

const refUnits = 4 // of a file at most

func (d *refDisk) write(op int, file byte, off int, data string) {
	end := off + len(data)
	grown := -1
	if end > d.sizes[file] && d.m.SizeAlone {
		grown = d.add(refChange{op: op, slots: []refSlot{{file, -1, ""}}, size: end, after: -1})
	}
	for u := range refUnits {
		from, to := max(off, u*refUnit), min(end, (u+1)*refUnit)
		if from >= to {
			continue
		}
		c := refChange{op: op, slots: []refSlot{{file, u, ""}}, data: data[from-off : to-off], at: from - u*refUnit, after: -1}
		if to > d.sizes[file] {
			c.after = grown
		}
		d.add(c)
	}
	d.sizes[file] = max(d.sizes[file], end)
}

func (d *refDisk) truncate(op int, file byte, size int) {
	c := refChange{op: op, size: size, cut: size < d.sizes[file], after: -1, slots: []refSlot{{file, -1, ""}}}
	if size == d.sizes[file] {
		return
	}
	for u := range refUnits {
		if c.cut && (u+1)*refUnit > size {
			c.slots = append(c.slots, refSlot{file, u, ""})
		}
	}
	d.add(c)
	d.sizes[file] = size
}

// sync makes the newest covered version of each slot durable.
func (d *refDisk) sync(covered func(c refChange) bool) {
	for i := range d.changes {
		if covered(d.changes[i]) {
			d.settle(i)
		}
	}
}

// settle makes a change durable, and with it the older versions of its slots and
// what it must not be without.
func (d *refDisk) settle(i int) {
	if d.changes[i].durable {
		return
	}
	d.changes[i].durable = true
	for _, s := range d.changes[i].slots {
		for _, j := range d.touches(s) {
			if j < i {
				d.settle(j)
			}
		}
	}
	if j := d.changes[i].after; j >= 0 {
		d.settle(j)
	}
	if j := d.sizeFor(i); j >= 0 {
		d.settle(j)
	}
}

// sizeFor returns the first change of the size from which on the file is long enough
// for the data of change i, -1 if it always was.
func (d *refDisk) sizeFor(i int) int {
	c := d.changes[i]
	if c.data == "" {
		return -1
	}
	need := c.slots[0].unit*refUnit + c.at + len(c.data)
	sizes := d.touches(refSlot{c.slots[0].file, -1, ""})
	found := -1
	for at := len(sizes) - 1; at >= 0; at-- {
		if sizes[at] > i {
			continue
		}
		if d.changes[sizes[at]].size < need {
			return found
		}
		found = sizes[at]
	}
	return found
}

// states returns all states as text.
func (d *refDisk) states() []string {
	slots := d.slots()
	choices := 1
	for _, s := range slots {
		choices *= len(d.touches(s)) + 1
	}
	if choices > 5000 {
		return nil // takes too long
	}
	versions := make([]int, len(slots))
	var found []string
	var choose func(k int)
	choose = func(k int) {
		if k == len(slots) {
			if d.legal(slots, versions) {
				found = append(found, d.text(slots, versions))
			}
			return
		}
		for versions[k] = range len(d.touches(slots[k])) + 1 {
			choose(k + 1)
		}
		versions[k] = 0
	}
	choose(0)
	slices.Sort(found)
	return slices.Compact(found)
}

// there tells whether change i is below the chosen version of each of its slots; the
// second result is false if the slots do not agree.
func (d *refDisk) there(i int, slots []refSlot, versions []int) (bool, bool) {
	yes, no := 0, 0
	for _, s := range d.changes[i].slots {
		version := versions[slices.Index(slots, s)]
		if slices.Index(d.touches(s), i) < version {
			yes++
		} else {
			no++
		}
	}
	return yes > 0, yes == 0 || no == 0
}

func (d *refDisk) legal(slots []refSlot, versions []int) bool {
	for i, c := range d.changes {
		there, agreed := d.there(i, slots, versions)
		if !agreed || c.durable && !there {
			return false
		}
		if !there {
			continue
		}
		for _, j := range []int{c.after, d.sizeFor(i)} {
			if j >= 0 {
				if also, _ := d.there(j, slots, versions); !also {
					return false
				}
			}
		}
	}
	return true
}

func (d *refDisk) text(slots []refSlot, versions []int) string {
	names := map[string]byte{"f": 'f', "g": 'g'}
	contents := map[byte][]byte{'f': make([]byte, refUnits*refUnit), 'g': make([]byte, refUnits*refUnit)}
	sizes := map[byte]int{}
	for i, c := range d.changes {
		if there, _ := d.there(i, slots, versions); !there {
			continue
		}
		for _, s := range c.slots {
			switch {
			case s.file == 0 && s.name == c.gone:
				delete(names, s.name)
			case s.file == 0:
				names[s.name] = c.file
			case s.unit < 0:
				sizes[s.file] = c.size
			case c.cut:
				from := max(c.size-s.unit*refUnit, 0)
				clear(contents[s.file][s.unit*refUnit+from : (s.unit+1)*refUnit])
			default:
				copy(contents[s.file][s.unit*refUnit+c.at:], c.data)
				if !d.m.SizeAlone {
					sizes[s.file] = max(sizes[s.file], s.unit*refUnit+c.at+len(c.data))
				}
			}
		}
	}
	var parts []string
	first := map[byte]int{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		file := names[name]
		if first[file] > 0 {
			parts = append(parts, fmt.Sprintf("%s=link %d", name, first[file]))
		} else {
			parts = append(parts, name+"="+runs(contents[file][:sizes[file]]))
			first[file] = len(parts)
		}
	}
	return strings.Join(parts, " ")
}

// The explorer and the reference agree on every state of random traces.
func TestAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := model.Model{Name: "random", Tear: refUnit, SizeAlone: rapid.Bool().Draw(t, "size alone")}
		s := newScript()
		inos := map[byte]tree.Ino{'f': s.base("f", ""), 'g': s.base("g", "")}
		d := &refDisk{m: m, sizes: map[byte]int{}}
		where := map[byte]string{'f': "f", 'g': "g"}
		lateOp := -1
		for i := range rapid.IntRange(1, 6).Draw(t, "ops") {
			file := rapid.SampledFrom([]byte("fg")).Draw(t, "file")
			switch rapid.IntRange(0, 8).Draw(t, "kind") {
			case 0, 1, 2, 3:
				off := rapid.IntRange(0, 10).Draw(t, "off")
				data := strings.Repeat(string(rune('a'+i)), rapid.IntRange(1, refUnits*refUnit-off).Draw(t, "len"))
				d.write(len(s.Ops), file, off, data)
				s.write(inos[file], int64(off), data)
			case 4:
				size := rapid.IntRange(0, refUnits*refUnit).Draw(t, "size")
				d.truncate(len(s.Ops), file, size)
				s.truncate(inos[file], int64(size))
			case 5:
				to := fmt.Sprint("n", i)
				d.add(refChange{op: len(s.Ops), slots: []refSlot{{0, 0, where[file]}, {0, 0, to}}, gone: where[file], file: file, after: -1})
				s.rename(inos[file], root, where[file], root, to, 0)
				where[file] = to
			case 6:
				s.fsync(inos[file])
				d.sync(func(c refChange) bool { return c.slots[0].file == file && c.op != lateOp })
			case 7:
				s.fsync(root)
				d.sync(func(c refChange) bool { return c.slots[0].file == 0 && c.op != lateOp })
			case 8:
				if lateOp < 0 && len(s.Ops) > 0 {
					lateOp = len(s.Ops) - 1
					if s.Ops[lateOp].Kind == trace.Fsync {
						lateOp = -1
					}
				}
			}
		}
		if lateOp >= 0 { // it ends after everything, and no sync covers it
			s.late(lateOp)
		}
		want := d.states()
		if want == nil {
			t.Skip("too many")
		}
		x := explorer(t, s, m)
		got := at(t, x, len(x.Points())-1)
		require.Equal(t, want, got)
	})
}
