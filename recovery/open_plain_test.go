package recovery_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// addTable gives the fixture one more table, with a Memory of its own.
func (f *fixture) addTable(name string) *backing.Memory {
	mem := backing.NewMemory(name)
	table := f.opts.Tables[0]
	table.Name, table.Backing, table.Owner = name, mem, nil
	f.opts.Tables = append(f.opts.Tables, table)
	return mem
}

// TestOpenTables gives each table to its own owner and backing, one of which is away.
func TestOpenTables(t *testing.T) {
	f := newFixture(t)
	other := f.addTable("other")
	db, devices, _ := f.open()
	second, err := db.Devices("other")
	require.NoError(t, err)
	for _, d := range []*store.Devices{devices, second} {
		f.prepare(d, "same name")
	}
	f.crash(db)
	f.owner(map[string]recovery.Liveness{"same name": recovery.Live})
	f.opts.Tables[1].Owner = func(context.Context, string) (recovery.Liveness, error) { return recovery.Gone, nil }
	db, _, report := f.open()
	require.Equal(t, []recovery.Finding{{Table: tableName, ID: 1, Name: "same name"}}, report.Claimed)
	require.Equal(t, []recovery.Finding{{Table: "other", ID: 1, Name: "same name"}}, report.Removed)
	require.True(t, report.Clean())

	other.Script(func(context.Context, backing.Call) backing.Verdict {
		return backing.Verdict{Effect: backing.Nothing, Err: errBroken}
	})
	db, devices, report = f.reopen(db)
	require.Len(t, report.Unlisted, 1)
	require.Equal(t, "other", report.Unlisted[0].Table)
	f.create(devices, "the other backing is no matter of this table")
	other.Script(nil)
	requireSound(t, db, other)
}

// cutOff makes devices whose intent is durable and whose resource is whole, and lets
// the backing tell neither.
func (f *fixture) cutOff(devices *store.Devices, names ...string) {
	f.t.Helper()
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
	for _, name := range names {
		_, err := devices.Create(context.Background(), name, store.Spec{})
		require.ErrorIs(f.t, err, store.ErrPending)
	}
	f.mem.Script(nil)
}

// TestOpenGivesUpOnOne fails the steps of two devices for good, amid others: those
// come to rest at the first start, and after MaxAttempts so do these. Keeps (7).
func TestOpenGivesUpOnOne(t *testing.T) {
	f := newFixture(t)
	db, devices, _ := f.open()
	f.cutOff(devices, "whole", "half", "absent", "cannot be undone", "no attributes")
	made := f.mem.Resources()
	for _, i := range []int{1, 3} {
		f.mem.Plant(store.Resource{ID: made[i].ID, Presence: store.Partial, Stamp: made[i].Stamp})
	}
	f.mem.Drop(made[2].ID)
	f.crash(db)
	f.mem.Script(func(_ context.Context, c backing.Call) backing.Verdict {
		if c.Op == backing.OpRemove && c.ID == made[3].ID || c.Op == backing.OpCreate && c.ID == made[4].ID {
			return backing.Verdict{Effect: backing.Nothing, Err: errBroken}
		}
		return backing.Verdict{}
	})
	db, devices, report := f.open()
	require.Equal(t, map[string][]string{
		"completed": {"whole"},
		"undone":    {"half", "absent"},
		"pending":   {"cannot be undone", "no attributes"},
	}, kinds(t, report))
	f.create(devices, "new")
	db, _, report = f.reopen(db)
	require.Equal(t, map[string][]string{
		"completed": {"no attributes"}, // its resource is whole
		"faulty":    {"cannot be undone"},
	}, kinds(t, report))
	require.Contains(t, report.Faulty[0].Reason, errBroken.Error())
	db, devices, report = f.reopen(db)
	require.Equal(t, map[string][]string{"faulty": {"cannot be undone"}}, kinds(t, report))
	require.Equal(t, []string{"new", "no attributes", "whole"}, listed(t, devices))
	require.NotEqual(t, made[3].ID, f.create(devices, "cannot be undone")[0].ID, "the name is free, the id is not")
	require.Zero(t, f.mem.Collisions())
	requireSound(t, db, f.mem)
}

