package trace_test

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// full returns a trace that uses every field.
func full() *trace.Trace {
	base := tree.New(0o755)
	base.Make(2, tree.Inode{Mode: tree.ModeRegular | 0o644})
	base.Enter(tree.Root, "f", 2)
	base.WriteAt(2, 5000, []byte("hello"))
	return &trace.Trace{
		Base: base,
		Ops: []trace.Op{
			{Kind: trace.Write, Start: 1, End: 1 << 60, Ino: 2, Off: 1 << 40, Len: 3, Data: []byte("abc"), Sync: trace.SyncData, PID: 77, Site: 1},
			{
				Kind: trace.Rename, Start: 3, End: 4, Ino: 2, Over: 3, Dir: 1, Name: "f", To: 5, New: "g\xff",
				Attr: "user.a", Mode: 1<<32 - 1, UID: 1<<32 - 2, GID: 1<<32 - 3, Exchange: true, Err: 5, Injected: true,
			},
			{},
		},
		Marks:   []trace.Mark{{At: -3, Ack: true, Op: "put", Args: []byte("[1]"), Site: 2}, {At: 1 << 62, Op: "get"}},
		Blind:   []trace.BlindSpot{{What: "writable shared map", Path: "a/b", Site: 1}},
		Sites:   []trace.Site{{}, {Frames: []trace.Frame{{"main.main", "/x/main.go", 12}, {"b", "", -1}}}, {Process: "sh"}},
		Backend: "seccomp",
		Dir:     "/tmp/x",
	}
}

// same compares traces by what a caller sees; trees have caches.
func same(t *testing.T, want, got *trace.Trace) {
	t.Helper()
	require.Empty(t, tree.Diff(want.Base, got.Base))
	a, b := *want, *got
	a.Base, b.Base = nil, nil
	require.Equal(t, a, b)
}

func TestSaveLoad(t *testing.T) {
	for name, tr := range map[string]*trace.Trace{"full": full(), "empty": {Base: tree.New(0o700)}} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.trace")
			require.NoError(t, os.WriteFile(path, make([]byte, 1<<16), 0o600))
			require.NoError(t, tr.Save(path))
			got, err := trace.Load(path)
			require.NoError(t, err)
			same(t, tr, got)
		})
	}
}

func TestSaveFails(t *testing.T) {
	require.ErrorIs(t, full().Save(t.TempDir()+"/none/x"), os.ErrNotExist)
}

func TestLoadFails(t *testing.T) {
	_, err := trace.Load(t.TempDir() + "/none")
	require.ErrorIs(t, err, os.ErrNotExist)

	whole := full().Append(nil)
	load := func(t *testing.T, p []byte) error {
		path := filepath.Join(t.TempDir(), "x.trace")
		require.NoError(t, os.WriteFile(path, p, 0o600))
		_, err := trace.Load(path)
		require.ErrorContains(t, err, path)
		return err
	}
	require.ErrorIs(t, load(t, nil), trace.ErrForeign)
	require.ErrorIs(t, load(t, []byte("SQLite format 3")), trace.ErrForeign)
	other := append([]byte(nil), whole...)
	other[len("\x89faultfs trace ")]++
	require.ErrorIs(t, load(t, other), trace.ErrForeign, "another version")
	for _, n := range []int{len(whole) - 1, len(whole) / 2, 20, 17} {
		require.ErrorIs(t, load(t, whole[:n]), trace.ErrDamaged)
	}
	for i := 17; i < len(whole); i += 7 {
		p := append([]byte(nil), whole...)
		p[i] ^= 0x10
		require.ErrorIs(t, load(t, p), trace.ErrDamaged)
	}
}

func TestEveryPrefixIsDamaged(t *testing.T) {
	whole := full().Append(nil)
	for n := 17; n < len(whole)-4; n++ {
		_, err := trace.Decode(sealed(whole[:n]))
		require.ErrorIs(t, err, trace.ErrDamaged)
	}
	_, err := trace.Decode(sealed(append(whole[:len(whole)-4:len(whole)-4], 0)))
	require.ErrorIs(t, err, trace.ErrDamaged, "something behind")
}

// sealed returns p with the checksum that it should have.
func sealed(p []byte) []byte {
	return binary.BigEndian.AppendUint32(p[:len(p):len(p)], crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
}

func FuzzDecode(f *testing.F) {
	whole := full().Append(nil)
	f.Add(whole[17 : len(whole)-4])
	empty := (&trace.Trace{Base: tree.New(0)}).Append(nil)
	f.Add(empty[17 : len(empty)-4])
	f.Fuzz(func(t *testing.T, p []byte) {
		tr, err := trace.Decode(sealed(append(whole[:17:17], p...)))
		if err != nil {
			require.ErrorIs(t, err, trace.ErrDamaged)
			return
		}
		again, err := trace.Decode(tr.Append(nil))
		require.NoError(t, err)
		same(t, tr, again)
	})
}
