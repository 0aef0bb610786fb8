// Package tree holds the files below one directory in memory, as a power cut can
// leave them: cheap to copy, to hash and to write out.
package tree

import (
	"slices"
	"sync/atomic"
)

// Ino names an inode within one trace. Root is the watched directory. Numbers are
// not those of the file system and are never reused.
type Ino uint64

// Root is the watched directory itself.
const Root Ino = 1

// MaxIno is the largest number that a tree accepts: inodes are numbered densely.
const MaxIno Ino = 1 << 24

// FileID is what the file system calls an inode.
type FileID struct{ Dev, Ino uint64 }

// Tree is a directory and what is below it. Inodes exist whether or not a name
// leads to them; only what the root leads to is hashed and written out.
//
// Methods that change a Tree are for one goroutine. Those that read it, and Clone,
// may run in any number of them once it no longer changes. A change of an inode
// that does not exist, or is not of the kind that the change is for, does nothing.
type Tree struct {
	nodes []*node // by Ino; nodes with another owner are shared, and copied before a change
	own   atomic.Uint64
}

// lastOwner numbers the trees of the process, once more at each Clone.
var lastOwner atomic.Uint64

// New returns a tree of an empty root directory with the given type and permission
// bits.
func New(mode uint32) *Tree {
	t := &Tree{}
	t.own.Store(lastOwner.Add(1))
	t.Make(Root, Inode{Mode: ModeDir | mode&modePerm})
	return t
}

// Clone returns a copy that shares everything with t until one of them changes.
func (t *Tree) Clone() *Tree {
	c := &Tree{nodes: slices.Clone(t.nodes)}
	c.own.Store(lastOwner.Add(1))
	// What both now share belongs to neither.
	t.own.Store(lastOwner.Add(1))
	return c
}

// Last returns the largest number in use.
func (t *Tree) Last() Ino { return Ino(len(t.nodes)) - 1 }

// Has tells whether the inode exists.
func (t *Tree) Has(ino Ino) bool { return t.at(ino) != nil }

func (t *Tree) at(ino Ino) *node {
	if ino >= Ino(len(t.nodes)) {
		return nil
	}
	return t.nodes[ino]
}

// change returns a node that t alone holds, its cached hash forgotten, or nil if
// there is none of that type. Type 0 is any.
func (t *Tree) change(ino Ino, typ uint32) *node {
	n := t.at(ino)
	if n == nil || typ != 0 && n.Mode&ModeType != typ {
		return nil
	}
	if own := t.own.Load(); n.owner != own {
		n = n.clone(own)
		t.nodes[ino] = n
	}
	n.hash.Store(nil)
	return n
}