// TestOpenOrphanIDs fills a table to the last id around one resource that is not
// ours: over restarts too, no device ever gets its id. Keeps (3), (5).
func TestOpenOrphanIDs(t *testing.T) {
	for _, presence := range []store.Presence{store.Present, store.Partial, store.Unknown} {
		t.Run(presence.String(), func(t *testing.T) {
			f := newFixture(t)
			foreign := store.Resource{ID: 3, Presence: presence, Name: "theirs", Stamp: store.Stamp{Incarnation: 9, Sequence: 9}}
			f.mem.Plant(foreign)
			db, devices, report := f.open()
			var ids []store.DeviceID
			for i, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
				require.Equal(t, []string{"theirs"}, kinds(t, report)["faulty"])
				ids = append(ids, f.create(devices, name)[0].ID)
				if i > 2 { // the first ones go by what the same start has found
					db, devices, report = f.reopen(db)
				}
			}
			require.Equal(t, []store.DeviceID{1, 2, 4, 5, 6, 7, 8}, ids)
			_, err := devices.Create(context.Background(), "h", store.Spec{})
			require.ErrorIs(t, err, store.ErrExhausted)
			require.Contains(t, f.mem.Resources(), foreign)
			require.Zero(t, f.mem.Collisions())
			requireSound(t, db, f.mem)
		})
	}
}

// TestOpenMissingIsKept tells of a lost resource at every start until somebody
// removes its device.
func TestOpenMissingIsKept(t *testing.T) {
	f := newFixture(t)
	db, devices, _ := f.open()
	f.settled(devices, "a")
	f.settled(devices, "b")
	f.mem.Drop(1)
	for range 3 {
		var report *recovery.Report
		db, devices, report = f.reopen(db)
		require.Equal(t, map[string][]string{"missing": {"a"}}, kinds(t, report))
		require.Equal(t, []string{"a", "b"}, listed(t, devices))
	}
	dev, err := devices.Get("a")
	require.NoError(t, err)
	require.NoError(t, devices.Remove(context.Background(), dev))
	db, devices, report := f.reopen(db)
	require.True(t, report.Clean(), "%v", report)
	require.Equal(t, store.DeviceID(1), f.create(devices, "a")[0].ID)
	requireSound(t, db, f.mem)
}

// TestOpenEmptyMountPoint starts up on what a pool leaves when it is not mounted:
// everything is certainly absent, and nobody says of what. Nothing is forgotten.
// Keeps (6).
func TestOpenEmptyMountPoint(t *testing.T) {
	f := newFixture(t)
	db, devices, _ := f.open()
	f.settled(devices, "settled")
	f.prepare(devices, "unclaimed")
	dev := f.create(devices, "cut off")[0]
	f.crash(db)
	mounted := f.mem.Resources()
	for _, res := range mounted {
		f.mem.Drop(res.ID)
	}
	f.script(backing.OpIdentity, backing.Verdict{Effect: backing.Nothing, Err: errBroken})
	f.owner(map[string]recovery.Liveness{"unclaimed": recovery.Gone})
	db, devices, report := f.open()
	lists := kinds(t, report)
	require.Contains(t, lists["pending"], "cut off")
	require.Equal(t, []string{tableName}, lists["unlisted"])
	for _, concluded := range []string{"completed", "undone", "released", "faulty", "missing", "orphans"} {
		require.Empty(t, lists[concluded], "%v", report)
	}
	_, err := devices.Create(context.Background(), "new", store.Spec{})
	require.ErrorIs(t, err, errBroken)
	require.Empty(t, f.mem.Resources(), "nothing is made below the mount point")

	f.mem.Script(nil)
	for _, res := range mounted {
		f.mem.Plant(res)
	}
	db, devices, report = f.reopen(db)
	require.Contains(t, kinds(t, report)["completed"], "cut off")
	require.True(t, report.Clean(), "%v", report)
	got, err := devices.Get("cut off")
	require.NoError(t, err)
	require.Equal(t, dev.Ref(), got.Ref())
	require.Contains(t, listed(t, devices), "settled")
	requireSound(t, db, f.mem)
}

