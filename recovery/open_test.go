package recovery_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

var errBroken = errors.New("broken")

// reportTests fill each list of the report in turn, and no other.
var reportTests = []struct {
	name   string
	before func(*fixture, *store.Devices) // then comes a crash,
	after  func(*fixture)                 // and then recovery
	want   map[string][]string
	usable []string
}{
	{
		"nothing to do", func(*fixture, *store.Devices) {}, nil,
		map[string][]string{},
		nil,
	},
	{
		"creations are completed",
		func(f *fixture, d *store.Devices) { f.create(d, "a") }, nil,
		map[string][]string{"completed": {"a"}},
		[]string{"a"},
	},
	{
		"a half-made resource is undone",
		func(f *fixture, d *store.Devices) {
			f.create(d, "a")
			f.mem.Plant(store.Resource{ID: 1, Presence: store.Partial, Stamp: f.mem.Resources()[0].Stamp})
		}, nil,
		map[string][]string{"undone": {"a"}},
		nil,
	},
	{
		"an intent without a resource is undone",
		func(f *fixture, d *store.Devices) { f.create(d, "a"); f.mem.Drop(1) }, nil,
		map[string][]string{"undone": {"a"}},
		nil,
	},
	{
		"removals are finished",
		func(f *fixture, d *store.Devices) {
			dev := f.create(d, "a")[0]
			f.script(backing.OpRemove, busyRemove)
			require.ErrorIs(f.t, d.Remove(context.Background(), dev), store.ErrBusy)
		},
		func(f *fixture) { f.mem.Script(nil) },
		map[string][]string{"removed": {"a"}},
		nil,
	},
	{
		"a live unclaimed device is claimed",
		func(f *fixture, d *store.Devices) { f.prepare(d, "a") },
		func(f *fixture) { f.owner(map[string]recovery.Liveness{"a": recovery.Live}) },
		map[string][]string{"claimed": {"a"}},
		[]string{"a"},
	},
	{
		"a gone unclaimed device is removed",
		func(f *fixture, d *store.Devices) { f.prepare(d, "a") },
		func(f *fixture) { f.owner(map[string]recovery.Liveness{"a": recovery.Gone}) },
		map[string][]string{"removed": {"a"}},
		nil,
	},
	{
		"an owner that cannot tell changes nothing",
		func(f *fixture, d *store.Devices) { f.prepare(d, "a") },
		func(f *fixture) { f.owner(nil) },
		map[string][]string{"unclaimed": {"a"}},
		[]string{"a"},
	},
	{
		"an owner's error changes nothing",
		func(f *fixture, d *store.Devices) { f.prepare(d, "a") },
		func(f *fixture) {
			f.opts.Tables[0].Owner = func(context.Context, string) (recovery.Liveness, error) {
				return recovery.Gone, errBroken
			}
		},
		map[string][]string{"unclaimed": {"a"}},
		[]string{"a"},
	},
	{
		"without an owner unclaimed devices stay",
		func(f *fixture, d *store.Devices) { f.prepare(d, "a") }, nil,
		map[string][]string{"unclaimed": {"a"}},
		[]string{"a"},
	},
	{
		"a claimed device is kept although it is gone",
		func(f *fixture, d *store.Devices) { f.settled(d, "a") },
		func(f *fixture) { f.owner(map[string]recovery.Liveness{"a": recovery.Gone}) },
		map[string][]string{"disowned": {"a"}},
		[]string{"a"},
	},
	{
		"what cannot be probed is pending",
		func(f *fixture, d *store.Devices) { f.create(d, "a") },
		func(f *fixture) { f.script(backing.OpProbe, backing.Verdict{Effect: backing.Nothing}) },
		map[string][]string{"pending": {"a"}},
		nil,
	},
	{
		"what is busy is pending",
		func(f *fixture, d *store.Devices) {
			dev := f.create(d, "a")[0]
			f.script(backing.OpRemove, busyRemove)
			require.ErrorIs(f.t, d.Remove(context.Background(), dev), store.ErrBusy)
		}, nil,
		map[string][]string{"pending": {"a"}},
		nil,
	},
	{
		"marked devices are faulty",
		func(f *fixture, d *store.Devices) {
			require.NoError(f.t, d.MarkFaulty(context.Background(), f.create(d, "a")[0], "bad blocks"))
		}, nil,
		map[string][]string{"faulty": {"a"}},
		nil,
	},
	{
		"a foreign resource is an orphan, and its id faulty",
		func(f *fixture, _ *store.Devices) {
			f.mem.Plant(store.Resource{ID: 3, Presence: store.Present, Name: "other"})
		}, nil,
		map[string][]string{"orphans": {"other"}, "faulty": {"other"}},
		nil,
	},
	{
		"a device whose resource is gone is missing",
		func(f *fixture, d *store.Devices) { f.settled(d, "a"); f.mem.Drop(1) }, nil,
		map[string][]string{"missing": {"a"}},
		[]string{"a"},
	},
	{
		"a table that cannot be listed",
		func(f *fixture, d *store.Devices) { f.settled(d, "a") },
		func(f *fixture) { f.script(backing.OpList, backing.Verdict{Err: errBroken}) },
		map[string][]string{"unlisted": {tableName}},
		[]string{"a"},
	},
}

