package layer_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/audit"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

// A chain is a snapshot's layers, and what they make together.
type chain struct {
	name   string
	layers [][]item
	want   map[string]string // content of files, target of links after "->", "" for directories
}

var whiteouts = []chain{
	{
		"plain",
		[][]item{{dir("d"), file("d/f", "1"), symlink("d/l", "f"), link("h", "d/f")}},
		map[string]string{"d": "", "d/f": "1", "d/l": "->f", "h": "1"},
	},
	{
		"parents without entries",
		[][]item{{file("./a/b/c", "1")}},
		map[string]string{"a": "", "a/b": "", "a/b/c": "1"},
	},
	{
		"whiteout of a file and of a directory",
		[][]item{{file("d/f", "1"), file("d/g", "2"), file("e/f", "3")}, {file("d/.wh.f", ""), file(".wh.e", "")}},
		map[string]string{"d": "", "d/g": "2"},
	},
	{
		"whiteout of what is not there",
		[][]item{{file("d/f", "1")}, {file("x/y/.wh.z", ""), file("d/.wh.nothing", "")}},
		map[string]string{"d": "", "d/f": "1"},
	},
	{
		"opaque directory",
		[][]item{{file("d/f", "1"), file("d/s/g", "2"), file("e", "3")}, {file("d/.wh..wh..opq", ""), file("d/new", "4")}},
		map[string]string{"d": "", "d/new": "4", "e": "3"},
	},
	{
		"opaque marker after the directory's new entries",
		[][]item{{file("d/f", "1"), file("d/s/g", "2")}, {file("d/new", "4"), file("d/s/h", "5"), file("d/.wh..wh..opq", "")}},
		map[string]string{"d": "", "d/new": "4", "d/s": "", "d/s/h": "5"},
	},
	{
		"whiteout after an entry of the same name hides the layers below only",
		[][]item{{file("f", "1")}, {file("f", "2"), file(".wh.f", "")}},
		map[string]string{"f": "2"},
	},
	{
		"opaque root",
		[][]item{{file("d/f", "1"), file("g", "2")}, {file(".wh..wh..opq", ""), file("h", "3")}},
		map[string]string{"h": "3"},
	},
}

var replacements = []chain{
	{
		"bookkeeping of AUFS",
		[][]item{{dir(".wh..wh.plnk"), file(".wh..wh.aufs", ""), file("f", "1")}},
		map[string]string{"f": "1"},
	},
	{
		"duplicates: the last wins",
		[][]item{{file("f", "1"), file("f", "2"), dir("d"), file("d/x", "1"), dir("d")}},
		map[string]string{"f": "2", "d": "", "d/x": "1"},
	},
	{
		"types change",
		[][]item{
			{file("a", "1"), dir("b"), file("b/x", "2"), symlink("c", "a"), dir("e")},
			{dir("a"), file("b", "3"), file("c", "4"), symlink("e", "a")},
		},
		map[string]string{"a": "", "b": "3", "c": "4", "e": "->a"},
	},
	{
		"a replaced file leaves its other links alone",
		[][]item{{file("f", "1"), link("g", "f"), file("f", "2")}},
		map[string]string{"f": "2", "g": "1"},
	},
	{
		"through a link inside the root",
		[][]item{{dir("usr/lib"), symlink("lib", "usr/lib")}, {file("lib/x", "1"), link("y", "lib/x")}},
		map[string]string{"usr": "", "usr/lib": "", "usr/lib/x": "1", "lib": "->usr/lib", "y": "1"},
	},
	{
		"a link that leaves the root is content",
		[][]item{{symlink("out", "../../etc"), symlink("abs", "/etc/passwd")}},
		map[string]string{"out": "->../../etc", "abs": "->/etc/passwd"},
	},
}

