//go:build linux

package backing_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// Links that lead out of the device are removed, what they lead to is not.
func TestRemoveFollowsNoLinks(t *testing.T) {
	d, root := openDir(t)
	outside := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(outside, "d"), 0o500))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "f"), nil, 0o400))
	before := treeOf(t, outside)
	dev := device(1, 1)
	create(t, d, dev)
	require.NoError(t, os.Symlink(outside, filepath.Join(d.Path(1), "directory")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "f"), filepath.Join(d.Path(1), "file")))
	require.NoError(t, os.Symlink(outside, filepath.Join(root, "trash", backing.WorkName(device(2, 2).Ref()))))
	require.NoError(t, d.Remove(t.Context(), dev))
	require.NoError(t, d.Remove(t.Context(), device(2, 2)))
	require.Equal(t, before, treeOf(t, outside))
	requireProbe(t, d, 1, store.Absent, store.Stamp{})
	requireProbe(t, d, 2, store.Absent, store.Stamp{})
}

// Removal needs neither permissions inside the tree nor a descriptor for each level.
func TestRemoveStubbornTrees(t *testing.T) {
	d, _ := openDir(t)
	for _, tt := range []struct {
		name string
		fill func(t *testing.T, dir string)
	}{
		{"no permissions", func(t *testing.T, dir string) {
			sub := filepath.Join(dir, "a", "b", "c")
			require.NoError(t, os.MkdirAll(sub, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(sub, "f"), nil, 0))
			for _, mode := range []os.FileMode{0, 0o100, 0o400} {
				require.NoError(t, os.Chmod(sub, mode))
				sub = filepath.Dir(sub)
			}
			require.NoError(t, os.Chmod(dir, 0))
		}},
		{"deep", func(t *testing.T, dir string) { deepTree(t, dir, 3000) }},
		{"deep, with names of its own at the top", func(t *testing.T, dir string) {
			deepTree(t, dir, 300)
			for _, name := range []string{"deep-0", "deep-1"} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "..", name), nil, 0o600))
			}
		}},
		{"wide", func(t *testing.T, dir string) {
			for i := range 2000 {
				require.NoError(t, unix.Mkfifo(filepath.Join(dir, store.DeviceID(i).String()), 0o600))
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dev := device(1, 1)
			create(t, d, dev)
			tt.fill(t, d.Path(1))
			require.NoError(t, d.Remove(t.Context(), dev))
			requireProbe(t, d, 1, store.Absent, store.Stamp{})
			require.NoDirExists(t, filepath.Dir(d.Path(1)))
		})
	}
}

// Two holders of one id cannot come from this package, but they are told apart.
func TestTwoHolders(t *testing.T) {
	d, root := openDir(t)
	mine, other := device(7, 1), device(7, 2)
	for _, place := range []string{"staging", "trash"} {
		leftover := filepath.Join(root, place, backing.WorkName(other.Ref()))
		require.NoError(t, os.Mkdir(leftover, 0o700))
		_, err := d.Create(t.Context(), mine)
		require.ErrorIs(t, err, store.ErrExists)
		requireProbe(t, d, 7, store.Partial, other.Stamp)
		require.ErrorIs(t, d.Remove(t.Context(), mine), store.ErrStale)
		require.DirExists(t, leftover)

		require.NoError(t, os.Remove(leftover))
		create(t, d, mine)
		require.NoError(t, os.Mkdir(leftover, 0o700))
		requireProbe(t, d, 7, store.Present, mine.Stamp)
		require.ErrorIs(t, d.Remove(t.Context(), mine), store.ErrStale, "the id is not free")
		requireProbe(t, d, 7, store.Partial, other.Stamp)
		require.NoError(t, d.Remove(t.Context(), other))
		requireProbe(t, d, 7, store.Absent, store.Stamp{})
	}
}

// A device that is whole and half removed at once is left to a person.
func TestWholeAndInTrash(t *testing.T) {
	d, root := openDir(t)
	dev := device(7, 1)
	create(t, d, dev)
	require.NoError(t, os.Mkdir(filepath.Join(root, "trash", backing.WorkName(dev.Ref())), 0o700))
	require.ErrorIs(t, d.Remove(t.Context(), dev), store.ErrCorrupt)
	requireProbe(t, d, 7, store.Present, dev.Stamp)
}
