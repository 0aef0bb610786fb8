package audit_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/audit"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/careful"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/naive"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/step"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// A world is a snapshotter's directory with the snapshots a (committed), b (on top
// of a) and c, which have the ids 1 to 3, and the account of them.
type world struct {
	dir  string
	want map[string]audit.Expectation
}

func newWorld(t *testing.T, open func(dir string) (snapshot.Snapshotter, error)) *world {
	ctx, w := context.Background(), &world{dir: t.TempDir(), want: map[string]audit.Expectation{}}
	archives, _, err := layer.Sources(t.TempDir())
	require.NoError(t, err)
	s, err := open(w.dir)
	require.NoError(t, err)
	for _, made := range []struct {
		key, parent string
		layers      []string
	}{{"a", "", archives[:1]}, {"b", "a", archives[:2]}, {"c", "", archives[2:3]}} {
		_, err := s.Prepare(ctx, made.key, made.parent, made.layers[len(made.layers)-1])
		require.NoError(t, err)
		state := audit.State{Kind: snapshot.Active, Parent: made.parent, Layers: made.layers}
		if made.key == "a" {
			require.NoError(t, s.Commit(ctx, "a"))
			state.Kind = snapshot.Committed
		}
		w.want[made.key] = audit.Expectation{Before: state, After: state}
	}
	require.NoError(t, s.Close())
	return w
}

func newCareful(t *testing.T) *world {
	return newWorld(t, func(dir string) (snapshot.Snapshotter, error) {
		return careful.Open(context.Background(), dir, &step.Points{}, func(b store.Backing) store.Backing { return b })
	})
}

func newNaive(t *testing.T) *world {
	return newWorld(t, func(dir string) (snapshot.Snapshotter, error) {
		return naive.Open(dir, &step.Points{}, func(v naive.Volumes) naive.Volumes { return v })
	})
}

func (w *world) requireFindings(t *testing.T, p audit.Picture, want map[audit.Kind][]string) {
	findings, err := audit.Compare(p, w.want, audit.NewOracle())
	require.NoError(t, err)
	got := map[audit.Kind][]string{}
	for _, f := range findings {
		got[f.Kind] = append(got[f.Kind], f.Subject)
		require.Contains(t, f.String(), f.Subject)
	}
	require.Equal(t, want, got)
}

// volume returns a path in the directories of a careful world.
func (w *world) volume(path ...string) string {
	return filepath.Join(append([]string{w.dir, careful.VolumesDir}, path...)...)
}

func (w *world) swap(t *testing.T, a, b string) {
	require.NoError(t, os.Rename(a, a+".swap"))
	require.NoError(t, os.Rename(b, a))
	require.NoError(t, os.Rename(a+".swap", b))
}

// devices runs fn on the table of a careful world.
func (w *world) devices(t *testing.T, wrap func(store.Backing) store.Backing, fn func(context.Context, *store.Devices)) {
	ctx := context.Background()
	b, err := backing.OpenDir(w.volume())
	require.NoError(t, err)
	db, err := store.Open(ctx, filepath.Join(w.dir, careful.DevicesDir), store.Options{})
	require.NoError(t, err)
	devices, err := db.OpenDevices(ctx, careful.Table, store.DevicesOptions{Backing: wrap(b)})
	require.NoError(t, err)
	fn(ctx, devices)
	require.NoError(t, db.Close())
	require.NoError(t, b.Close())
}

func plain(b store.Backing) store.Backing { return b }

// busy is a backing that cannot remove anything now.
type busy struct{ store.Backing }

func (busy) Remove(context.Context, store.Device) error { return store.ErrBusy }

// planted is one kind of drift, and what the audit must make of it.
type planted struct {
	name  string
	plant func(t *testing.T, w *world)
	want  map[audit.Kind][]string
}

const a, b, c = "00000001", "00000002", "00000003" // directories of the snapshots

