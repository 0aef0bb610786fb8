package explore

import "slices"

// bits is a set of small numbers.
type bits []uint64

func newBits(n int) bits { return make(bits, (n+63)/64) }

// fullBits returns the set of the numbers below n.
func fullBits(n int) bits {
	b := newBits(n)
	for i := range n {
		b.add(i)
	}
	return b
}

func (b bits) has(i int) bool { return b[i/64]>>(i%64)&1 == 1 }
func (b bits) add(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bits) remove(i int)   { b[i/64] &^= 1 << (i % 64) }
func (b bits) clone() bits    { return slices.Clone(b) }
