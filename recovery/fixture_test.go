package recovery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// A fixture is a store and a backing that outlive the crashes of a test.
type fixture struct {
	t    testing.TB
	dir  string
	mem  *backing.Memory
	opts recovery.Options
}

// tableName is the one device table of a fixture.
const tableName = "pool"

// newFixture returns a fixture whose lazy records stay lazy, on an empty Memory.
func newFixture(t testing.TB) *fixture {
	mem := backing.NewMemory("pool")
	return &fixture{
		t: t, dir: filepath.Join(t.TempDir(), "store"), mem: mem,
		opts: recovery.Options{
			Store: store.Options{SettleDelay: time.Hour},
			Tables: []recovery.Table{{
				Name:           tableName,
				DevicesOptions: store.DevicesOptions{Backing: mem, FirstID: 1, LastID: 8, MaxAttempts: 2},
			}},
		},
	}
}

// open opens the store, which the end of the test closes.
func (f *fixture) open() (*store.DB, *store.Devices, *recovery.Report) {
	f.t.Helper()
	db, report, err := recovery.Open(context.Background(), f.dir, f.opts)
	require.NoError(f.t, err)
	f.t.Cleanup(func() { require.NoError(f.t, db.Close()) })
	devices, err := db.Devices(tableName)
	require.NoError(f.t, err)
	return db, devices, report
}

// reopen closes db in order and opens the store again.
func (f *fixture) reopen(db *store.DB) (*store.DB, *store.Devices, *recovery.Report) {
	f.t.Helper()
	require.NoError(f.t, db.Close())
	return f.open()
}

// crash leaves the store as a kill would now: what is lazy is lost. The caller of
// open goes on with what is left.
func (f *fixture) crash(db *store.DB) {
	f.t.Helper()
	left := filepath.Join(f.t.TempDir(), "left")
	require.NoError(f.t, os.Mkdir(left, 0o700))
	require.NoError(f.t, copySparse(filepath.Join(left, dataFile), filepath.Join(f.dir, dataFile)))
	require.NoError(f.t, os.WriteFile(filepath.Join(left, "LOCK"), []byte("1\n"), 0o600))
	require.NoError(f.t, db.Close())
	f.dir = left
}

// script lets every call of one kind come to this; none for a zero op.
func (f *fixture) script(op backing.Op, v backing.Verdict) {
	f.mem.Script(func(_ context.Context, c backing.Call) backing.Verdict {
		if c.Op == op {
			return v
		}
		return backing.Verdict{}
	})
}

// owner lets the owner give these answers, and Unknown about all other names.
func (f *fixture) owner(answers map[string]recovery.Liveness) {
	f.opts.Tables[0].Owner = func(_ context.Context, name string) (recovery.Liveness, error) {
		return answers[name], nil
	}
}

// create makes claimed devices.
func (f *fixture) create(devices *store.Devices, names ...string) (made []store.Device) {
	f.t.Helper()
	for _, name := range names {
		dev, err := devices.Create(context.Background(), name, store.Spec{})
		require.NoError(f.t, err)
		made = append(made, dev)
	}
	return made
}

// kinds returns the lists of a report that are not empty, by their names in JSON,
// each with what it names: devices by name, else ids, else tables.
func kinds(t testing.TB, report *recovery.Report) map[string][]string {
	t.Helper()
	text, err := json.Marshal(report)
	require.NoError(t, err)
	var raw map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(text, &raw))
	lists := map[string][]string{}
	for kind, list := range raw {
		if kind == "quarantined" {
			require.NoError(t, json.Unmarshal(list, new([]string)))
			lists[kind] = report.Quarantined
			continue
		}
		var findings []recovery.Finding
		require.NoError(t, json.Unmarshal(list, &findings))
		for _, f := range findings {
			require.Equal(t, tableName, f.Table)
			switch {
			case f.Name != "":
				lists[kind] = append(lists[kind], f.Name)
			case f.ID != 0:
				lists[kind] = append(lists[kind], f.ID.String())
			default:
				lists[kind] = append(lists[kind], f.Table)
			}
		}
	}
	return lists
}

// listed returns the names of the usable devices, sorted.
func listed(t testing.TB, devices *store.Devices) (names []string) {
	t.Helper()
	for dev, err := range devices.List() {
		require.NoError(t, err)
		names = append(names, dev.Name)
	}
	slices.Sort(names)
	return names
}

// requireSound fails the test if Check finds anything, or the backing was called
// against its rules.
func requireSound(t testing.TB, db *store.DB, mem *backing.Memory) {
	t.Helper()
	report, err := db.Check(context.Background())
	require.NoError(t, err)
	require.NoError(t, report.Err())
	require.Empty(t, mem.Violations())
}

// flip flips a bit in every occurrence of text in the store's file, which is closed.
func (f *fixture) flip(text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, dataFile)
	data, err := os.ReadFile(path)
	require.NoError(f.t, err)
	damaged := append([]byte(text[:len(text)-1]), text[len(text)-1]^1)
	require.Contains(f.t, string(data), text)
	require.NoError(f.t, os.WriteFile(path, bytes.ReplaceAll(data, []byte(text), damaged), 0o600))
}