var plantedInSnapshots = []planted{
	{"nothing", func(*testing.T, *world) {}, map[audit.Kind][]string{}},
	{"directory gone", func(t *testing.T, w *world) {
		require.NoError(t, os.RemoveAll(w.volume("devices", c)))
	}, map[audit.Kind][]string{audit.Lost: {"c"}}},
	{"content changed", func(t *testing.T, w *world) {
		require.NoError(t, os.WriteFile(w.volume("devices", a, "data", "extra"), nil, 0o600))
	}, map[audit.Kind][]string{audit.Lost: {"a"}}},
	{"file changed", func(t *testing.T, w *world) {
		damage(t, w.volume("devices", b, "data"))
	}, map[audit.Kind][]string{audit.Lost: {"b"}}},
	{"owner's record gone", func(t *testing.T, w *world) {
		ctx := context.Background()
		db, err := store.Open(ctx, filepath.Join(w.dir, careful.OwnerDir), store.Options{})
		require.NoError(t, err)
		require.NoError(t, db.Update(ctx, func(tx *store.Tx) error {
			return tx.Bucket(careful.Bucket).Delete([]byte("c"))
		}))
		require.NoError(t, db.Close())
	}, map[audit.Kind][]string{audit.Lost: {"c"}, audit.Leaked: {"id 3"}}},
	{"removal acknowledged and not done", func(_ *testing.T, w *world) {
		w.want["c"] = audit.Expectation{}
	}, map[audit.Kind][]string{audit.Lost: {"c"}}},
	{"commit acknowledged and not done", func(_ *testing.T, w *world) {
		state := w.want["c"].Before
		state.Kind = snapshot.Committed
		w.want["c"] = audit.Expectation{Before: state, After: state}
	}, map[audit.Kind][]string{audit.Lost: {"c"}}},
	{"claim lost", func(t *testing.T, w *world) {
		w.devices(t, plain, func(ctx context.Context, d *store.Devices) {
			dev, err := d.Get("c")
			require.NoError(t, err)
			require.NoError(t, d.Unclaim(ctx, dev))
		})
	}, map[audit.Kind][]string{audit.Lost: {"c"}}},
}

var plantedElsewhere = []planted{
	{"id leaked", func(t *testing.T, w *world) {
		w.devices(t, plain, func(ctx context.Context, d *store.Devices) {
			_, err := d.Create(ctx, "nobody", store.Spec{})
			require.NoError(t, err)
		})
	}, map[audit.Kind][]string{audit.Leaked: {"id 4"}}},
	{"id faulty", func(t *testing.T, w *world) {
		w.devices(t, plain, func(ctx context.Context, d *store.Devices) {
			dev, err := d.Create(ctx, "nobody", store.Spec{})
			require.NoError(t, err)
			require.NoError(t, d.MarkFaulty(ctx, dev, "planted"))
		})
	}, map[audit.Kind][]string{audit.Leaked: {"id 4"}}},
	{"still removing", func(t *testing.T, w *world) {
		w.devices(t, func(b store.Backing) store.Backing { return busy{b} }, func(ctx context.Context, d *store.Devices) {
			dev, err := d.Create(ctx, "nobody", store.Spec{})
			require.NoError(t, err)
			require.ErrorIs(t, d.Remove(ctx, dev), store.ErrBusy)
		})
	}, map[audit.Kind][]string{audit.Leaked: {"id 4"}}},
	{"orphan", func(t *testing.T, w *world) {
		require.NoError(t, os.CopyFS(w.volume("devices", "00000063"), os.DirFS(w.volume("devices", c))))
	}, map[audit.Kind][]string{audit.Orphan: {"devices/00000063"}}},
	{"half made", func(t *testing.T, w *world) {
		require.NoError(t, os.Mkdir(w.volume("staging", "00000003-x"), 0o700))
		require.NoError(t, os.WriteFile(w.volume("trash", "stray"), nil, 0o600))
	}, map[audit.Kind][]string{audit.Orphan: {"staging/00000003-x", "trash/stray"}}},
	{"content of another", func(t *testing.T, w *world) {
		w.swap(t, w.volume("devices", a, "data"), w.volume("devices", c, "data"))
	}, map[audit.Kind][]string{audit.WrongOwner: {"a", "c"}}},
	{"stamp of another", func(t *testing.T, w *world) {
		w.swap(t, w.volume("devices", b, "stamp"), w.volume("devices", c, "stamp"))
	}, map[audit.Kind][]string{audit.WrongOwner: {"b", "c"}}},
}

