package explore_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/driftlesskv/driftless/faultfs/internal/explore"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// models are the built-in ones and some damaged media.
func models() []model.Model {
	return append(model.All(), model.Ext4.Torn(512), model.Posix4K.LyingFlush(), model.XFS.CollateralDamage(8192),
		model.Btrfs.WithBitRot(), model.Model{Name: "zero"})
}

func someModel(t *rapid.T) model.Model {
	all := models()
	return all[rapid.IntRange(0, len(all)-1).Draw(t, "model")]
}

// few is the largest number of states that a test of this file goes through.
const few = 1000

// hashes returns the states of point p, or nil if they are too many.
func hashes(x *explore.Explorer, p int) map[tree.Sum]explore.State {
	point := x.Points()[p]
	if point.AtLeast || !point.Legal.IsInt64() || point.Legal.Int64() > few {
		return nil
	}
	found := map[tree.Sum]explore.State{}
	x.States(p, all, func(s explore.State) bool {
		found[s.Tree.Hash()] = s
		return true
	})
	return found
}

// full returns the state in which nothing is lost, and the last point.
func full(t *rapid.T, x *explore.Explorer) (explore.State, int) {
	last := len(x.Points()) - 1
	var s explore.State
	x.States(last, explore.Options{Subsets: -1}, func(found explore.State) bool {
		s = found
		return len(x.Lost(s)) > 0
	})
	require.Empty(t, x.Lost(s))
	return s, last
}

func TestNothingLostIsWhatTheProgramSaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := randomScript(t, 25)
		x := explorer(t, r.script, someModel(t))
		s, _ := full(t, x)
		require.Empty(t, tree.Diff(r.live, s.Tree))
		require.Equal(t, r.live.Hash(), s.Tree.Hash())
	})
}

func TestSyncfsLeavesOneState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := randomScript(t, 25)
		r.Ops = slices.DeleteFunc(r.Ops, func(op trace.Op) bool { return op.Err != 0 })
		r.syncfs()
		m := someModel(t)
		m.Lying, m.BitRot = false, false
		x := explorer(t, r.script, m)
		last := len(x.Points()) - 1
		require.Equal(t, int64(1), x.Points()[last].Legal.Int64())
		require.True(t, x.States(last, all, func(s explore.State) bool {
			require.Empty(t, tree.Diff(r.live, s.Tree))
			return true
		}))
	})
}

// What a stronger model allows, a weaker one allows too.
func TestWeakerModelsAllowMore(t *testing.T) {
	half := model.Posix4K
	half.Rename = model.Atomic
	halves, apart := model.Btrfs, model.XFS
	halves.Rename = model.AcrossInHalves
	apart.FdatasyncNames = false
	pairs := [][2]model.Model{
		{model.Posix4K, model.PosixWeak},
		{model.Ext4, half},
		{half, model.Posix4K},
		{model.Btrfs, halves},
		{model.XFS, apart},
		{model.Ext4, model.Ext4.Torn(512)},
		{model.Ext4, model.Ext4.LyingFlush()},
		{model.XFS, model.XFS.WithBitRot()},
		{model.Btrfs, model.Btrfs.CollateralDamage(8192)},
	}
	rapid.Check(t, func(t *rapid.T) {
		r := randomScript(t, 12)
		pair := pairs[rapid.IntRange(0, len(pairs)-1).Draw(t, "pair")]
		strong, weak := explorer(t, r.script, pair[0]), explorer(t, r.script, pair[1])
		allowed := hashes(weak, len(weak.Points())-1)
		if allowed == nil {
			t.Skip("too many")
		}
		for hash, s := range hashes(strong, len(strong.Points())-1) {
			if _, found := allowed[hash]; !found {
				t.Fatalf("%s allows %s, %s does not: %s", pair[0].Name, s.ID(), pair[1].Name, text(s.Tree))
			}
		}
	})
}

