package recovery_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// tree returns every file below dir with its content.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	}))
	return files
}

// TestOpenReadOnly reports on a store as far as reading goes, beside nothing, and
// leaves no trace: no file changes and the backing is not called.
func TestOpenReadOnly(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	db, devices, _ := f.open()
	f.prepare(devices, "unclaimed")
	f.settled(devices, "claimed")
	require.NoError(t, devices.MarkFaulty(ctx, f.create(devices, "bad")[0], "test"))
	f.create(devices, "cut off")
	f.crash(db)
	before, calls := tree(t, f.dir), f.mem.Calls()

	f.opts.Store.ReadOnly = true
	f.opts.Tables[0].Backing = nil
	f.owner(map[string]recovery.Liveness{"unclaimed": recovery.Gone})
	db, devices, report := f.open()
	lists := kinds(t, report)
	require.Equal(t, []string{"unclaimed"}, lists["unclaimed"])
	require.Equal(t, []string{"bad"}, lists["faulty"])
	require.Empty(t, lists["completed"])
	require.Empty(t, lists["removed"])
	require.Equal(t, []string{"claimed", "unclaimed"}, listed(t, devices))
	_, err := devices.Get("cut off")
	require.ErrorIs(t, err, store.ErrPending)
	_, err = devices.Create(ctx, "new", store.Spec{})
	require.ErrorIs(t, err, store.ErrReadOnly)
	_, err = recovery.Scrub(ctx, devices)
	require.ErrorIs(t, err, store.ErrReadOnly)
	requireSound(t, db, f.mem)
	require.NoError(t, db.Close())
	require.Equal(t, before, tree(t, f.dir))
	require.Equal(t, calls, f.mem.Calls())
}

// TestOpenDamagedRecord flips one bit of a device's record. The record is moved
// aside and told of; its id, its resource and all other devices are safe.
func TestOpenDamagedRecord(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	db, devices, _ := f.open()
	f.settled(devices, "before")
	_, err := devices.Create(ctx, "damaged", store.Spec{Labels: map[string]string{"note": "bit to be flipped"}})
	require.NoError(t, err)
	f.settled(devices, "behind")
	require.NoError(t, db.Close())
	f.flip("bit to be flipped")

	db, devices, report := f.open()
	require.Len(t, report.Quarantined, 1)
	require.Contains(t, report.Quarantined[0], "checksum")
	require.False(t, report.Clean())
	require.Contains(t, report.String(), "quarantined: 1\n")
	require.Equal(t, []string{"damaged"}, kinds(t, report)["faulty"])
	require.Len(t, report.Orphans, 1, "no record names its resource any more")
	require.Equal(t, store.DeviceID(2), report.Orphans[0].ID)
	require.Equal(t, []string{"before", "behind"}, listed(t, devices))
	require.Len(t, f.mem.Resources(), 3)
	kept, err := db.Quarantined()
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Contains(t, kept[0].Reason, "damaged", "the stored bytes are kept")

	// The name may be used again, the id may not.
	require.Equal(t, store.DeviceID(4), f.create(devices, "damaged")[0].ID)
	requireSound(t, db, f.mem)
	_, _, report = f.reopen(db)
	require.Empty(t, report.Quarantined, "once is enough")
}

// TestOpenDamagedRecordUnlisted is the same while the backing cannot be listed:
// which ids are free is in doubt, so none is handed out until it can.
func TestOpenDamagedRecordUnlisted(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	db, devices, _ := f.open()
	_, err := devices.Create(ctx, "damaged", store.Spec{Labels: map[string]string{"note": "bit to be flipped"}})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	f.flip("bit to be flipped")
	f.script(backing.OpList, backing.Verdict{Effect: backing.Nothing, Err: errBroken})
	db, devices, report := f.open()
	require.Equal(t, []string{tableName}, kinds(t, report)["unlisted"])
	_, err = devices.Create(ctx, "new", store.Spec{})
	require.ErrorIs(t, err, errBroken)
	f.mem.Script(nil)
	require.Equal(t, store.DeviceID(2), f.create(devices, "new")[0].ID)
	requireSound(t, db, f.mem)
}

