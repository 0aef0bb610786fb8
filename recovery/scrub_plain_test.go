package recovery_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// TestScrubFaulty lays every kind of faulty id side by side: only those that nobody
// can miss are given back, and a second run finds nothing more to give.
func TestScrubFaulty(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	db, devices, _ := f.open()
	made := f.create(devices, "claimed", "absent", "absent, unclaimed", "unclaimed", "foreign", "half gone")
	for _, dev := range made {
		if dev.Name != "claimed" && dev.Name != "absent" {
			require.NoError(t, devices.Unclaim(ctx, dev))
		}
		require.NoError(t, devices.MarkFaulty(ctx, dev, "test"))
	}
	f.mem.Drop(made[1].ID)
	f.mem.Drop(made[2].ID)
	foreign := store.Resource{ID: made[4].ID, Presence: store.Present, Name: "theirs", Stamp: store.Stamp{Incarnation: 9, Sequence: 9}}
	f.mem.Plant(foreign)
	f.mem.Plant(store.Resource{ID: made[5].ID, Presence: store.Partial, Stamp: made[5].Stamp})

	kept := map[string][]string{"faulty": {"claimed", "foreign"}, "orphans": {"theirs"}}
	for _, released := range [][]string{{"absent", "absent, unclaimed", "unclaimed", "half gone"}, nil} {
		report, err := recovery.Scrub(ctx, devices)
		require.NoError(t, err)
		lists := kinds(t, report)
		require.Equal(t, released, lists["released"])
		delete(lists, "released")
		require.Equal(t, kept, lists)
	}
	require.Len(t, f.mem.Resources(), 2)
	require.Contains(t, f.mem.Resources(), foreign)
	for _, want := range []store.DeviceID{2, 3, 4, 6, 7, 8} {
		require.Equal(t, want, f.create(devices, fmt.Sprint("new ", want))[0].ID)
	}
	require.Zero(t, f.mem.Collisions())
	requireSound(t, db, f.mem)
}

// TestScrubFaultyInDoubt meets faulty ids that the backing cannot tell about, or
// cannot let go of, more often than MaxAttempts: they wait. Keeps (6).
func TestScrubFaultyInDoubt(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		name    string
		op      backing.Op
		verdict backing.Verdict
	}{
		{"unknown", backing.OpProbe, backing.Verdict{Effect: backing.Nothing}},
		{"busy", backing.OpRemove, busyRemove},
		{"broken", backing.OpRemove, backing.Verdict{Effect: backing.Nothing, Err: errBroken}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			db, devices, _ := f.open()
			dev := f.create(devices, "a")[0]
			require.NoError(t, devices.Unclaim(ctx, dev))
			require.NoError(t, devices.MarkFaulty(ctx, dev, "test"))
			f.script(tt.op, tt.verdict)
			for range 5 {
				report, err := recovery.Scrub(ctx, devices)
				require.NoError(t, err)
				require.Equal(t, map[string][]string{"pending": {"a"}, "faulty": {"a"}}, kinds(t, report))
			}
			f.mem.Script(nil)
			report, err := recovery.Scrub(ctx, devices)
			require.NoError(t, err)
			require.Equal(t, map[string][]string{"released": {"a"}}, kinds(t, report))
			require.Empty(t, f.mem.Resources())
			requireSound(t, db, f.mem)
		})
	}
}