// TestPlanted plants one of each kind of drift in a real directory of the careful
// snapshotter, and sees that the audit counts it as what it is, and nothing else.
func TestPlanted(t *testing.T) {
	for _, tt := range slices.Concat(plantedInSnapshots, plantedElsewhere, plantedBeside) {
		t.Run(tt.name, func(t *testing.T) {
			w := newCareful(t)
			tt.plant(t, w)
			p, err := audit.Careful(context.Background(), w.dir)
			require.NoError(t, err)
			w.requireFindings(t, p, tt.want)
		})
	}
}

// TestPlantedNaive is the same for the naive snapshotter.
func TestPlantedNaive(t *testing.T) {
	pool := func(t *testing.T, w *world, fn func(tx *bbolt.Tx) error) {
		db, err := bbolt.Open(filepath.Join(w.dir, naive.PoolFile), 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.Update(fn))
		require.NoError(t, db.Close())
	}
	tests := []planted{
		{"nothing", func(*testing.T, *world) {}, map[audit.Kind][]string{}},
		{"directory gone", func(t *testing.T, w *world) {
			require.NoError(t, os.RemoveAll(w.volume("3")))
		}, map[audit.Kind][]string{audit.Lost: {"c"}}},
		{
			"file changed", func(t *testing.T, w *world) { damage(t, w.volume("2")) },
			map[audit.Kind][]string{audit.Lost: {"b"}},
		},
		{"record gone", func(t *testing.T, w *world) {
			pool(t, w, func(tx *bbolt.Tx) error { return tx.Bucket(naive.DevicesBucket).Delete([]byte("c")) })
		}, map[audit.Kind][]string{audit.Lost: {"c"}, audit.Leaked: {"id 3"}}},
		{"id leaked", func(t *testing.T, w *world) {
			pool(t, w, func(tx *bbolt.Tx) error { return tx.Bucket(naive.IDsBucket).Put([]byte("9"), []byte{1}) })
		}, map[audit.Kind][]string{audit.Leaked: {"id 9"}}},
		{
			"orphan", func(t *testing.T, w *world) { require.NoError(t, os.Mkdir(w.volume("99"), 0o700)) },
			map[audit.Kind][]string{audit.Orphan: {"99"}},
		},
		{
			"orphan like another", func(t *testing.T, w *world) { w.clone(t, w.volume("3"), w.volume("03")) },
			map[audit.Kind][]string{audit.Orphan: {"03"}},
		},
		{
			"content of another", func(t *testing.T, w *world) { w.swap(t, w.volume("1"), w.volume("3")) },
			map[audit.Kind][]string{audit.WrongOwner: {"a", "c"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newNaive(t)
			tt.plant(t, w)
			p, err := audit.Naive(w.dir)
			require.NoError(t, err)
			w.requireFindings(t, p, tt.want)
		})
	}
}

// TestInFlight shows that an operation that was cut off may be found done or not
// done, and in no third state.
func TestInFlight(t *testing.T) {
	w := newCareful(t)
	p, err := audit.Careful(context.Background(), w.dir)
	require.NoError(t, err)
	active := w.want["c"].Before
	w.want["c"] = audit.Expectation{Before: active} // being removed
	w.requireFindings(t, p, map[audit.Kind][]string{})
	w.want["c"] = audit.Expectation{After: active} // being prepared
	w.requireFindings(t, p, map[audit.Kind][]string{})
	w.want["d"] = audit.Expectation{After: active} // being prepared, not there yet
	w.requireFindings(t, p, map[audit.Kind][]string{})
	damage(t, w.volume("devices", "00000003", "data"))
	p, err = audit.Careful(context.Background(), w.dir)
	require.NoError(t, err)
	w.requireFindings(t, p, map[audit.Kind][]string{audit.Lost: {"c"}})
}

// damage changes one byte of one file below dir, not of the owner file.
func damage(t *testing.T, dir string) {
	done := false
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || done || !entry.Type().IsRegular() || entry.Name() == layer.OwnerFile {
			return err
		}
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		content[len(content)/2] ^= 1
		done = true
		return os.WriteFile(path, content, 0o600)
	}))
	require.True(t, done)
}
