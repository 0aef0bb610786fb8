package tree

import (
	"slices"
	"sync/atomic"
)

const (
	// BlockSize is the size in bytes of the pieces in which contents are kept.
	BlockSize = 4096

	chunkBlocks = 64
	chunkSize   = chunkBlocks * BlockSize
)

// MaxSize is the largest size of a file that a tree accepts.
const MaxSize = 1 << 50

// block is a piece of a file. One with another owner is never changed.
type block struct {
	owner uint64
	hash  atomic.Pointer[Sum]
	data  [BlockSize]byte
}

// chunk is a run of blocks: what must be copied when one of them changes, and the
// middle level of the hash of a file. A nil block is zeros. The chunks of a node
// are sorted by index, so that a hole costs nothing.
type chunk struct {
	owner  uint64
	index  int64
	blocks [chunkBlocks]*block
	hash   atomic.Pointer[Sum]
}

// zeros are compared with, and read from.
var zeros [BlockSize]byte

// seek returns where the chunk with that index is, or would be.
func (n *node) seek(index int64) (int, bool) {
	// Mostly a file has no holes of that size.
	if index >= 0 && index < int64(len(n.chunks)) && n.chunks[index].index == index {
		return int(index), true
	}
	return slices.BinarySearchFunc(n.chunks, index, func(c *chunk, index int64) int {
		switch {
		case c.index < index:
			return -1
		case c.index > index:
			return 1
		}
		return 0
	})
}

// at returns block i, nil if it is zeros.
func (n *node) at(i int64) *block {
	at, found := n.seek(i / chunkBlocks)
	if !found {
		return nil
	}
	return n.chunks[at].blocks[i%chunkBlocks]
}

// slot returns where block i hangs, in a chunk that n owns.
func (n *node) slot(i int64) **block {
	at, found := n.seek(i / chunkBlocks)
	if !found {
		n.chunks = slices.Insert(n.chunks, at, &chunk{owner: n.owner, index: i / chunkBlocks})
	}
	c := n.chunks[at]
	if c.owner != n.owner {
		c = &chunk{owner: n.owner, index: c.index, blocks: c.blocks}
		n.chunks[at] = c
	}
	c.hash.Store(nil)
	return &c.blocks[i%chunkBlocks]
}

// put writes p into block i from offset off; p fits into the block.
func (n *node) put(i int64, off int, p []byte) {
	slot := n.slot(i)
	b := *slot
	switch {
	case b != nil && b.owner == n.owner:
		b.hash.Store(nil)
	case b != nil && len(p) < BlockSize:
		b = &block{owner: n.owner, data: b.data}
	default:
		b = &block{owner: n.owner}
	}
	copy(b.data[off:], p)
	// A block of zeros is a hole: nobody can tell the two apart by reading.
	if b.data == zeros {
		b = nil
	}
	*slot = b
}

// zero makes bytes from to to read as zeros.
func (n *node) zero(from, to int64) {
	for from < to {
		i, off := from/BlockSize, from%BlockSize
		end := min(to, (i+1)*BlockSize)
		if n.at(i) == nil {
			from = max(end, min(to, n.nextData(i)*BlockSize))
			continue
		}
		if end-from == BlockSize {
			*n.slot(i) = nil
		} else {
			n.put(i, int(off), zeros[:end-from])
		}
		from = end
	}
}

// nextData returns the first block from i on that is not in a missing chunk, or a
// number behind the end if there is none.
func (n *node) nextData(i int64) int64 {
	at, found := n.seek(i / chunkBlocks)
	switch {
	case found:
		return i
	case at == len(n.chunks):
		return MaxSize / BlockSize
	}
	return n.chunks[at].index * chunkBlocks
}
