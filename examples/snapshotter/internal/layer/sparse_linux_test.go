package layer_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

// TestUnpackSparse shows that with the default limits a sparse file of 3 GiB is
// refused before anything is written, and that one below the limits keeps its holes.
func TestUnpackSparse(t *testing.T) {
	a := newArena(t)
	err := layer.Unpack(context.Background(), a.root, bytes.NewReader(sparseOf(3<<30)), layer.Limits{})
	require.ErrorIs(t, err, layer.ErrLimit)
	requireRoom(t, a.root.Name(), 1<<20)

	const size = 200 << 20
	require.NoError(t, layer.Unpack(context.Background(), a.root, bytes.NewReader(sparseOf(size)), layer.Limits{}))
	clone := t.TempDir()
	require.NoError(t, tree.Copy(clone, a.root.Name()))
	for _, dir := range []string{a.root.Name(), clone} {
		info, err := os.Stat(filepath.Join(dir, "bomb"))
		require.NoError(t, err)
		require.EqualValues(t, size, info.Size())
		requireRoom(t, dir, 1<<20)
	}
}

// requireRoom requires that the files in dir take no more bytes of the disk than max.
func requireRoom(t *testing.T, dir string, max int64) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	room := int64(0)
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		stat, ok := info.Sys().(*syscall.Stat_t)
		require.True(t, ok)
		room += stat.Blocks * 512
	}
	require.LessOrEqual(t, room, max)
}
