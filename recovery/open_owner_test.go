package recovery_test

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// TestOpenOwnerIsAsked counts whom the owner is asked about: every usable device,
// once, and nothing that was never finished.
func TestOpenOwnerIsAsked(t *testing.T) {
	f := newFixture(t)
	db, devices, _ := f.open()
	f.prepare(devices, "unclaimed")
	f.settled(devices, "claimed")
	require.NoError(t, devices.MarkFaulty(context.Background(), f.create(devices, "faulty")[0], "test"))
	half := f.create(devices, "half made")[0]
	f.mem.Plant(store.Resource{ID: half.ID, Presence: store.Partial, Stamp: half.Stamp})
	f.crash(db)

	var mu sync.Mutex
	var asked []string
	f.opts.Tables[0].Owner = func(_ context.Context, name string) (recovery.Liveness, error) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, name)
		return recovery.Unknown, nil
	}
	f.open()
	require.ElementsMatch(t, []string{"unclaimed", "claimed"}, asked)
}

// TestOpenOwnerOfClaimed gives every answer about a claimed device. None of them
// costs it anything, and only Gone is told of.
func TestOpenOwnerOfClaimed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer recovery.Liveness
		err    error
		want   map[string][]string
	}{
		{"live", recovery.Live, nil, map[string][]string{}},
		{"gone", recovery.Gone, nil, map[string][]string{"disowned": {"a"}}},
		{"unknown", recovery.Unknown, nil, map[string][]string{}},
		{"gone, with an error", recovery.Gone, errBroken, map[string][]string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			db, devices, _ := f.open()
			f.settled(devices, "a")
			require.NoError(t, f.mem.Write(1, []byte("content")))
			f.opts.Tables[0].Owner = func(context.Context, string) (recovery.Liveness, error) {
				return tt.answer, tt.err
			}
			for range 2 { // the second start finds what the first one has kept
				var report *recovery.Report
				db, devices, report = f.reopen(db)
				require.Equal(t, tt.want, kinds(t, report))
				dev, err := devices.Get("a")
				require.NoError(t, err)
				require.True(t, dev.Claimed)
				content, err := f.mem.Read(1)
				require.NoError(t, err)
				require.Equal(t, "content", string(content))
			}
			requireSound(t, db, f.mem)
		})
	}
}

// TestOpenOwnerLeaves has an owner that ends its goroutine, as a failed assertion of
// a test does. Open neither hangs nor goes on as if it had been answered.
func TestOpenOwnerLeaves(t *testing.T) {
	for _, tt := range []struct {
		name  string
		leave func(name string) bool
	}{
		{"always", func(string) bool { return true }},
		{"for the last one", func(name string) bool { return name == "c" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			db, devices, _ := f.open()
			for _, name := range []string{"a", "b", "c"} {
				f.prepare(devices, name)
			}
			require.NoError(t, db.Close())
			f.opts.Tables[0].Owner = func(_ context.Context, name string) (recovery.Liveness, error) {
				if tt.leave(name) {
					runtime.Goexit()
				}
				return recovery.Live, nil
			}
			db, report, err := recovery.Open(context.Background(), f.dir, f.opts)
			require.ErrorContains(t, err, "owner")
			require.Nil(t, db)
			require.Nil(t, report)

			f.opts.Tables[0].Owner = nil
			db, devices, _ = f.open()
			require.Equal(t, []string{"a", "b", "c"}, listed(t, devices))
			requireSound(t, db, f.mem)
		})
	}
}

// TestOpenOwnerGoneBusy has a resource in use whose owner no longer knows it: it is
// on its way out, and goes when it can.
func TestOpenOwnerGoneBusy(t *testing.T) {
	f := newFixture(t)
	db, devices, _ := f.open()
	f.prepare(devices, "a")
	f.crash(db)
	f.owner(map[string]recovery.Liveness{"a": recovery.Gone})
	f.script(backing.OpRemove, busyRemove)
	db, devices, report := f.open()
	require.Equal(t, map[string][]string{"pending": {"a"}}, kinds(t, report))
	require.Equal(t, store.DeviceID(2), f.create(devices, "a")[0].ID, "the name is free at once")
	f.mem.Script(nil)
	f.owner(map[string]recovery.Liveness{"a": recovery.Live})
	db, devices, report = f.reopen(db)
	require.Equal(t, map[string][]string{"removed": {"a"}}, kinds(t, report))
	require.Equal(t, []string{"a"}, listed(t, devices))
	requireSound(t, db, f.mem)
}
