package explore_test

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs/internal/explore"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

func TestPoints(t *testing.T) {
	s := newScript()
	f := s.base("f", "a")
	s.mark(false, "1") // a point before the first begin
	s.mark(false, "2")
	s.write(f, 0, "b")
	s.fsync(f) // a point
	s.fsync(f) // commits nothing
	s.mark(true, "1")
	s.mark(false, "3") // a point, because of the ack
	s.write(f, 0, "c")
	s.mark(false, "4") // a point, because of the write
	s.do(trace.Op{Kind: trace.Utimes, Ino: f})
	s.mark(false, "5")
	type point struct{ marks, atoms, legal int }
	var got []point
	x := explorer(t, s, torn)
	for _, p := range x.Points() {
		got = append(got, point{p.Marks, p.Atoms, int(p.Legal.Int64())})
		x.States(len(got)-1, all, func(s explore.State) bool {
			require.Equal(t, p.Marks, s.Marks())
			require.Equal(t, torn, s.Model())
			return true
		})
	}
	require.Equal(t, []point{{0, 0, 1}, {2, 1, 2}, {3, 0, 1}, {4, 1, 2}, {6, 1, 2}}, got)
	require.Equal(t, s.now+1, x.Points()[4].At)
}

// A sync that takes one name out of the journal leaves a state that was not legal.
func TestPointAfterOvertaking(t *testing.T) {
	s := newScript()
	s.create(root, "a")
	s.fsync(s.create(root, "f"))
	s.mark(false, "x")
	x := explorer(t, s, logged)
	require.Len(t, x.Points(), 3)
	require.Equal(t, []string{"", "a=", "a= f="}, at(t, x, 0))
	require.Zero(t, x.Points()[1].Marks)
	require.Equal(t, []string{"a= f=", "f="}, at(t, x, 1))
}

func TestLegalOfManyIsExact(t *testing.T) {
	s := newScript()
	f := s.base("f", units(4, strings.Repeat("a", 500)))
	s.write(f, 0, units(4, strings.Repeat("b", 500)))
	x := explorer(t, s, torn)
	require.Equal(t, new(big.Int).Lsh(big.NewInt(1), 500), x.Points()[0].Legal)
	require.False(t, x.Points()[0].AtLeast)

	s = newScript()
	f = s.base("f", "a")
	for i := range 300 {
		s.write(f, 0, fmt.Sprint(i%10))
		s.create(root, fmt.Sprint(i))
	}
	m := torn
	m.Order = model.Journal
	x = explorer(t, s, m)
	require.Equal(t, int64(301*301), x.Points()[0].Legal.Int64())
	require.False(t, x.Points()[0].AtLeast)
}

func TestStopping(t *testing.T) {
	s := newScript()
	s.write(s.base("f", units(4, "aaaaa")), 0, units(4, "bbbbb"))
	x := explorer(t, s, torn.CollateralDamage(20))
	for _, o := range []explore.Options{{Subsets: 1 << 20}, {Samples: 20}} {
		for stop := 1; stop < 20; stop++ {
			n := 0
			require.False(t, x.States(0, o, func(explore.State) bool {
				n++
				return n < stop
			}))
			require.Equal(t, stop, n)
		}
	}
}

// What is durable at a point is right however many there are before it.
func TestManyPoints(t *testing.T) {
	s := newScript()
	f := s.base("f", "0")
	for i := 1; i <= 50; i++ {
		s.write(f, 0, fmt.Sprint(i))
		s.fsync(f)
	}
	x := explorer(t, s, whole)
	require.Len(t, x.Points(), 51)
	for _, p := range []int{0, 1, 15, 16, 17, 49, 3} {
		before := func(n int) string { return "f=" + runs(fmt.Append(nil, n)) }
		want := []string{before(p), before(p + 1)}
		require.ElementsMatch(t, want, at(t, x, p))
	}
}

// A State is still what it was when others come.
func TestStatesStay(t *testing.T) {
	s := newScript()
	s.write(s.base("f", "aaaaaaaa"), 0, "bbbbbbbb")
	x := explorer(t, s, torn)
	var kept []explore.State
	x.States(0, all, func(st explore.State) bool {
		kept = append(kept, st)
		return true
	})
	var ids []string
	for _, st := range kept {
		ids = append(ids, st.ID()+" "+text(st.Tree))
	}
	require.Equal(t, []string{"0-0 f=a8", "0-2 f=a4b4", "0-1 f=b4a4", "0-3 f=b8"}, ids)
}

// Above the limit there are the states that a missing sync most likely leaves.
func TestSampleStrategies(t *testing.T) {
	s := newScript()
	f, g := s.base("f", units(4, strings.Repeat("a", 8))), s.base("g", units(4, strings.Repeat("a", 8)))
	s.write(f, 0, units(4, "bbbb"))
	s.write(g, 0, units(4, "ccccdddd"))
	s.write(f, 16, units(4, "eeee"))
	x := explorer(t, s, torn)
	want := map[string]string{
		"nothing":            "f=a32 g=a32",
		"everything":         "f=b16e16 g=c16d16",
		"all but an op":      "f=a16e16 g=c16d16",
		"one op":             "f=a32 g=c16d16",
		"one file":           "f=b16e16 g=a32",
		"all but a unit":     "f=b16e16 g=c8a4c4d16",
		"one unit":           "f=a4b4a24 g=a32",
		"a prefix":           "f=b16a16 g=c8a24",
		"all but the last":   "f=b16e12a4 g=c16d16",
		"a prefix of a file": "f=b8a24 g=a32",
	}
	found := map[string]bool{}
	require.False(t, x.States(0, explore.Options{Subsets: 65535}, func(s explore.State) bool {
		found[text(s.Tree)] = true
		return true
	}))
	for what, state := range want {
		require.True(t, found[state], what)
	}
	fixed := len(found)
	for seed := range uint64(2) {
		n := 0
		x.States(0, explore.Options{Subsets: 65535, Samples: 100, Seed: seed}, func(s explore.State) bool {
			found[text(s.Tree)] = true
			n++
			return true
		})
		require.Greater(t, n, fixed+60, "random ones, most of them new")
	}
	require.Greater(t, len(found), fixed+140, "another seed finds others")
	require.True(t, x.States(0, explore.Options{Subsets: 65536}, func(explore.State) bool { return true }))
}