// TestOpenDamagedParent quarantines the record of a device that others were cloned
// from.
func TestOpenDamagedParent(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	db, devices, _ := f.open()
	_, err := devices.Create(ctx, "parent", store.Spec{Labels: map[string]string{"note": "bit to be flipped"}})
	require.NoError(t, err)
	child, err := devices.Create(ctx, "child", store.Spec{Parent: "parent"})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	f.flip("bit to be flipped")

	db, devices, report := f.open()
	require.Equal(t, []string{"parent"}, kinds(t, report)["faulty"])
	require.Equal(t, []string{"child"}, listed(t, devices))
	require.NoError(t, devices.Remove(ctx, child))
	f.create(devices, "parent")
	requireSound(t, db, f.mem)
}

// TestOpenBackingAway starts up without the backing: nothing is concluded from what
// cannot be asked, and the same handles work once it is back.
func TestOpenBackingAway(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	db, devices, _ := f.open()
	dev := f.create(devices, "a")[0]
	f.crash(db)
	f.mem.Script(func(context.Context, backing.Call) backing.Verdict {
		return backing.Verdict{Effect: backing.Nothing, Err: errBroken}
	})
	_, devices, report := f.open()
	require.Equal(t, map[string][]string{"pending": {"a"}, "unlisted": {tableName}}, kinds(t, report))
	_, err := devices.Get("a")
	require.ErrorIs(t, err, store.ErrPending)
	_, err = devices.Create(ctx, "b", store.Spec{})
	require.ErrorIs(t, err, errBroken)

	f.mem.Script(nil)
	report, err = recovery.Scrub(ctx, devices)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"completed": {"a"}}, kinds(t, report))
	got, err := devices.Get("a")
	require.NoError(t, err)
	require.Equal(t, dev.Ref(), got.Ref())
	f.create(devices, "b")
}

// TestOpenFails lists what Open cannot go on from. Nothing is held afterwards.
func TestOpenFails(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		set  func(*fixture)
		want error
	}{
		{"another backing", context.Background(), func(f *fixture) { f.opts.Tables[0].Backing = backing.NewMemory("other") }, store.ErrIdentity},
		{"no backing", context.Background(), func(f *fixture) { f.opts.Tables[0].Backing = nil }, store.ErrInvalid},
		{"a table twice", context.Background(), func(f *fixture) { f.opts.Tables = append(f.opts.Tables, f.opts.Tables[0]) }, store.ErrExists},
		{"a name that is none", context.Background(), func(f *fixture) { f.opts.Tables[0].Name = "a/b" }, store.ErrInvalid},
		{"an ended context", ended, func(*fixture) {}, context.Canceled},
		{"no store to read", context.Background(), func(f *fixture) { f.opts.Store.ReadOnly, f.dir = true, f.dir+"-none" }, fs.ErrNotExist},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			db, devices, _ := f.open()
			f.create(devices, "a")
			require.NoError(t, db.Close())
			good := *f
			good.opts.Tables = append([]recovery.Table(nil), f.opts.Tables...)
			tt.set(f)
			db, report, err := recovery.Open(tt.ctx, f.dir, f.opts)
			require.ErrorIs(t, err, tt.want)
			require.Nil(t, db)
			require.Nil(t, report)
			_, devices, report = good.open()
			require.True(t, report.Clean())
			require.Equal(t, []string{"a"}, listed(t, devices))
		})
	}
}

// TestOpenFreshTableWithoutIdentity refuses to bind a new table to a backing that
// cannot say who it is.
func TestOpenFreshTableWithoutIdentity(t *testing.T) {
	f := newFixture(t)
	f.script(backing.OpIdentity, backing.Verdict{Effect: backing.Nothing, Err: errBroken})
	_, _, err := recovery.Open(context.Background(), f.dir, f.opts)
	require.ErrorIs(t, err, errBroken)
	f.mem.Script(nil)
	f.open()
}

// TestReportJSON pins the form that other programs read.
func TestReportJSON(t *testing.T) {
	text, err := json.Marshal(recovery.Report{})
	require.NoError(t, err)
	require.JSONEq(t, `{}`, string(text))
	text, err = json.Marshal(recovery.Report{
		Faulty:      []recovery.Finding{{Table: "pool", ID: 7, Name: "a", Reason: "why"}},
		Unlisted:    []recovery.Finding{{Table: "pool"}},
		Quarantined: []string{"what"},
	})
	require.NoError(t, err)
	require.JSONEq(t, `{
		"faulty": [{"table": "pool", "id": 7, "name": "a", "reason": "why"}],
		"unlisted": [{"table": "pool"}],
		"quarantined": ["what"]
	}`, string(text))
}
