package layer_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

// arena is a directory with the root in it, and everything else a canary.
type arena struct {
	dir    string
	root   *os.Root
	before tree.Tree
}

func newArena(t testing.TB) *arena {
	a := &arena{dir: t.TempDir()}
	require.NoError(t, os.Mkdir(filepath.Join(a.dir, "root"), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(a.dir, "canary"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, "canary", "bird"), []byte("alive"), 0o644))
	root, err := os.OpenRoot(filepath.Join(a.dir, "root"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, root.Close()) })
	a.root = root
	a.before = a.outside(t)
	return a
}

func (a *arena) outside(t testing.TB) tree.Tree {
	all, err := tree.Scan(a.dir)
	require.NoError(t, err)
	for name := range all {
		if strings.HasPrefix(name, "root/") {
			delete(all, name)
		}
	}
	return all
}

func (a *arena) requireConfined(t testing.TB) {
	require.Empty(t, a.outside(t).Difference(a.before))
}

var small = layer.Limits{Bytes: 1 << 20, Entries: 200}

// A refusal is an archive that must not be unpacked, and the error that says why.
type refusal struct {
	name    string
	archive func(t testing.TB, canary string) []byte
	want    error
}

var long = strings.Repeat("n", 256)

var hostilePaths = []refusal{
	{"absolute path", items(file("/tmp/evil", "x")), layer.ErrEscape},
	{"dot dot", items(file("../canary/bird", "dead")), layer.ErrEscape},
	{"dot dot inside", items(dir("a"), file("a/../../canary/bird", "dead")), layer.ErrEscape},
	{"dot dot that stays inside", items(dir("a"), file("a/../b", "x")), layer.ErrEscape},
	{"directory dot dot", items(dir("../evil")), layer.ErrEscape},
	{"through a relative symlink", items(symlink("out", "../canary"), file("out/bird", "dead")), layer.ErrEscape},
	{"through an absolute symlink", func(t testing.TB, canary string) []byte {
		return archive(t, symlink("out", canary), file("out/bird", "dead"))
	}, layer.ErrEscape},
	{"through two symlinks", items(symlink("a", ".."), symlink("b", "a/canary"), file("b/bird", "dead")), layer.ErrEscape},
	{"directory through a symlink", items(symlink("out", "../canary"), dir("out/nest")), layer.ErrEscape},
	{"symlink through a symlink", items(symlink("out", "../canary"), symlink("out/x", "y")), layer.ErrEscape},
	{"whiteout through a symlink", items(symlink("out", "../canary"), file("out/.wh.bird", "")), layer.ErrEscape},
	{"hard link outside", items(link("steal", "../canary/bird")), layer.ErrEscape},
	{"hard link to an absolute path", items(link("steal", "/etc/passwd")), layer.ErrEscape},
	{"hard link through a symlink", items(symlink("out", "../canary"), link("steal", "out/bird")), layer.ErrEscape},
	{"hard link to itself", items(file("a", "x"), link("a", "a")), layer.ErrName},
	{"whiteout of the parent", items(file("a/.wh...", "")), layer.ErrName},
	{"whiteout of the directory", items(file("a/.wh..", "")), layer.ErrName},
	{"whiteout of nothing", items(file("a/.wh.", "")), layer.ErrName},
}

var hostileContent = []refusal{
	{"character device", items(item{kind: tar.TypeChar, name: "null", mode: 0o666}), layer.ErrType},
	{"block device", items(item{kind: tar.TypeBlock, name: "disk", mode: 0o666}), layer.ErrType},
	{"pipe", items(item{kind: tar.TypeFifo, name: "pipe", mode: 0o666}), layer.ErrType},
	{"unknown type", func(testing.TB, string) []byte {
		return append(seal(block("x", 'Z', 0, "ustar\x0000")), make([]byte, 1024)...)
	}, layer.ErrType},
	{"root as a file", items(file("./.", "x")), layer.ErrType},
	{"long name", items(file("a/"+long, "x")), layer.ErrName},
	{"long path", items(file(strings.Repeat("deep/", 1000)+"x", "x")), layer.ErrName},
	{"NUL in the name", func(testing.TB, string) []byte { return withNUL() }, tar.ErrHeader},
	{"empty name", func(testing.TB, string) []byte {
		return append(seal(block("", tar.TypeReg, 0, "ustar\x0000")), make([]byte, 1024)...)
	}, layer.ErrName},
	{"sparse bomb", func(testing.TB, string) []byte { return sparse() }, layer.ErrLimit},
	{"gzip bomb", func(t testing.TB, _ string) []byte {
		return compressed(t, archive(t, file("zeros", strings.Repeat("\x00", 2<<20))))
	}, layer.ErrLimit},
	{"directories without entries", items(
		file(strings.Repeat("a/", 110)+"x", ""), file(strings.Repeat("b/", 110)+"x", ""),
	), layer.ErrLimit},
	{"deep path", items(file(strings.Repeat("d/", 128)+"x", "x")), layer.ErrName},
	{"deep path through a link", items(
		dir(strings.Repeat("d/", 40)), symlink("a", strings.Repeat("d/", 39)+"d"),
		symlink("a/a", strings.Repeat("d/", 40)+"d"), file("a/a/"+strings.Repeat("d/", 60)+"x", "x"),
	), layer.ErrName},
	{"links in a circle", items(symlink("a", "b"), symlink("b", "a"), file("a/x", "x")), syscall.ELOOP},
	{"the owner file", items(file(".snapshot", "another")), layer.ErrReserved},
	{"below the owner file", items(file("./.snapshot/x", "x")), layer.ErrReserved},
	{"the owner file through a link", items(symlink("a", "."), file("a/.snapshot", "x")), layer.ErrReserved},
	{"hard link to the owner file", items(link("a", ".snapshot")), layer.ErrReserved},
	{"no entry", items(), layer.ErrEmpty},
	{"empty file", func(testing.TB, string) []byte { return nil }, layer.ErrEmpty},
	{"other format", func(testing.TB, string) []byte {
		return []byte("\x28\xb5\x2f\xfd" + strings.Repeat("zstd", 500))
	}, layer.ErrFormat},
	{"many small files", func(t testing.TB, _ string) []byte {
		return archive(t, many(201)...)
	}, layer.ErrLimit},
	{"one large file", items(file("large", strings.Repeat("x", 1<<20+1))), layer.ErrLimit},
	{"file where a directory is needed", items(file("a", "x"), file("a/b", "y")), fs.ErrExist},
}

