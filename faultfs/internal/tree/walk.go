package tree

import "slices"

// Entry is a name that the root leads to.
type Entry struct {
	Ino    Ino
	Dir    Ino // that holds the name; 0 for the root
	Name   string
	Depth  int
	Order  int // how many were visited before; the root is 0
	Linked int // Order of the first name of the inode if this is a further one, else 0
}

// Walk visits the root and everything below it, a directory before what is in it,
// names sorted, until yield returns false. A directory that is reached a second
// time, because a weak model kept both halves of its rename, is left out there.
func (t *Tree) Walk(yield func(Entry) bool) {
	if !t.Has(Root) {
		return
	}
	w := walker{t: t, first: make([]int32, len(t.nodes)), yield: yield}
	w.walk()
}

type walker struct {
	t     *Tree
	first []int32 // by Ino: 1 + Order of the first visit
	seen  int
	yield func(Entry) bool
}

type frame struct {
	dir   Ino
	names []entry
}

func (w *walker) walk() {
	stack := make([]frame, 0, 8)
	if !w.visit(Entry{Ino: Root}, &stack) {
		return
	}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if len(top.names) == 0 {
			stack = stack[:len(stack)-1]
			continue
		}
		e := Entry{Ino: top.names[0].ino, Dir: top.dir, Name: top.names[0].name, Depth: len(stack)}
		top.names = top.names[1:]
		if !w.visit(e, &stack) {
			return
		}
	}
}

// visit yields e and puts the names of a directory onto the stack.
func (w *walker) visit(e Entry, stack *[]frame) bool {
	n := w.t.at(e.Ino)
	if n == nil || n.isDir() && w.first[e.Ino] != 0 {
		return true
	}
	e.Order = w.seen
	w.seen++
	if first := w.first[e.Ino]; first != 0 {
		e.Linked = int(first) - 1
	} else {
		w.first[e.Ino] = int32(e.Order) + 1
	}
	if !w.yield(e) {
		return false
	}
	if n.isDir() {
		*stack = append(*stack, frame{e.Ino, n.names})
	}
	return true
}

// Path returns a path from the root, "." for the root itself, or "" if no name
// leads to ino.
func (t *Tree) Path(ino Ino) string {
	path := ""
	t.Paths(func(e Entry, p string) bool {
		if e.Ino == ino {
			path = p
		}
		return path == ""
	})
	return path
}

// Paths is Walk with the path from the root, "." for the root itself.
func (t *Tree) Paths(yield func(e Entry, path string) bool) {
	var prefix []string // by depth, of the directory there, with a slash
	t.Walk(func(e Entry) bool {
		path := "."
		if e.Depth > 0 {
			path = prefix[e.Depth-1] + e.Name
		}
		dir := path + "/"
		if e.Depth == 0 {
			dir = ""
		}
		prefix = append(slices.Clip(prefix[:e.Depth]), dir)
		return yield(e, path)
	})
}