func TestReport(t *testing.T) {
	for _, tt := range reportTests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			db, devices, report := f.open()
			require.True(t, report.Clean())
			require.Equal(t, "nothing to recover\n", report.String())
			tt.before(f, devices)
			f.crash(db)
			if tt.after != nil {
				tt.after(f)
			}
			db, devices, report = f.open()
			require.Equal(t, tt.want, kinds(t, report))
			require.Equal(t, tt.usable, listed(t, devices))
			for kind := range tt.want {
				require.Contains(t, report.String(), kind+": 1\n")
			}
			requireSound(t, db, f.mem)
		})
	}
}

// prepare makes an unclaimed device, whose record is durable.
func (f *fixture) prepare(devices *store.Devices, name string) {
	f.t.Helper()
	dev, err := devices.Prepare(context.Background(), name, store.Spec{})
	require.NoError(f.t, err)
	// Both are flushed, and so is what was lazy before.
	require.NoError(f.t, devices.Claim(context.Background(), dev))
	require.NoError(f.t, devices.Unclaim(context.Background(), dev))
}

// settled makes a claimed device, whose record is durable.
func (f *fixture) settled(devices *store.Devices, name string) {
	f.t.Helper()
	f.prepare(devices, name)
	dev, err := devices.Get(name)
	require.NoError(f.t, err)
	require.NoError(f.t, devices.Claim(context.Background(), dev))
}

// TestOpenTransientError starts up while the backing cannot answer, as a pool that is
// not there yet: no healthy device may suffer. Keeps (6).
func TestOpenTransientError(t *testing.T) {
	for _, tt := range []struct {
		name    string
		verdict backing.Verdict
	}{
		{"an error", backing.Verdict{Effect: backing.Nothing, Err: errBroken}},
		{"unknown", backing.Verdict{Effect: backing.Nothing}},
		{"an error after the effect", backing.Verdict{Err: errBroken}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := context.Background()
			f := newFixture(t)
			db, devices, _ := f.open()
			f.settled(devices, "settled")
			f.create(devices, "cut off") // its last record is lost
			f.crash(db)

			f.mem.Script(func(context.Context, backing.Call) backing.Verdict { return tt.verdict })
			for range 5 { // more often than MaxAttempts
				db, devices, report := f.open()
				require.Empty(t, report.Faulty, "%v", report)
				require.Equal(t, []string{tableName}, kinds(t, report)["unlisted"])
				require.Contains(t, listed(t, devices), "settled")
				requireSound(t, db, f.mem)
				require.NoError(t, db.Close())
			}
			f.mem.Script(nil)
			db, devices, report := f.open()
			require.True(t, report.Clean(), "%v", report)
			require.Equal(t, []string{"cut off", "settled"}, listed(t, devices))
			dev, err := devices.Get("cut off")
			require.NoError(t, err)
			require.NoError(t, devices.Remove(ctx, dev))
			requireSound(t, db, f.mem)
		})
	}
}

// TestOpenGivesUp lets one removal fail at each start: after MaxAttempts its id is
// faulty, and neither start-up nor the other devices ever wait for it. Keeps (7).
func TestOpenGivesUp(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	f.opts.Tables[0].MaxAttempts = 3
	db, devices, _ := f.open()
	f.settled(devices, "good")
	bad := f.create(devices, "bad")[0]
	f.script(backing.OpRemove, backing.Verdict{Effect: backing.Nothing, Err: errBroken})
	require.ErrorIs(t, devices.Remove(ctx, bad), errBroken)
	for attempt := 2; ; attempt++ {
		var report *recovery.Report
		db, devices, report = f.reopen(db)
		require.Equal(t, []string{"good"}, listed(t, devices))
		if attempt < 3 {
			require.Equal(t, map[string][]string{"pending": {"bad"}}, kinds(t, report))
			continue
		}
		require.Equal(t, map[string][]string{"faulty": {"bad"}}, kinds(t, report))
		require.Contains(t, report.Faulty[0].Reason, errBroken.Error())
		break
	}
	for rec, err := range devices.Faulty() {
		require.NoError(t, err)
		require.Equal(t, 3, rec.Attempts)
		require.Len(t, rec.History, 3)
	}
	// The name is free, the id is not.
	again := f.create(devices, "bad")[0]
	require.NotEqual(t, bad.ID, again.ID)
	// And there is a way out.
	f.mem.Script(nil)
	report, err := recovery.Scrub(ctx, devices)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"released": {"bad"}}, kinds(t, report))
	require.Equal(t, bad.ID, f.create(devices, "new")[0].ID)
	requireSound(t, db, f.mem)
}
