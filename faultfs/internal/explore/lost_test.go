package explore_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// lines returns what a state at the end of s lacks, as text.
func lines(t *testing.T, s *script, m model.Model, state string) []string {
	t.Helper()
	x := explorer(t, s, m)
	st, err := x.Parse(fmt.Sprintf("%d-%s", len(x.Points())-1, state))
	require.NoError(t, err)
	var all []string
	for _, l := range x.Lost(st) {
		how := "part"
		if l.All {
			how = "all"
		}
		line := fmt.Sprint(l.Op, " ", how, " ", l.Pieces, " of ", l.Targets)
		for i, n := range []int{l.Failed, l.Overlapped, l.Narrow, l.Late} {
			if n >= 0 {
				line += fmt.Sprint(" ", []string{"failed", "overlapped", "narrow", "late"}[i], " ", n)
			}
		}
		all = append(all, line)
	}
	return all
}

func TestLost(t *testing.T) {
	s := newScript()
	f := s.base("f", "aaaa")
	s.write(f, 0, "bbbbbbbbbbbb")
	s.chmod(f, 0o600)
	s.do(trace.Op{Kind: trace.Setxattr, Ino: f, Attr: "user.a"})
	s.do(trace.Op{Kind: trace.Chown, Ino: f, UID: 1})
	g := s.create(root, "g")
	s.rename(g, root, "g", root, "h", 0)
	s.do(trace.Op{Kind: trace.Punch, Ino: f, Len: 2})
	require.Equal(t, []string{
		"0 all [size 12 data 0-12] of [2]",
		"1 all [mode] of [2]",
		"2 all [xattr user.a] of [2]",
		"3 all [owner] of [2]",
		"4 all [name \"g\"] of [1]",
		"5 all [old name \"g\" name \"h\"] of [1]",
		"6 all [hole 0-2] of [2]",
	}, lines(t, s, sized, "0"))
	require.Equal(t, []string{"0 part [data 0-4 data 8-12] of [2]"}, lines(t, s, sized, "5f1")[:1])
}

func TestLostTellsTheMissingSync(t *testing.T) {
	for _, tt := range []struct {
		name   string
		model  model.Model
		script func(s *script, f tree.Ino)
		want   string
	}{
		{"none", torn, func(s *script, f tree.Ino) { s.write(f, 0, "b"); s.fsync(root) }, "0 all [data 0-1] of [2]"},
		{"before", torn, func(s *script, f tree.Ino) { s.fsync(f); s.write(f, 0, "b") }, "1 all [data 0-1] of [2]"},
		{"failed", torn, func(s *script, f tree.Ino) {
			s.write(f, 0, "b")
			s.failedFsync(f, syscall.EIO)
		}, "0 all [data 0-1] of [2] failed 1"},
		{"failed, and then not tried again", dropped, func(s *script, f tree.Ino) {
			s.write(f, 0, "b")
			s.failedFsync(f, syscall.EIO)
			s.syncfs()
		}, "0 all [data 0-1] of [2] failed 1 narrow 2"},
		{"of the data alone", torn, func(s *script, f tree.Ino) { s.chmod(f, 0o600); s.fdatasync(f) }, "0 all [mode] of [2] narrow 1"},
		{"of the data alone, on a medium that lies", torn.LyingFlush(), func(s *script, f tree.Ino) { s.chmod(f, 0o600); s.fdatasync(f) }, "0 all [mode] of [2] late 1"},
		{"of another range", torn, func(s *script, f tree.Ino) {
			s.write(f, 4, "b")
			s.do(trace.Op{Kind: trace.Msync, Ino: f, Len: 4, Sync: trace.SyncData})
		}, "0 all [data 4-5] of [2] narrow 1"},
		{"that does not carry a name", journal, func(s *script, f tree.Ino) {
			s.rename(f, root, "f", root, "g", 0)
			s.fdatasync(f)
		}, "0 all [old name \"f\" name \"g\"] of [1 2] narrow 1"},
		{"of the new directory", logged, func(s *script, f tree.Ino) {
			d := s.baseDir("d")
			s.rename(f, root, "f", d, "f", 0)
			s.fsync(d)
		}, "0 part [old name \"f\"] of [1 2]"},
		{"of either directory", logged, func(s *script, f tree.Ino) {
			s.rename(f, root, "f", s.baseDir("d"), "f", 0)
		}, "0 all [name \"f\" old name \"f\"] of [3 1 2]"},
		{"overlapped", torn, func(s *script, f tree.Ino) {
			i := s.write(f, 0, "b")
			s.fsync(f)
			s.late(i)
		}, "0 all [data 0-1] of [2] overlapped 1"},
		{"lying", torn.LyingFlush(), func(s *script, f tree.Ino) { s.write(f, 0, "b"); s.fsync(f) }, "0 all [data 0-1] of [2] late 1"},
		{"of a directory", torn, func(s *script, f tree.Ino) { s.fsync(s.create(root, "g")) }, "0 all [name \"g\"] of [1]"},
		{"of either", ownNames, func(s *script, f tree.Ino) { s.create(root, "g") }, "0 all [name \"g\"] of [1 3]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript()
			tt.script(s, s.base("f", "a"))
			require.Equal(t, []string{tt.want}, lines(t, s, tt.model, "0"))
		})
	}
}

func TestLaterSyncsAreNotToBlame(t *testing.T) {
	s := newScript()
	f := s.base("f", "a")
	s.write(f, 0, "b")
	s.mark(false, "x")
	s.failedFsync(f, syscall.EIO)
	s.fsync(f)
	x := explorer(t, s, torn)
	st, err := x.Parse("0-0")
	require.NoError(t, err)
	lost := x.Lost(st)
	require.Len(t, lost, 1)
	require.Equal(t, []int{-1, -1, -1, -1}, []int{lost[0].Failed, lost[0].Overlapped, lost[0].Narrow, lost[0].Late})
}

func TestRestore(t *testing.T) {
	s := newScript()
	f := s.base("f", "aaaa")
	first := s.write(f, 0, "bb")
	second := s.write(f, 3, "c")
	other := s.write(s.base("g", "x"), 0, "y")
	x := explorer(t, s, torn)
	none, err := x.Parse("0-0")
	require.NoError(t, err)

	got, ok := x.Restore(none, second)
	require.True(t, ok)
	require.Equal(t, "f=b2ac g=x", text(got.Tree), "with what it needs")
	require.Equal(t, "f=a4 g=x", text(none.Tree), "the other is as it was")
	_, ok = x.Restore(got, first)
	require.False(t, ok)
	got, ok = x.Restore(got, other)
	require.True(t, ok)
	require.Equal(t, "f=b2ac g=y", text(got.Tree))
	require.Empty(t, x.Lost(got))
}

func TestRestoreKeepsDamage(t *testing.T) {
	s := newScript()
	i := s.write(s.base("f", "aaaaaaaa"), 0, "b")
	x := explorer(t, s, torn.CollateralDamage(8))
	st, err := x.Parse("0-0-c2.1")
	require.NoError(t, err)
	require.Equal(t, "f=a4#4", text(st.Tree))
	st, ok := x.Restore(st, i)
	require.True(t, ok)
	require.Equal(t, "f=ba3#4", text(st.Tree))
	require.Equal(t, "0-1-c2.1", st.ID())
}
