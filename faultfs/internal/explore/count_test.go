package explore_test

import (
	"fmt"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/driftlesskv/driftless/faultfs/internal/explore"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// unsynced makes n files with some contents, each after a mark, so that there are
// about n points, and syncs nothing.
func unsynced(n int, contents string) *script {
	s := newScript()
	for i := range n {
		s.mark(false, "create")
		f := s.create(root, fmt.Sprint("f", i))
		s.write(f, 0, contents)
	}
	return s
}

func TestLegalIsHowManyAreFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := randomScript(t, 20)
		m := someModel(t)
		x := explorer(t, r.script, m)
		for p, point := range x.Points() {
			require.False(t, point.AtLeast)
			if !point.Legal.IsInt64() || point.Legal.Int64() > few {
				continue
			}
			found := int64(0)
			require.True(t, x.States(p, all, func(explore.State) bool {
				found++
				return true
			}))
			require.Equal(t, found, point.Legal.Int64(), "%s, point %d", m.Name, p)
		}
	})
}

// What New does for a trace twice as long is about twice as much. Of a journal with
// what follows it that is so once the steps of counting run out, see below.
func TestNewGrowsWithTheTrace(t *testing.T) {
	for _, tt := range []struct {
		model    model.Model
		contents string
	}{{model.PosixWeak, ""}, {model.PosixWeak, "a"}, {model.FAT32, "a"}, {model.Ext4, ""}, {model.Btrfs, ""}} {
		steps := func(n int) float64 {
			s := unsynced(n, tt.contents)
			return testing.AllocsPerRun(1, func() { explorer(t, s, tt.model) })
		}
		require.Less(t, steps(400), 2.5*steps(200), "%s %q", tt.model.Name, tt.contents)
	}
}

func TestManyPendingAreCounted(t *testing.T) {
	const n = 3000
	for _, tt := range []struct {
		name     string
		model    model.Model
		contents string
		want     *big.Int
	}{
		{"independent names", model.PosixWeak, "", new(big.Int).Lsh(big.NewInt(1), n)},
		{"names in order", model.Ext4, "", big.NewInt(n + 1)},
		// Of the names and of sizes with data: none, the size, both.
		{"independent files", model.PosixWeak, "a", new(big.Int).Exp(big.NewInt(2*3), big.NewInt(n), nil)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			points := explorer(t, unsynced(n, tt.contents), tt.model).Points()
			last := points[len(points)-1]
			require.Zero(t, tt.want.Cmp(last.Legal))
			require.False(t, last.AtLeast)
		})
	}
}

// Without an order of names each of n files would have 6 choices. With it, there are
// the first k of the names, and for each of them none, the size, or both.
func TestLegalIsALowerBoundIfItTakesLong(t *testing.T) {
	const n = 1500
	s := unsynced(n, "a")
	s.syncfs()
	s.mark(false, "overwrite")
	s.write(s.create(root, "last"), 0, "a")
	points := explorer(t, s, model.Ext4).Points()
	exact, sum, power := 0, big.NewInt(1), big.NewInt(1)
	least := new(big.Int)
	for k, p := range points[:n] {
		require.LessOrEqual(t, p.Legal.Cmp(sum), 0, k)
		require.Positive(t, p.Legal.Cmp(least), "a point has at least what the one before has, and more")
		least = p.Legal
		if !p.AtLeast {
			require.Zero(t, p.Legal.Cmp(sum), k)
			exact++
		}
		power.Mul(power, big.NewInt(3))
		sum = new(big.Int).Add(sum, power)
	}
	require.Greater(t, exact, 100)
	require.Less(t, exact, n, "the work has a limit")
	last := points[len(points)-1]
	require.Equal(t, int64(4), last.Legal.Int64())
	require.False(t, last.AtLeast)
}

// Exchanges of neighbours make a net of changes, which no order of counting takes
// apart in a few steps.
func TestCountingOfANetEnds(t *testing.T) {
	const names, rounds = 64, 64
	s := newScript()
	var there []tree.Ino
	for i := range names {
		there = append(there, s.base(fmt.Sprint("f", i), ""))
	}
	for k := range names * rounds {
		i := (2*k + 2*k/names) % names
		j := (i + 1) % names
		s.do(trace.Op{
			Kind: trace.Rename, Ino: there[i], Dir: root, Name: fmt.Sprint("f", i),
			To: root, New: fmt.Sprint("f", j), Over: there[j], Exchange: true,
		})
		there[i], there[j] = there[j], there[i]
	}
	points := explorer(t, s, model.PosixWeak).Points()
	last := points[len(points)-1]
	require.Equal(t, names*rounds, last.Atoms)
	require.True(t, last.AtLeast)
	require.Positive(t, last.Legal.Cmp(big.NewInt(int64(last.Atoms))))
}
