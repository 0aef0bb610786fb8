package tree_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

func sample() tree.Tree {
	return tree.Tree{
		"d":   {Mode: fs.ModeDir | 0o755},
		"d/f": {Mode: 0o644, Data: tree.Hash([]byte("content"))},
		"l":   {Mode: fs.ModeSymlink, Data: "d/f"},
	}
}

// TestDifference shows that every change shows, in words and in the digest.
func TestDifference(t *testing.T) {
	tests := []struct {
		change func(tree.Tree)
		want   string
	}{
		{func(tree.Tree) {}, ""},
		{func(t tree.Tree) { delete(t, "d/f") }, "d/f is missing"},
		{func(t tree.Tree) { t["new"] = tree.Node{} }, "new is too many"},
		{func(t tree.Tree) { t["d"] = tree.Node{Mode: fs.ModeDir | 0o700} }, "d has mode drwx------ instead of drwxr-xr-x"},
		{func(t tree.Tree) { t["l"] = tree.Node{Mode: fs.ModeSymlink, Data: "d"} }, "l has other content"},
		{func(t tree.Tree) { t["d/f"] = tree.Node{Mode: 0o644, Data: tree.Hash(nil)} }, "d/f has other content"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			changed := sample()
			tt.change(changed)
			require.Equal(t, tt.want, changed.Difference(sample()))
			require.Equal(t, tt.want == "", changed.Digest() == sample().Digest())
		})
	}
}

// TestDigestKeepsNamesApart shows that no name can be mistaken for two.
func TestDigestKeepsNamesApart(t *testing.T) {
	one := tree.Tree{"a\" \"\"\n---------- \"b": {}}
	two := tree.Tree{"a": {}, "b": {}}
	require.NotEqual(t, one.Digest(), two.Digest())
}

func TestScan(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "d", "f"), []byte("content"), 0o644))
	require.NoError(t, os.Symlink("d/f", filepath.Join(dir, "l")))
	require.NoError(t, os.Chmod(filepath.Join(dir, "d"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(dir, "d", "f"), 0o644))
	got, err := tree.Scan(dir)
	require.NoError(t, err)
	require.Empty(t, got.Difference(sample()))
	require.Equal(t, maps.Clone(got).Digest(), sample().Digest())

	// A link is read, not followed, wherever it leads.
	require.NoError(t, os.Symlink("/etc", filepath.Join(dir, "out")))
	got, err = tree.Scan(dir)
	require.NoError(t, err)
	require.Equal(t, tree.Node{Mode: fs.ModeSymlink, Data: "/etc"}, got["out"])
	require.Len(t, got, 4)

	_, err = tree.Scan(filepath.Join(dir, "missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestCopyErrors(t *testing.T) {
	dir := t.TempDir()
	require.ErrorIs(t, tree.Copy(dir, filepath.Join(dir, "missing")), fs.ErrNotExist)
	require.ErrorIs(t, tree.Copy(filepath.Join(dir, "missing"), dir), fs.ErrNotExist)
	from := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(from, "f"), nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "f"), 0o700))
	require.Error(t, tree.Copy(dir, from))
}
