package recovery_test

import (
	"context"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// busyRemove is what becomes of a removal that has to wait.
var busyRemove = backing.Verdict{Effect: backing.Nothing, Err: store.ErrBusy}

var scrubTests = []struct {
	name   string
	before func(*fixture, *store.Devices)
	want   map[string][]string
	free   bool // whether id 1 is, afterwards
}{
	{
		"nothing to do",
		func(f *fixture, d *store.Devices) { f.create(d, "a") },
		map[string][]string{},
		false,
	},
	{
		"a removal that was busy",
		func(f *fixture, d *store.Devices) {
			f.script(backing.OpRemove, busyRemove)
			require.ErrorIs(f.t, d.Remove(context.Background(), f.create(d, "a")[0]), store.ErrBusy)
			f.mem.Script(nil)
		},
		map[string][]string{"removed": {"a"}},
		true,
	},
	{
		"a removal that is busy still",
		func(f *fixture, d *store.Devices) {
			f.script(backing.OpRemove, busyRemove)
			require.ErrorIs(f.t, d.Remove(context.Background(), f.create(d, "a")[0]), store.ErrBusy)
		},
		map[string][]string{"pending": {"a"}},
		false,
	},
	{
		"a creation that could not be looked at",
		func(f *fixture, d *store.Devices) {
			f.mem.Script(func(_ context.Context, c backing.Call) backing.Verdict {
				switch c.Op {
				case backing.OpCreate:
					return backing.Verdict{Err: errBroken}
				case backing.OpProbe:
					return backing.Verdict{Effect: backing.Nothing}
				case backing.OpIdentity, backing.OpRemove, backing.OpList:
				}
				return backing.Verdict{}
			})
			_, err := d.Create(context.Background(), "a", store.Spec{})
			require.ErrorIs(f.t, err, store.ErrPending)
			f.mem.Script(nil)
		},
		map[string][]string{"completed": {"a"}},
		false,
	},
	{
		"a faulty id, claimed",
		func(f *fixture, d *store.Devices) {
			require.NoError(f.t, d.MarkFaulty(context.Background(), f.create(d, "a")[0], "test"))
		},
		map[string][]string{"faulty": {"a"}},
		false,
	},
	{
		"a faulty id, unclaimed",
		func(f *fixture, d *store.Devices) {
			dev := f.create(d, "a")[0]
			require.NoError(f.t, d.Unclaim(context.Background(), dev))
			require.NoError(f.t, d.MarkFaulty(context.Background(), dev, "test"))
		},
		map[string][]string{"released": {"a"}},
		true,
	},
	{
		"a faulty id, its resource gone",
		func(f *fixture, d *store.Devices) {
			require.NoError(f.t, d.MarkFaulty(context.Background(), f.create(d, "a")[0], "test"))
			f.mem.Drop(1)
		},
		map[string][]string{"released": {"a"}},
		true,
	},
	{
		"a faulty id with children, its resource gone",
		func(f *fixture, d *store.Devices) {
			dev := f.create(d, "a")[0]
			_, err := d.Create(context.Background(), "child", store.Spec{Parent: "a"})
			require.NoError(f.t, err)
			require.NoError(f.t, d.MarkFaulty(context.Background(), dev, "test"))
			f.mem.Drop(1)
		},
		map[string][]string{"faulty": {"a"}},
		false,
	},
	{
		"an orphan",
		func(f *fixture, _ *store.Devices) {
			f.mem.Plant(store.Resource{ID: 1, Presence: store.Present, Name: "other"})
		},
		map[string][]string{"orphans": {"other"}, "faulty": {"other"}},
		false,
	},
	{
		"an unclaimed device is nobody's business",
		func(f *fixture, d *store.Devices) { f.prepare(d, "a") },
		map[string][]string{"unclaimed": {"a"}},
		false,
	},
}

func TestScrub(t *testing.T) {
	ctx := context.Background()
	for _, tt := range scrubTests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			db, devices, _ := f.open()
			tt.before(f, devices)
			want := maps.Clone(tt.want)
			for range 2 { // the second one finds what the first has left
				report, err := recovery.Scrub(ctx, devices)
				require.NoError(t, err)
				require.Equal(t, want, kinds(t, report))
				for _, done := range []string{"removed", "completed", "released"} {
					delete(want, done)
				}
				requireSound(t, db, f.mem)
			}
			f.mem.Script(nil)
			dev := f.create(devices, "new")[0]
			require.Equal(t, tt.free, dev.ID == 1)
		})
	}
}

// TestScrubOrphan follows an orphan from its discovery to its end. Its id is never
// handed out while it is there. Keeps (3).
func TestScrubOrphan(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	f.opts.Tables[0].LastID = 3
	f.mem.Plant(store.Resource{ID: 2, Presence: store.Present})
	f.mem.Plant(store.Resource{ID: 7, Presence: store.Partial, Name: "beyond the ids"})
	db, devices, report := f.open()
	require.Equal(t, []string{"2", "beyond the ids"}, kinds(t, report)["orphans"])
	f.create(devices, "a", "b")
	_, err := devices.Create(ctx, "c", store.Spec{})
	require.ErrorIs(t, err, store.ErrExhausted)
	require.Zero(t, f.mem.Collisions())

	f.mem.Drop(2)
	report, err = recovery.Scrub(ctx, devices)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"released": {"2"}, "orphans": {"beyond the ids"}}, kinds(t, report))
	require.Equal(t, store.DeviceID(2), f.create(devices, "c")[0].ID)
	requireSound(t, db, f.mem)
}

// TestScrubTables scrubs several tables at once, and none.
func TestScrubTables(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	other := f.opts.Tables[0]
	other.Name, other.Backing = "other", backing.NewMemory("other")
	f.opts.Tables = append(f.opts.Tables, other)
	db, devices, _ := f.open()
	second, err := db.Devices("other")
	require.NoError(t, err)
	for _, d := range []*store.Devices{second, devices} {
		dev, err := d.Create(ctx, "a", store.Spec{})
		require.NoError(t, err)
		require.NoError(t, d.Unclaim(ctx, dev))
		require.NoError(t, d.MarkFaulty(ctx, dev, "test"))
	}
	report, err := recovery.Scrub(ctx)
	require.NoError(t, err)
	require.True(t, report.Clean())
	report, err = recovery.Scrub(ctx, second, devices)
	require.NoError(t, err)
	require.Equal(t, []recovery.Finding{{Table: "other", ID: 1, Name: "a"}, {Table: tableName, ID: 1, Name: "a"}},
		withoutReasons(report.Released))

	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = recovery.Scrub(ended, devices)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, db.Close())
	_, err = recovery.Scrub(ctx, devices)
	require.ErrorIs(t, err, store.ErrClosed)
}

func withoutReasons(list []recovery.Finding) []recovery.Finding {
	for i := range list {
		list[i].Reason = ""
	}
	return list
}
