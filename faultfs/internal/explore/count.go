package explore

import "math/big"

// counter counts the legal sets of some atoms, which have numbers from 0 here. Parts
// without an edge between them multiply. A part that is a tree, as chains are, is
// counted in one pass; another one with and without an atom in its middle.
type counter struct {
	needs, neededBy [][]int32
	lists           int32
	in              []int32 // the last list that an atom was in
	from            []int32 // through which atom it was found to be of its part
	at              []int32 // where it is in its part
	left            int     // steps; below 0 the count is a lower bound
}

// newCounter returns a counter for atoms with these needs, each of which is earlier.
func newCounter(needs [][]int32, steps int) *counter {
	n := len(needs)
	c := &counter{
		needs: needs, neededBy: make([][]int32, n), left: steps,
		in: make([]int32, n), from: make([]int32, n), at: make([]int32, n),
	}
	for i := range needs {
		c.reduce(i)
		for _, n := range needs[i] {
			c.neededBy[n] = append(c.neededBy[n], int32(i))
		}
	}
	return c
}

// reduce leaves out needs of atom i that others of its needs have too, as far as a
// few steps find that: most parts are trees without them.
func (c *counter) reduce(i int) {
	if len(c.needs[i]) < 2 {
		return
	}
	c.lists++
	var todo []int32
	reach := func(needs []int32) {
		for _, n := range needs {
			if c.in[n] != c.lists {
				c.in[n] = c.lists
				todo = append(todo, n)
			}
		}
	}
	for _, n := range c.needs[i] {
		reach(c.needs[n])
	}
	for at := 0; at < len(todo) && at < 4*len(c.needs[i])+32; at++ {
		reach(c.needs[todo[at]])
	}
	c.left -= len(todo)
	var kept []int32
	for _, n := range c.needs[i] {
		if c.in[n] != c.lists {
			c.in[n] = c.lists
			kept = append(kept, n)
		}
	}
	c.needs[i] = kept
}

// parts splits list into parts without an edge between them.
func (c *counter) parts(list []int32) [][]int32 {
	c.lists++
	rest := c.lists
	for _, i := range list {
		c.in[i] = rest
	}
	var found [][]int32
	for _, i := range list {
		if c.in[i] != rest {
			continue
		}
		c.lists++
		c.in[i] = c.lists
		part := []int32{i}
		for at := 0; at < len(part); at++ {
			c.at[part[at]] = int32(at)
			for _, near := range [2][]int32{c.needs[part[at]], c.neededBy[part[at]]} {
				for _, n := range near {
					if c.in[n] == rest {
						c.in[n], c.from[n] = c.lists, part[at]
						part = append(part, n)
					}
				}
			}
		}
		found = append(found, part)
	}
	c.left -= len(list)
	return found
}

// count returns the number of legal subsets of list.
func (c *counter) count(list []int32) *big.Int {
	total := big.NewInt(1)
	free := uint(0)
	for _, part := range c.parts(list) {
		if len(part) == 1 {
			free++
			continue
		}
		total.Mul(total, c.part(part))
	}
	return total.Lsh(total, free)
}

// part counts what parts returned and no later call of it has taken apart.
func (c *counter) part(part []int32) *big.Int {
	if c.left < 0 {
		return big.NewInt(int64(len(part) + 1)) // any order of n atoms has at least n+1 sets
	}
	id, edges := c.in[part[0]], 0
	best, most := part[0], -1
	centre := part[len(part)/2]
	for _, i := range part {
		own := 0
		for _, n := range c.needs[i] {
			if c.in[n] == id {
				own++
			}
		}
		edges += own
		for _, n := range c.neededBy[i] {
			if c.in[n] == id {
				own++
			}
		}
		if own > most || own == most && abs(i-centre) < abs(best-centre) {
			best, most = i, own
		}
	}
	c.left -= len(part)
	if edges == len(part)-1 {
		return c.tree(part)
	}
	with, without := c.apart(part, best, c.needs), c.apart(part, best, c.neededBy)
	n := c.count(with)
	return n.Add(n, c.count(without))
}

// tree counts a part that has no cycle, from its leaves on: how many sets of what
// hangs on an atom go with it, and how many without it.
func (c *counter) tree(part []int32) *big.Int {
	with, without := make([]big.Int, len(part)), make([]big.Int, len(part))
	for i := range part {
		with[i].SetInt64(1)
		without[i].SetInt64(1)
	}
	var any big.Int
	for at := len(part) - 1; at > 0; at-- {
		i := part[at]
		near := c.from[i]
		to := c.at[near]
		any.Add(&with[at], &without[at])
		c.left -= any.BitLen() / 64
		if near < i { // i needs near
			with[to].Mul(&with[to], &any)
			without[to].Mul(&without[to], &without[at])
		} else {
			with[to].Mul(&with[to], &with[at])
			without[to].Mul(&without[to], &any)
		}
	}
	return any.Add(&with[0], &without[0])
}

// apart returns part without atom i and what can be reached from it.
func (c *counter) apart(part []int32, i int32, edges [][]int32) []int32 {
	id := c.in[i]
	c.lists++
	c.in[i] = c.lists
	todo := []int32{i}
	for at := 0; at < len(todo); at++ {
		for _, n := range edges[todo[at]] {
			if c.in[n] == id {
				c.in[n] = c.lists
				todo = append(todo, n)
			}
		}
	}
	var rest []int32
	for _, n := range part {
		if c.in[n] == id {
			rest = append(rest, n)
		}
	}
	for _, n := range todo {
		c.in[n] = id
	}
	return rest
}

func abs(n int32) int32 { return max(n, -n) }
