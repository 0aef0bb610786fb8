package tree

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// Sum is a hash of 128 bits, the same in every process. It is GMAC with a fixed
// key: nobody who knows the key is to be kept from making two trees alike, and for
// contents that do not depend on the key, two that differ in n blocks of 16 bytes
// collide with a probability of n in 2^128. Where the processor has no instructions
// for SHA-256 that takes 26 times as long.
type Sum [16]byte

var mac = func() cipher.AEAD {
	block, err := aes.NewCipher([]byte("faultfs tree sum"))
	if err != nil {
		panic(err) // the length of the key is right
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has blocks of 16 bytes
	}
	return aead
}()

var nonce [12]byte

func sum(p []byte) *Sum {
	s := new(Sum)
	mac.Seal(s[:0], nonce[:], nil, p)
	return s
}

func (b *block) sum() *Sum {
	s := b.hash.Load()
	if s == nil {
		s = sum(b.data[:])
		b.hash.Store(s)
	}
	return s
}

// sum returns nil for a chunk of zeros.
func (c *chunk) sum() *Sum {
	if s := c.hash.Load(); s != nil {
		return s
	}
	var p [chunkBlocks * len(Sum{})]byte
	some := false
	for i, b := range c.blocks {
		if b != nil {
			some = true
			copy(p[i*len(Sum{}):], b.sum()[:])
		}
	}
	if !some {
		return nil
	}
	s := sum(p[:])
	c.hash.Store(s)
	return s
}

// sum is of all of an inode, apart from where the names of a directory lead.
func (n *node) sum() *Sum {
	if s := n.hash.Load(); s != nil {
		return s
	}
	p := make([]byte, 0, 256)
	p = binary.LittleEndian.AppendUint32(p, n.Mode)
	p = binary.LittleEndian.AppendUint32(p, n.UID)
	p = binary.LittleEndian.AppendUint32(p, n.GID)
	p = binary.LittleEndian.AppendUint64(p, n.Rdev)
	p = binary.LittleEndian.AppendUint64(p, uint64(n.size))
	p = appendString(p, n.Target)
	p = binary.AppendUvarint(p, uint64(len(n.xattrs)))
	for _, x := range n.xattrs {
		p = appendString(appendString(p, x.name), x.value)
	}
	for _, c := range n.chunks {
		if s := c.sum(); s != nil {
			p = binary.AppendUvarint(p, uint64(c.index))
			p = append(p, s[:]...)
		}
	}
	s := sum(p)
	n.hash.Store(s)
	return s
}

func appendString(p []byte, s string) []byte {
	return append(binary.AppendUvarint(p, uint64(len(s))), s...)
}

// Hash is of what Write writes: names, modes, owners, extended attributes, sizes,
// contents, link targets, and which names are links to one inode. Trees with
// other numbers for the same inodes have the same hash.
func (t *Tree) Hash() Sum {
	h := hasher{p: make([]byte, 0, 40*len(t.nodes))}
	t.Walk(func(e Entry) bool {
		h.add(t, e)
		return true
	})
	return *sum(h.p)
}

// hasher collects what is hashed of a tree. Together depth, name and order say
// where an entry is.
type hasher struct{ p []byte }

func (h *hasher) add(t *Tree, e Entry) {
	h.p = binary.AppendUvarint(h.p, uint64(e.Depth))
	h.p = appendString(h.p, e.Name)
	if e.Linked > 0 {
		h.p = append(h.p, 1)
		h.p = binary.AppendUvarint(h.p, uint64(e.Linked))
		return
	}
	h.p = append(append(h.p, 0), t.nodes[e.Ino].sum()[:]...)
}

// SumOf returns the Sum of p.
func SumOf(p []byte) Sum { return *sum(p) }