// linked are chains in which an entry and a whiteout reach one directory by two names.
var linked = []chain{
	{
		"opaque marker through a link",
		[][]item{{file("e/y", "1"), symlink("d", "e")}, {file("d/.wh..wh..opq", ""), file("d/new", "2")}},
		map[string]string{"d": "->e", "e": "", "e/new": "2"},
	},
	{
		"whiteout of what came through a link in the same layer",
		[][]item{{file("usr/lib/x", "1"), symlink("lib", "usr/lib")}, {file("lib/x", "2"), file("usr/lib/.wh.x", "")}},
		map[string]string{"usr": "", "usr/lib": "", "usr/lib/x": "2", "lib": "->usr/lib"},
	},
	{
		"whiteout through a link of what has an entry",
		[][]item{{file("usr/lib/x", "1"), file("usr/lib/y", "1"), symlink("lib", "usr/lib")}, {file("usr/lib/x", "2"), file("lib/.wh.x", ""), file("lib/.wh.y", "")}},
		map[string]string{"usr": "", "usr/lib": "", "usr/lib/x": "2", "lib": "->usr/lib"},
	},
	{
		"link upwards through a link",
		[][]item{{dir("a/b"), symlink("l", "a/b"), symlink("up", "l/../c")}, {file("up/f", "1")}},
		map[string]string{"a": "", "a/b": "", "a/c": "", "a/c/f": "1", "l": "->a/b", "up": "->l/../c"},
	},
}

// TestUnpack checks, for chains of layers, the names that are left, and that the
// audit's oracle comes to the same result in its own way.
func TestUnpack(t *testing.T) {
	for _, tt := range slices.Concat(whiteouts, replacements, linked) {
		t.Run(tt.name, func(t *testing.T) {
			a := newArena(t)
			var archives []string
			for i, layerItems := range tt.layers {
				data := archive(t, layerItems...)
				if i%2 == 1 {
					data = compressed(t, data)
				}
				archives = append(archives, write(t, data))
				require.NoError(t, layer.Unpack(context.Background(), a.root, bytes.NewReader(data), small))
			}
			a.requireConfined(t)
			got, err := tree.Scan(a.root.Name())
			require.NoError(t, err)
			require.Equal(t, tt.want, contents(t, a.root, got))

			expected, err := audit.NewOracle().Expect("key", archives)
			require.NoError(t, err)
			got[layer.OwnerFile] = layer.OwnerNode("key")
			require.Empty(t, got.Difference(expected))
		})
	}
}

// TestFillAgain shows that an interrupted fill is completed by the next one, and
// that a clone becomes its new owner's.
func TestFillAgain(t *testing.T) {
	archives, _, err := layer.Sources(t.TempDir())
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, layer.OwnerFile), []byte("parent"), 0o400))
	first, err := layer.Fill(context.Background(), dir, "child", archives[0])
	require.NoError(t, err)
	second, err := layer.Fill(context.Background(), dir, "child", archives[0])
	require.NoError(t, err)
	require.Equal(t, first, second)
	expected, err := audit.NewOracle().Expect("child", archives[:1])
	require.NoError(t, err)
	require.Equal(t, expected.Digest(), first)
}

// TestSources shows that layers without the Go toolchain's sources are as good.
func TestSources(t *testing.T) {
	_, origin, err := layer.Sources(t.TempDir())
	require.NoError(t, err)
	require.DirExists(t, origin)
	t.Setenv("PATH", t.TempDir()) // no go command
	archives, origin, err := layer.Sources(t.TempDir())
	require.NoError(t, err)
	require.Contains(t, origin, "generated")
	require.NotEmpty(t, archives)
	expected, err := audit.NewOracle().Expect("key", archives)
	require.NoError(t, err)
	digest, dir := "", t.TempDir()
	for _, a := range archives {
		digest, err = layer.Fill(context.Background(), dir, "key", a)
		require.NoError(t, err)
	}
	require.Equal(t, expected.Digest(), digest)
}

func write(t testing.TB, data []byte) string {
	f, err := os.CreateTemp(t.TempDir(), "*.tar")
	require.NoError(t, err)
	_, err = f.Write(data)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return f.Name()
}

func contents(t testing.TB, root *os.Root, all tree.Tree) map[string]string {
	got := map[string]string{}
	for name, node := range all {
		switch {
		case node.Mode.IsDir():
			got[name] = ""
		case node.Mode.IsRegular():
			content, err := root.ReadFile(name)
			require.NoError(t, err)
			got[name] = string(content)
		default:
			got[name] = "->" + node.Data
		}
	}
	return got
}