func TestUnpackRefusesWhatIsHostile(t *testing.T) {
	for _, tt := range slices.Concat(hostilePaths, hostileContent) {
		t.Run(tt.name, func(t *testing.T) {
			a := newArena(t)
			data := tt.archive(t, filepath.Join(a.dir, "canary"))
			err := layer.Unpack(context.Background(), a.root, bytes.NewReader(data), small)
			require.ErrorIs(t, err, tt.want)
			a.requireConfined(t)
		})
	}
}

// TestUnpackNamesTheEntry shows that a refusal says which entry is to blame.
func TestUnpackNamesTheEntry(t *testing.T) {
	a := newArena(t)
	data := archive(t, file("good", "x"), file("../bad", "x"))
	err := layer.Unpack(context.Background(), a.root, bytes.NewReader(data), small)
	var pathError *fs.PathError
	require.ErrorAs(t, err, &pathError)
	require.Equal(t, "../bad", pathError.Path)
}

// TestUnpackNeverFollowsTheLastLink shows that an entry replaces a link of its name,
// wherever that points, and that a chmod does not go through it either.
func TestUnpackNeverFollowsTheLastLink(t *testing.T) {
	for _, last := range []item{
		file("out", "mine"), dir("out"), symlink("out", "elsewhere"), file(".wh.out", ""),
	} {
		t.Run(last.name+string(last.kind), func(t *testing.T) {
			a := newArena(t)
			data := archive(t, symlink("out", "../canary/bird"), last)
			require.NoError(t, layer.Unpack(context.Background(), a.root, bytes.NewReader(data), small))
			a.requireConfined(t)
		})
	}
}

func TestUnpackReportsDamage(t *testing.T) {
	good := archive(t, file("a", strings.Repeat("x", 2000)))
	packed := compressed(t, good)
	flipped := bytes.Clone(packed)
	flipped[len(flipped)-6] ^= 1 // in gzip's checksum
	for name, data := range map[string][]byte{
		"truncated": good[:1500], "truncated gzip": packed[:len(packed)-10],
		"gzip checksum": flipped, "garbage": []byte(strings.Repeat("garbage", 100)),
	} {
		t.Run(name, func(t *testing.T) {
			a := newArena(t)
			require.Error(t, layer.Unpack(context.Background(), a.root, bytes.NewReader(data), small))
		})
	}
}

func TestUnpackStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a := newArena(t)
	err := layer.Unpack(ctx, a.root, bytes.NewReader(archive(t, file("a", "x"))), small)
	require.ErrorIs(t, err, context.Canceled)
}

func items(all ...item) func(testing.TB, string) []byte {
	return func(t testing.TB, _ string) []byte { return archive(t, all...) }
}

func many(n int) (all []item) {
	for i := range n {
		all = append(all, file("f"+string(rune('a'+i%26))+strings.Repeat("x", i), ""))
	}
	return all
}

// FuzzUnpack throws any bytes at Unpack: whatever it makes of them stays in the root.
func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, symlink("out", "../canary"), file("out/bird", "dead")))
	f.Add(archive(f, dir("a"), file("a/.wh..wh..opq", ""), link("b", "a"), file("../x", "y")))
	f.Add(compressed(f, archive(f, file("a", "x"))))
	f.Add(sparse())
	f.Add(withNUL())
	f.Fuzz(func(t *testing.T, data []byte) {
		a := newArena(t)
		_ = layer.Unpack(context.Background(), a.root, bytes.NewReader(data), layer.Limits{Bytes: 1 << 16, Entries: 20})
		a.requireConfined(t)
	})
}