func TestBitRot(t *testing.T) {
	s := newScript()
	f := s.base("f", units(4096, "aab"))
	s.base("empty", "")
	s.write(s.base("g", ""), 0, "x")
	m := model.Model{Name: "rot"}.WithBitRot()
	x := explorer(t, s, m)
	require.Equal(t, int64(2*(1+3+1)), x.Points()[0].Legal.Int64())
	blocks := map[int64]int{}
	x.States(0, all, func(st explore.State) bool {
		p, q := make([]byte, 3*4096), make([]byte, 3*4096)
		s.Base.ReadAt(f, 0, p)
		st.Tree.ReadAt(f, 0, q)
		wrong := 0
		for i := range p {
			if d := p[i] ^ q[i]; d != 0 {
				require.Zero(t, d&(d-1), "one bit")
				blocks[int64(i/4096)]++
				wrong++
			}
		}
		require.LessOrEqual(t, wrong, 1)
		return true
	})
	require.Equal(t, map[int64]int{0: 2, 1: 2, 2: 2}, blocks)
}

func TestNewFails(t *testing.T) {
	tests := map[string]func(s *script, f tree.Ino){
		"no base":         func(s *script, f tree.Ino) { s.Base = nil },
		"no such inode":   func(s *script, f tree.Ino) { s.write(77, 0, "x") },
		"huge inode":      func(s *script, f tree.Ino) { s.last = math.MaxInt64; s.create(root, "x") },
		"not new":         func(s *script, f tree.Ino) { s.last--; s.create(root, "x") },
		"not a file":      func(s *script, f tree.Ino) { s.write(root, 0, "x") },
		"not a directory": func(s *script, f tree.Ino) { s.create(f, "x") },
		"bad name":        func(s *script, f tree.Ino) { s.create(root, "..") },
		"bad new name":    func(s *script, f tree.Ino) { s.rename(f, root, "f", root, "a/b", 0) },
		"no victim":       func(s *script, f tree.Ino) { s.rename(f, root, "f", root, "g", 99) },
		"short data":      func(s *script, f tree.Ino) { s.Ops[s.write(f, 0, "abc")].Len = 4 },
		"far away":        func(s *script, f tree.Ino) { s.write(f, math.MaxInt64, "x") },
		"before":          func(s *script, f tree.Ino) { s.write(f, -1, "x") },
		"negative size":   func(s *script, f tree.Ino) { s.truncate(f, -1) },
		"no kind":         func(s *script, f tree.Ino) { s.do(trace.Op{}) },
		"ends first":      func(s *script, f tree.Ino) { s.Ops[s.fsync(f)].End = 0 },
		"out of order":    func(s *script, f tree.Ino) { s.fsync(f); s.now = 0; s.fsync(f) },
		"at once":         func(s *script, f tree.Ino) { s.fsync(f); s.now--; s.mark(true, "x") },
		"marks":           func(s *script, f tree.Ino) { s.mark(true, "x"); s.now = 0; s.mark(true, "x") },
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newScript()
			tt(s, s.base("f", "a"))
			_, err := explore.New(&s.Trace, torn)
			require.ErrorIs(t, err, explore.ErrInconsistent)
		})
	}
	for want, m := range map[string]model.Model{
		"no rule":          {Name: "m", Order: 9}, // model.Check knows what else
		"the largest file": {Name: "m", Tear: tree.MaxSize + 1},
		"Collateral is":    {Name: "m", Collateral: tree.MaxSize + 1},
	} {
		_, err := explore.New(&newScript().Trace, m)
		require.ErrorContains(t, err, want)
	}
}

func TestParseFails(t *testing.T) {
	s := newScript()
	f := s.base("f", "a")
	s.write(f, 0, "b")
	s.write(f, 0, "c")
	x := explorer(t, s, torn)
	for _, id := range []string{"", "1", "x-0", "-1-0", "1-0", "0-2", "0-4", "0-g", "0-00f", "0-x5", "0-x-1", "0-x0.3", "0-x", "0-0-c1.1", "0-0-", "0-0-0-0"} {
		_, err := x.Parse(id)
		require.ErrorIs(t, err, explore.ErrNoState, id)
	}
	for _, id := range []string{"0-0", "0-1", "0-3", "0-x0.2", "0-x1", "0-000"} {
		_, err := x.Parse(id)
		require.NoError(t, err, id)
	}
}

func TestIDIsShort(t *testing.T) {
	s := newScript()
	s.write(s.base("f", units(4, strings.Repeat("a", 5000))), 0, units(4, strings.Repeat("b", 5000)))
	x := explorer(t, s, torn)
	s1, _ := x.Parse("0-x100.200.300.400")
	require.Equal(t, "0-x100.200.300.400", s1.ID())
}
