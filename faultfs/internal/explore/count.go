package explore

import "math/big"

// counting bounds the work of counting the legal sets of one crash point.
const counting = 1 << 14

// legal returns how many states the model allows, and whether that is exact and not
// a lower bound.
func (v *view) legal() (*big.Int, bool) {
	c := counter{v: v, n: len(v.ids), left: counting, neededBy: make([][]int32, len(v.ids))}
	for i, needs := range v.needs {
		for _, n := range needs {
			c.neededBy[n] = append(c.neededBy[n], int32(i))
		}
	}
	total := c.count(fullBits(c.n))
	return total.Mul(total, big.NewInt(int64(1+len(v.damages)))), c.left > 0
}

// counter counts the legal sets. An atom without edges doubles the number, parts
// without an edge between them multiply, and a part is counted with and without an
// atom in its middle.
type counter struct {
	v        *view
	n        int
	neededBy [][]int32
	left     int
}

// count returns the number of legal subsets of set.
func (c *counter) count(set bits) *big.Int {
	total := big.NewInt(1)
	free := uint(0)
	left := set.clone()
	for i := range c.n {
		if !left.has(i) {
			continue
		}
		part := c.part(left, set, i)
		switch {
		case len(part) == 1:
			free++
		case c.left <= 0:
			// Any order of n atoms has at least n+1 sets.
			total.Mul(total, big.NewInt(int64(len(part)+1)))
		default:
			c.left--
			total.Mul(total, c.split(part))
		}
	}
	return total.Lsh(total, free)
}

// part takes the atoms that hang together with i out of left.
func (c *counter) part(left, set bits, i int) []int {
	part := []int{i}
	left.remove(i)
	for at := 0; at < len(part); at++ {
		for _, near := range [2][]int32{c.v.needs[part[at]], c.neededBy[part[at]]} {
			for _, n := range near {
				if set.has(int(n)) && left.has(int(n)) {
					left.remove(int(n))
					part = append(part, int(n))
				}
			}
		}
	}
	return part
}

// split counts a part that hangs together.
func (c *counter) split(part []int) *big.Int {
	set := newBits(c.n)
	for _, i := range part {
		set.add(i)
	}
	middle := c.middle(part, set)
	with, without := set.clone(), set.clone()
	c.drop(with, middle, c.v.needs)
	c.drop(without, middle, c.neededBy)
	n := c.count(with)
	return n.Add(n, c.count(without))
}

// drop removes i from set, and what can be reached from it.
func (c *counter) drop(set bits, i int, edges [][]int32) {
	todo := []int{i}
	set.remove(i)
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, n := range edges[at] {
			if set.has(int(n)) {
				set.remove(int(n))
				todo = append(todo, int(n))
			}
		}
	}
}

// middle returns an atom of part that leaves the smallest parts: one with many edges
// or, of a chain, the one half way.
func (c *counter) middle(part []int, set bits) int {
	best, most := part[0], -1
	low, high := part[0], part[0]
	for _, i := range part {
		low, high = min(low, i), max(high, i)
	}
	centre := (low + high) / 2
	for _, i := range part {
		edges := 0
		for _, near := range [2][]int32{c.v.needs[i], c.neededBy[i]} {
			for _, n := range near {
				if set.has(int(n)) {
					edges++
				}
			}
		}
		if edges > most || edges == most && abs(i-centre) < abs(best-centre) {
			best, most = i, edges
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }
