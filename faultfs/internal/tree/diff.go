package tree

import (
	"bytes"
	"fmt"
	"slices"
)

// Diff returns how b differs from a, a line for each path, sorted by path. Nil
// means that the hashes are equal.
func Diff(a, b *Tree) []string {
	left, right := a.byPath(), b.byPath()
	var lines []string
	for path, from := range left {
		to, found := right[path]
		if !found {
			lines = append(lines, path+": missing")
			continue
		}
		if what := from.differs(to); what != "" {
			lines = append(lines, path+": "+what)
		}
	}
	for path := range right {
		if _, found := left[path]; !found {
			lines = append(lines, path+": added")
		}
	}
	slices.Sort(lines)
	return lines
}

// place is what is at a path.
type place struct {
	node *node
	link string // the first path of the same inode
}

func (t *Tree) byPath() map[string]place {
	places := map[string]place{}
	first := map[int]string{}
	t.Paths(func(e Entry, path string) bool {
		p := place{node: t.nodes[e.Ino]}
		if e.Linked > 0 {
			p.link = first[e.Linked]
		}
		first[e.Order] = path
		places[path] = p
		return true
	})
	return places
}

// differs says how q is not what p is.
func (p place) differs(q place) string {
	a, b := p.node, q.node
	switch {
	case p.link != q.link:
		return fmt.Sprintf("a link to %q, not to %q", q.link, p.link)
	case *a.sum() == *b.sum():
		return ""
	case a.Mode != b.Mode:
		return fmt.Sprintf("mode %o, not %o", b.Mode, a.Mode)
	case a.UID != b.UID || a.GID != b.GID:
		return fmt.Sprintf("owner %d:%d, not %d:%d", b.UID, b.GID, a.UID, a.GID)
	case a.Target != b.Target:
		return fmt.Sprintf("leads to %q, not to %q", b.Target, a.Target)
	case a.size != b.size:
		return fmt.Sprintf("%d bytes, not %d", b.size, a.size)
	case !slices.Equal(a.xattrs, b.xattrs):
		return "other xattrs"
	}
	return fmt.Sprintf("other contents from byte %d on", firstDifference(a, b))
}

// firstDifference compares files of the same size.
func firstDifference(a, b *node) int64 {
	for i := int64(0); i*BlockSize < a.size; i++ {
		i = min(a.nextData(i), b.nextData(i))
		p, q := &zeros, &zeros
		if x := a.at(i); x != nil {
			p = &x.data
		}
		if x := b.at(i); x != nil {
			q = &x.data
		}
		if bytes.Equal(p[:], q[:]) {
			continue
		}
		j := 0
		for p[j] == q[j] {
			j++
		}
		return i*BlockSize + int64(j)
	}
	return a.size
}
