package tree

import (
	"slices"
	"strings"
	"sync/atomic"
)

// The type bits of a mode, as in stat(2).
const (
	ModeType    uint32 = 0o170000
	ModeSocket  uint32 = 0o140000
	ModeSymlink uint32 = 0o120000
	ModeRegular uint32 = 0o100000
	ModeBlock   uint32 = 0o060000
	ModeDir     uint32 = 0o040000
	ModeChar    uint32 = 0o020000
	ModeFifo    uint32 = 0o010000

	modePerm uint32 = 0o7777
)

// Inode is what an inode has beside names and contents.
type Inode struct {
	Mode     uint32 // type and permission bits
	UID, GID uint32
	Target   string // of a symlink
	Rdev     uint64 // of a device
}

// node is an inode. Which of the fields below the Inode are used depends on its type.
type node struct {
	Inode
	owner  uint64 // the tree that may change it
	xattrs []xattr
	names  []entry // of a directory, sorted by name
	size   int64   // of a regular file
	chunks []*chunk
	hash   atomic.Pointer[Sum]
}

type xattr struct{ name, value string }

type entry struct {
	name string
	ino  Ino
}

func (n *node) clone(owner uint64) *node {
	return &node{
		Inode:  n.Inode,
		owner:  owner,
		xattrs: slices.Clone(n.xattrs),
		names:  slices.Clone(n.names),
		size:   n.size,
		chunks: slices.Clone(n.chunks),
	}
}

func (n *node) isDir() bool { return n.Mode&ModeType == ModeDir }

func (n *node) find(name string) (int, bool) {
	return slices.BinarySearchFunc(n.names, name, func(e entry, name string) int { return strings.Compare(e.name, name) })
}

func (n *node) findAttr(name string) (int, bool) {
	return slices.BinarySearchFunc(n.xattrs, name, func(x xattr, name string) int { return strings.Compare(x.name, name) })
}
