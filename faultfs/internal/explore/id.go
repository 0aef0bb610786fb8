package explore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// ErrNoState is returned when an id is of no state of the trace under the model.
var ErrNoState = errors.New("no such state")

// ID returns what Parse of an Explorer of the same trace and model takes: the point,
// the atoms that are there, from the first one on, and the damage. It consists of
// lower-case letters, digits, '-' and '.'.
func (s State) ID() string {
	n := s.x.public[s.Point].Atoms
	id := strconv.Itoa(s.Point) + "-" + s.kept.text(n)
	switch {
	case s.damage.ino == 0:
		return id
	case s.damage.bit >= 0:
		return fmt.Sprintf("%s-r%d.%d", id, s.damage.ino, s.damage.bit)
	}
	return fmt.Sprintf("%s-c%d.%d", id, s.damage.ino, s.damage.unit)
}

// Parse returns the state that ID named. The error wraps [ErrNoState].
func (x *Explorer) Parse(id string) (State, error) {
	s, err := x.parse(id)
	if err != nil {
		return State{}, fmt.Errorf("parse state %q: %w: %w", id, ErrNoState, err)
	}
	return s, nil
}

func (x *Explorer) parse(id string) (State, error) {
	parts := strings.Split(id, "-")
	if len(parts) < 2 || len(parts) > 3 {
		return State{}, errors.New("want POINT-ATOMS or POINT-ATOMS-DAMAGE")
	}
	p, err := strconv.Atoi(parts[0])
	if err != nil || p < 0 || p >= len(x.points) {
		return State{}, fmt.Errorf("no crash point %s of %d", parts[0], len(x.points))
	}
	v := x.view(p)
	set, err := parseBits(parts[1], len(v.ids))
	if err != nil {
		return State{}, err
	}
	for i := range v.ids {
		if set.has(i) && !v.allows(set, i) {
			return State{}, fmt.Errorf("change %d is not there without others", i)
		}
	}
	s := State{Point: p, Tree: v.build(set), x: x, kept: set}
	if len(parts) == 3 {
		if s.damage, err = v.parseDamage(parts[2]); err != nil {
			return State{}, err
		}
		s.Tree = s.damage.apply(s.Tree, v.unitSize())
	}
	return s, nil
}

func (v *view) parseDamage(text string) (damage, error) {
	for _, d := range v.damages {
		if text == fmt.Sprintf("r%d.%d", d.ino, d.bit) && d.bit >= 0 || text == fmt.Sprintf("c%d.%d", d.ino, d.unit) && d.bit < 0 {
			return d, nil
		}
	}
	return damage{}, fmt.Errorf("no damage %s", text)
}

// text returns which of n numbers b holds: in hexadecimal digits, the first four
// numbers in the first digit, or, if that is shorter, after an x, how many are out,
// in, out, in turn. Both leave out what is not held at the end.
func (b bits) text(n int) string {
	var hex, runs strings.Builder
	runs.WriteString("x")
	state, run := false, 0
	for i := range n {
		if b.has(i) != state {
			fmt.Fprintf(&runs, "%d.", run)
			state, run = !state, 0
		}
		run++
	}
	if state {
		fmt.Fprintf(&runs, "%d.", run)
	}
	for i := 0; i < n; i += 4 {
		digit := 0
		for j := range min(4, n-i) {
			if b.has(i + j) {
				digit |= 1 << j
			}
		}
		hex.WriteByte("0123456789abcdef"[digit])
	}
	short := strings.TrimRight(hex.String(), "0")
	if short == "" {
		short = "0"
	}
	if long := strings.TrimSuffix(runs.String(), "."); len(long) < len(short) {
		return long
	}
	return short
}

// parseBits reads what text wrote of n numbers.
func parseBits(text string, n int) (bits, error) {
	set := newBits(n)
	if runs, ok := strings.CutPrefix(text, "x"); ok {
		i := 0
		for at, run := range strings.Split(runs, ".") {
			k, err := strconv.Atoi(run)
			if err != nil || k < 0 || k > n-i {
				return nil, fmt.Errorf("atoms %q of %d", text, n)
			}
			for ; k > 0; k-- {
				if at%2 == 1 {
					set.add(i)
				}
				i++
			}
		}
		return set, nil
	}
	for at, c := range []byte(text) {
		digit := strings.IndexByte("0123456789abcdef", c)
		for j := range 4 {
			if digit>>j&1 == 0 {
				continue
			}
			if digit < 0 || 4*at+j >= n {
				return nil, fmt.Errorf("atoms %q of %d", text, n)
			}
			set.add(4*at + j)
		}
	}
	return set, nil
}

// sum is a hash of the set.
func (b bits) sum() tree.Sum {
	p := make([]byte, 0, 8*len(b))
	for _, w := range b {
		for range 8 {
			p = append(p, byte(w))
			w >>= 8
		}
	}
	return tree.SumOf(p)
}
