package audit_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/audit"
)

func (w *world) clone(t *testing.T, from, to string) {
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
}

// plantedBeside is what lies beside whole devices, or pretends to be one.
var plantedBeside = []planted{
	{"short name", func(t *testing.T, w *world) {
		w.clone(t, w.volume("devices", c), w.volume("devices", "3"))
	}, map[audit.Kind][]string{audit.Orphan: {"devices/3"}}},
	{"long name", func(t *testing.T, w *world) {
		w.clone(t, w.volume("devices", c), w.volume("devices", "0"+c))
	}, map[audit.Kind][]string{audit.Orphan: {"devices/0" + c}}},
	{"beside the devices", func(t *testing.T, w *world) {
		require.NoError(t, os.Mkdir(w.volume("stray"), 0o700))
		require.NoError(t, os.WriteFile(w.volume("devices", "file"), nil, 0o600))
	}, map[audit.Kind][]string{audit.Orphan: {"devices/file", "stray"}}},
	{"beside the content", func(t *testing.T, w *world) {
		w.clone(t, w.volume("devices", c, "data"), w.volume("devices", c, "data2"))
	}, map[audit.Kind][]string{audit.Orphan: {"devices/" + c + "/data2"}}},
	{"link instead of the content", func(t *testing.T, w *world) {
		elsewhere := t.TempDir()
		w.clone(t, w.volume("devices", c, "data"), elsewhere)
		require.NoError(t, os.RemoveAll(w.volume("devices", c, "data")))
		require.NoError(t, os.Symlink(elsewhere, w.volume("devices", c, "data")))
	}, map[audit.Kind][]string{audit.Lost: {"c"}}},
}
