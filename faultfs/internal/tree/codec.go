package tree

import (
	"encoding/binary"
	"strings"

	"github.com/driftlesskv/driftless/faultfs/internal/tree/wire"
)

// Append appends t as bytes, with its numbers and the inodes without a name.
func (t *Tree) Append(p []byte) []byte {
	p = binary.AppendUvarint(p, uint64(len(t.nodes)))
	for _, n := range t.nodes {
		if n == nil {
			p = binary.AppendUvarint(p, 0)
			continue
		}
		p = n.append(p)
	}
	return p
}

func (n *node) append(p []byte) []byte {
	p = binary.AppendUvarint(p, uint64(n.Mode)+1)
	p = binary.AppendUvarint(p, uint64(n.UID))
	p = binary.AppendUvarint(p, uint64(n.GID))
	p = binary.AppendUvarint(p, n.Rdev)
	p = wire.AppendString(p, n.Target)
	p = binary.AppendUvarint(p, uint64(len(n.xattrs)))
	for _, x := range n.xattrs {
		p = wire.AppendString(wire.AppendString(p, x.name), x.value)
	}
	switch n.Mode & ModeType {
	case ModeDir:
		p = binary.AppendUvarint(p, uint64(len(n.names)))
		for _, e := range n.names {
			p = binary.AppendUvarint(wire.AppendString(p, e.name), uint64(e.ino))
		}
	case ModeRegular:
		p = binary.AppendUvarint(p, uint64(n.size))
		p = n.appendBlocks(p)
	}
	return p
}

// appendBlocks appends each block that is not zeros with 1 + its index, and 0.
func (n *node) appendBlocks(p []byte) []byte {
	for _, c := range n.chunks {
		for i, b := range c.blocks {
			if b == nil {
				continue
			}
			index := c.index*chunkBlocks + int64(i)
			p = binary.AppendUvarint(p, uint64(index)+1)
			p = append(p, b.data[:min(BlockSize, n.size-index*BlockSize)]...)
		}
	}
	return append(p, 0)
}

// Decode reads what Append wrote. It fails on anything that Append does not write.
func Decode(r *wire.Reader) *Tree {
	count := r.Count(1)
	if count > int(MaxIno)+1 {
		r.Fail("%d inodes", count)
		return nil
	}
	t := &Tree{nodes: make([]*node, count)}
	t.own.Store(lastOwner.Add(1))
	for i := range t.nodes {
		t.nodes[i] = decodeNode(r, t)
	}
	if r.Err() == nil && (len(t.nodes) <= int(Root) || t.nodes[0] != nil || t.nodes[Root] == nil || !t.nodes[Root].isDir()) {
		r.Fail("no root")
	}
	if r.Err() != nil {
		return nil
	}
	return t
}

func decodeNode(r *wire.Reader, t *Tree) *node {
	mode := r.Number(1 << 32)
	if mode == 0 {
		return nil
	}
	n := &node{owner: t.own.Load()}
	n.Mode = uint32(mode - 1)
	n.UID = uint32(r.Number(1<<32 - 1))
	n.GID = uint32(r.Number(1<<32 - 1))
	n.Rdev = r.Uvarint()
	n.Target = r.String()
	n.xattrs = make([]xattr, r.Count(2))
	for i := range n.xattrs {
		n.xattrs[i] = xattr{r.String(), r.String()}
		if i > 0 && n.xattrs[i].name <= n.xattrs[i-1].name {
			r.Fail("xattrs without order")
		}
	}
	switch n.Mode & ModeType {
	case ModeDir:
		n.decodeNames(r, Ino(len(t.nodes)))
	case ModeRegular:
		n.size = int64(r.Number(MaxSize))
		n.decodeBlocks(r)
	}
	return n
}

func (n *node) decodeNames(r *wire.Reader, inos Ino) {
	n.names = make([]entry, r.Count(2))
	for i := range n.names {
		e := entry{r.String(), Ino(r.Uvarint())}
		if !ValidName(e.name) || e.ino >= inos || i > 0 && e.name <= n.names[i-1].name {
			r.Fail("name %q", e.name)
		}
		n.names[i] = e
	}
}

func (n *node) decodeBlocks(r *wire.Reader) {
	for next := int64(0); ; {
		at := r.Number(MaxSize/BlockSize + 1)
		if at == 0 {
			return
		}
		index := int64(at) - 1
		if index < next || index*BlockSize >= n.size {
			r.Fail("block %d", index)
			return
		}
		next = index + 1
		n.put(index, 0, r.Raw(int(min(BlockSize, n.size-index*BlockSize))))
	}
}

// ValidName tells whether name can be in a directory.
func ValidName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}
