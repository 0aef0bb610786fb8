package recovery_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// TestOpenDirBacking recovers from a crash on real directories: what was completed
// keeps its content, what was removed or is foreign is told of.
func TestOpenDirBacking(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	root := filepath.Join(t.TempDir(), "layers")
	dirs, err := backing.OpenDir(root)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dirs.Close()) })
	f.opts.Tables[0].Backing = dirs

	db, devices, _ := f.open()
	base := f.create(devices, "base")[0]
	file := filepath.Join(dirs.Path(base.ID), "file")
	require.NoError(t, os.WriteFile(file, []byte("content"), 0o600))
	_, err = devices.Create(ctx, "clone", store.Spec{Parent: "base"})
	require.NoError(t, err)
	lost := f.create(devices, "lost")[0]
	f.prepare(devices, "draft")
	require.NoError(t, os.RemoveAll(filepath.Dir(dirs.Path(lost.ID))))
	last := f.create(devices, "last")[0] // its settling record is lost
	foreign := filepath.Dir(dirs.Path(8))
	require.NoError(t, os.MkdirAll(foreign, 0o700))
	f.crash(db)

	f.owner(map[string]recovery.Liveness{
		"base": recovery.Live, "clone": recovery.Live, "lost": recovery.Live, "draft": recovery.Gone, "last": recovery.Live,
	})
	_, devices, report := f.open()
	lists := kinds(t, report)
	require.Equal(t, []string{"last"}, lists["completed"])
	require.Equal(t, []string{"draft"}, lists["removed"])
	require.Equal(t, []string{"lost"}, lists["missing"])
	require.Equal(t, []string{"8"}, lists["orphans"])
	require.Equal(t, []string{"base", "clone", "last", "lost"}, listed(t, devices))
	got, err := devices.Get("last")
	require.NoError(t, err)
	require.Equal(t, last.Attrs, got.Attrs)
	for _, path := range []string{file, filepath.Join(dirs.Path(2), "file")} {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "content", string(data))
	}
	require.DirExists(t, foreign, "what is not ours is left alone")
	_, err = os.Stat(dirs.Path(4))
	require.ErrorIs(t, err, os.ErrNotExist)
}