// TestOpenCancelled ends the context while start-up waits for somebody. The store is
// closed, and the next start finishes the work.
func TestOpenCancelled(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*fixture, context.CancelFunc)
	}{
		{"by the owner", func(f *fixture, cancel context.CancelFunc) {
			f.opts.Tables[0].Owner = func(ctx context.Context, _ string) (recovery.Liveness, error) {
				cancel()
				<-ctx.Done()
				return recovery.Unknown, ctx.Err()
			}
		}},
		{"by an owner that answers all the same", func(f *fixture, cancel context.CancelFunc) {
			f.opts.Tables[0].Owner = func(context.Context, string) (recovery.Liveness, error) {
				cancel()
				return recovery.Gone, nil
			}
		}},
		{"in a probe that hangs", func(f *fixture, cancel context.CancelFunc) { f.hang(backing.OpProbe, cancel) }},
		{"in a creation that hangs", func(f *fixture, cancel context.CancelFunc) { f.hang(backing.OpCreate, cancel) }},
		{"in a list that hangs", func(f *fixture, cancel context.CancelFunc) { f.hang(backing.OpList, cancel) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			db, devices, _ := f.open()
			f.prepare(devices, "unclaimed")
			f.create(devices, "cut off")
			f.crash(db)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			tt.set(f, cancel)
			db, report, err := recovery.Open(ctx, f.dir, f.opts)
			require.ErrorIs(t, err, context.Canceled)
			require.Nil(t, db)
			require.Nil(t, report)

			f.mem.Script(nil)
			f.opts.Tables[0].Owner = nil
			db, devices, report = f.open()
			require.Empty(t, report.Faulty)
			require.True(t, slices.Contains(listed(t, devices), "unclaimed"))
			require.True(t, slices.Contains(listed(t, devices), "cut off"))
			requireSound(t, db, f.mem)
		})
	}
}

// TestOpenReadOnlyDamaged reads a store with a damaged record: it says so, moves
// nothing and asks nobody.
func TestOpenReadOnlyDamaged(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	db, devices, _ := f.open()
	f.settled(devices, "good")
	_, err := devices.Create(ctx, "bad", store.Spec{Meta: []byte("unmistakable")})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	f.flip("unmistakable")
	before, calls := tree(t, f.dir), f.mem.Calls()

	f.opts.Store.ReadOnly = true
	f.opts.Tables[0].Backing = nil
	f.opts.Tables[0].Owner = func(_ context.Context, name string) (recovery.Liveness, error) {
		t.Errorf("the owner was asked about %q", name)
		return recovery.Gone, nil
	}
	for range 2 {
		db, devices, report := f.open()
		require.Len(t, report.Faulty, 1)
		require.Equal(t, store.DeviceID(2), report.Faulty[0].ID)
		require.Contains(t, report.Faulty[0].Reason, "corrupt")
		require.False(t, report.Clean())
		dev, err := devices.Get("good")
		require.NoError(t, err)
		require.Equal(t, store.DeviceID(1), dev.ID)
		require.NoError(t, db.Close())
	}
	require.Equal(t, before, tree(t, f.dir))
	require.Equal(t, calls, f.mem.Calls())
}

// hang lets calls of one kind hang until their context ends, which the first one
// sees to.
func (f *fixture) hang(op backing.Op, cancel context.CancelFunc) {
	f.mem.Script(func(_ context.Context, c backing.Call) backing.Verdict {
		if c.Op != op {
			return backing.Verdict{}
		}
		cancel()
		return backing.Verdict{Effect: backing.Nothing, Delay: backing.Forever}
	})
}