// TestScrubDamaged follows damaged records from their quarantine to the day on which
// somebody has cleared their resources away.
func TestScrubDamaged(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	db, devices, _ := f.open()
	f.settled(devices, "before")
	for _, name := range []string{"first", "second"} {
		_, err := devices.Create(ctx, name, store.Spec{Meta: []byte("unmistakable " + name)})
		require.NoError(t, err)
	}
	f.settled(devices, "behind")
	require.NoError(t, db.Update(ctx, func(tx *store.Tx) error {
		return tx.Bucket("own").Put([]byte("key"), []byte("unmistakable value"))
	}))
	require.NoError(t, db.Close())
	for _, text := range []string{"unmistakable first", "unmistakable second", "unmistakable value"} {
		f.flip(text)
	}

	db, devices, report := f.open()
	require.Len(t, report.Quarantined, 3, "the program's own value is one of them")
	require.Equal(t, []string{"first", "second"}, kinds(t, report)["faulty"])
	require.Equal(t, []string{"before", "behind"}, listed(t, devices))
	require.Len(t, f.mem.Resources(), 4, "no resource suffers from a record")
	before, err := devices.Get("before")
	require.NoError(t, err)
	require.NoError(t, devices.Remove(ctx, before))
	for _, want := range []store.DeviceID{1, 5, 6, 7, 8} {
		require.Equal(t, want, f.create(devices, fmt.Sprint("new ", want))[0].ID)
	}
	_, err = devices.Create(ctx, "one too many", store.Spec{})
	require.ErrorIs(t, err, store.ErrExhausted)
	require.Zero(t, f.mem.Collisions())

	f.mem.Drop(2)
	report, err = recovery.Scrub(ctx, devices)
	require.NoError(t, err)
	lists := kinds(t, report)
	require.Equal(t, []string{"first"}, lists["released"])
	require.Equal(t, []string{"second"}, lists["faulty"])
	require.Equal(t, store.DeviceID(2), f.create(devices, "first")[0].ID)
	requireSound(t, db, f.mem)
}

// TestScrubCancelled ends the context while a scrub waits for the backing. What was
// done is told, and the next scrub does the rest.
func TestScrubCancelled(t *testing.T) {
	f := newFixture(t)
	db, devices, _ := f.open()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	made := f.create(devices, "busy", "faulty")
	require.NoError(t, devices.Unclaim(ctx, made[1]))
	require.NoError(t, devices.MarkFaulty(ctx, made[1], "test"))
	f.script(backing.OpRemove, busyRemove)
	require.ErrorIs(t, devices.Remove(ctx, made[0]), store.ErrBusy)
	f.mem.Script(func(_ context.Context, c backing.Call) backing.Verdict {
		if c.Op == backing.OpRemove && c.ID == made[1].ID {
			cancel()
			return backing.Verdict{Effect: backing.Nothing, Delay: backing.Forever}
		}
		return backing.Verdict{}
	})
	report, err := recovery.Scrub(ctx, devices)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, tableName)
	require.Equal(t, map[string][]string{"removed": {"busy"}}, kinds(t, report))

	f.mem.Script(nil)
	report, err = recovery.Scrub(context.Background(), devices)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"released": {"faulty"}}, kinds(t, report))
	require.Empty(t, f.mem.Resources())
	requireSound(t, db, f.mem)
}

// TestScrubBesideOperations scrubs while others create and remove: it never takes
// what is on its way for what was left behind.
func TestScrubBesideOperations(t *testing.T) {
	const workers, rounds = 8, 12
	ctx := context.Background()
	f := newFixture(t)
	f.opts.Tables[0].LastID = 64
	db, devices, _ := f.open()
	f.settled(devices, "bystander")

	done := make(chan struct{})
	failed := make(chan error, workers)
	var crew sync.WaitGroup
	for worker := range workers {
		crew.Add(1)
		go func() {
			defer crew.Done()
			for round := range rounds {
				name := fmt.Sprintf("device %d", worker)
				dev, err := devices.Create(ctx, name, store.Spec{Labels: map[string]string{"round": fmt.Sprint(round)}})
				if err == nil {
					err = devices.Remove(ctx, dev)
				}
				if err != nil {
					failed <- fmt.Errorf("%s, round %d: %w", name, round, err)
					return
				}
			}
		}()
	}
	go func() {
		defer close(done)
		crew.Wait()
	}()
	for scrubs := 0; ; scrubs++ {
		report, err := recovery.Scrub(ctx, devices)
		require.NoError(t, err)
		// A removal that is on its way may be Scrub's to finish, and nothing else.
		require.True(t, report.Clean(), "%v", report)
		require.Empty(t, report.Undone)
		require.Empty(t, report.Released)
		select {
		case <-done:
			t.Logf("%d scrubs", scrubs+1)
			close(failed)
			for err := range failed {
				require.NoError(t, err)
			}
			require.Equal(t, []string{"bystander"}, listed(t, devices))
			require.Len(t, f.mem.Resources(), 1)
			require.Zero(t, f.mem.Collisions())
			requireSound(t, db, f.mem)
			return
		default:
		}
	}
}