// Whenever the power goes, there is a point that has the same state, with no
// other begins and all of the acks before it.
func TestPointsFindWhatAllMomentsFind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := randomScript(t, 12)
		m := someModel(t)
		m.BitRot = false // which bit of the last block depends on the size
		x := explorer(t, r.script, m)
		points := make([]map[tree.Sum]explore.State, len(x.Points()))
		for p := range points {
			points[p] = hashes(x, p)
		}
		end := r.now
		for moment := int64(1); moment <= end; moment++ {
			cut := cutOff(r.script, moment)
			y := explorer(t, cut, m)
			states := hashes(y, len(y.Points())-1)
			for hash, s := range states {
				if !findable(x, points, r.Marks, hash, s.Marks()) {
					t.Fatalf("%s, at %d of %d: %s is at no point: %s", m.Name, moment, end, s.ID(), text(s.Tree))
				}
			}
		}
	})
}

// cutOff returns what was recorded before moment, with nothing that ended later.
func cutOff(s *script, moment int64) *script {
	c := &script{Trace: trace.Trace{Base: s.Base}}
	for _, op := range s.Ops {
		if op.Start >= moment {
			break
		}
		if op.End >= moment {
			if op.Kind == trace.Fsync || op.Kind == trace.Syncfs {
				continue
			}
			op.Sync, op.End = trace.SyncNone, moment+op.Start
		}
		c.Ops = append(c.Ops, op)
	}
	for _, m := range s.Marks {
		if m.At < moment {
			c.Marks = append(c.Marks, m)
		}
	}
	return c
}

// findable tells whether a point has the state, with at most the begins and at least
// the acks that come before the moment.
func findable(x *explore.Explorer, points []map[tree.Sum]explore.State, marks []trace.Mark, hash tree.Sum, before int) bool {
	count := func(n int) (begins, acks int) {
		for _, m := range marks[:n] {
			if m.Ack {
				acks++
			} else {
				begins++
			}
		}
		return begins, acks
	}
	begins, acks := count(before)
	for p, point := range x.Points() {
		if b, a := count(point.Marks); b > begins || a < acks {
			continue
		}
		if points[p] == nil {
			return true // too many to tell
		}
		if _, found := points[p][hash]; found {
			return true
		}
	}
	return false
}

func TestSamplesAreStates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := randomScript(t, 15)
		x := explorer(t, r.script, someModel(t))
		p := rapid.IntRange(0, len(x.Points())-1).Draw(t, "point")
		legal := hashes(x, p)
		o := explore.Options{Subsets: -1, Samples: 20, Seed: 7}
		var ids []string
		require.False(t, x.States(p, o, func(s explore.State) bool {
			ids = append(ids, s.ID())
			hash := s.Tree.Hash()
			if legal != nil {
				require.Contains(t, legal, hash)
			}
			again, err := x.Parse(s.ID())
			require.NoError(t, err)
			require.Equal(t, hash, again.Tree.Hash())
			require.Equal(t, s.ID(), again.ID())
			return true
		}))
		var repeated []string
		x.States(p, o, func(s explore.State) bool {
			repeated = append(repeated, s.ID())
			return true
		})
		require.Equal(t, ids, repeated)
		slices.Sort(ids)
		require.Len(t, slices.Compact(slices.Clone(ids)), len(ids), "each is sampled once")
	})
}

func TestRestoreEndsWithNothingLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := randomScript(t, 15)
		x := explorer(t, r.script, someModel(t))
		p := rapid.IntRange(0, len(x.Points())-1).Draw(t, "point")
		x.States(p, explore.Options{Subsets: -1, Samples: 5}, func(s explore.State) bool {
			for lost := x.Lost(s); len(lost) > 0; lost = x.Lost(s) {
				l := lost[rapid.IntRange(0, len(lost)-1).Draw(t, "lost")]
				require.NotEmpty(t, l.Pieces)
				require.NotEmpty(t, l.Targets)
				_, err := x.Parse(s.ID())
				require.NoError(t, err)
				next, ok := x.Restore(s, l.Op)
				require.True(t, ok)
				require.False(t, slices.ContainsFunc(x.Lost(next), func(m explore.Loss) bool { return m.Op == l.Op }))
				s = next
			}
			for op := range r.Ops {
				_, ok := x.Restore(s, op)
				require.False(t, ok)
			}
			return true
		})
	})
}
