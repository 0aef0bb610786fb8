package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// crash leaves the store as a kill would, without what was lazy, and opens it again.
func (p *pool) crash() {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, "data.db"))
	require.NoError(p.t, err)
	p.mem.Script(nil)
	require.NoError(p.t, p.db.Close())
	p.dir = p.t.TempDir()
	require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, "data.db"), data, 0o600))
	require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, "LOCK"), []byte("1\n"), 0o600))
	p.open()
}

func (p *pool) settle(id store.DeviceID, want store.Outcome) {
	p.t.Helper()
	outcome, err := p.Settle(ctx, id)
	require.NoError(p.t, err)
	require.Equal(p.t, want, outcome)
}

func TestFailedCreateBurnsNothing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		effect backing.Effect
	}{
		{"before any effect", backing.Nothing},
		{"half made", backing.Half},
		{"made, and then failed", backing.Whole},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(t, store.DevicesOptions{})
			p.fail(backing.OpCreate, tt.effect, errBackend, 1)
			_, err := p.Create(ctx, "a", store.Spec{})
			require.ErrorIs(t, err, errBackend)
			var op *store.OpError
			require.ErrorAs(t, err, &op)
			require.Equal(t, store.OpError{Op: "create", Name: "a", ID: 1, Err: errBackend}, *op)
			_, err = p.Get("a")
			require.ErrorIs(t, err, store.ErrNotFound)
			require.Empty(t, p.states())
			require.Empty(t, p.mem.Resources())
			require.Equal(t, store.DeviceID(1), p.create("a", store.Spec{}).ID)
		})
	}
}

// A read-only pool: every attempt fails, none costs an id.
func TestFailingBackingBurnsNoIDs(t *testing.T) {
	p := newPool(t, store.DevicesOptions{LastID: 3})
	p.fail(backing.OpCreate, backing.Nothing, errBackend, -1)
	for i := range 20 {
		_, err := p.Create(ctx, fmt.Sprint("d", i), store.Spec{})
		require.ErrorIs(t, err, errBackend)
		require.NotErrorIs(t, err, store.ErrExhausted)
	}
	require.Empty(t, p.states())
}

func TestUnknownIsNeverAFault(t *testing.T) {
	p := newPool(t, store.DevicesOptions{MaxAttempts: 2})
	p.mem.Script(func(_ context.Context, c backing.Call) backing.Verdict {
		switch c.Op {
		case backing.OpCreate:
			return backing.Verdict{Effect: backing.Whole, Err: errBackend}
		case backing.OpProbe:
			return backing.Verdict{Effect: backing.Nothing}
		case backing.OpRemove, backing.OpList, backing.OpIdentity:
		}
		return backing.Verdict{}
	})
	_, err := p.Create(ctx, "a", store.Spec{})
	require.ErrorIs(t, err, store.ErrPending)
	require.ErrorIs(t, err, errBackend)
	for range 10 {
		_, err = p.Get("a")
		require.ErrorIs(t, err, store.ErrPending)
		_, err = p.Create(ctx, "a", store.Spec{})
		require.ErrorIs(t, err, store.ErrPending)
		outcome, err := p.Settle(ctx, 1)
		require.Equal(t, store.Pending, outcome)
		require.ErrorIs(t, err, store.ErrPending)
	}
	for rec, err := range p.Records() {
		require.NoError(t, err)
		require.Equal(t, store.Creating, rec.Phase)
		require.Zero(t, rec.Attempts)
	}
	p.mem.Script(nil)
	require.Equal(t, store.DeviceID(1), p.create("a", store.Spec{}).ID, "what was made is kept")
}

func TestRollForward(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	dev := p.create("a", store.Spec{Meta: []byte("m")})
	p.crash()
	require.Equal(t, []string{`1 taken creating "a" claimed`}, p.states(), "the settling was lazy, and is lost")
	_, err := p.Get("a")
	require.ErrorIs(t, err, store.ErrPending)
	p.settle(1, store.Completed)
	p.settle(1, store.Settled)
	got, err := p.Get("a")
	require.NoError(t, err)
	require.Equal(t, dev, got, "attributes included")
	require.NoError(t, p.Remove(ctx, got))
}

func TestOperationsSettleWhatTheyMeet(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	p.prepare("a")
	p.crash()
	dev := p.prepare("a") // replaces the first, which has to be settled before
	require.NoError(t, p.Claim(ctx, dev))
	require.Equal(t, []string{`2 taken present "a" claimed`}, p.states())
	require.Len(t, p.mem.Resources(), 1)
}

func TestSettleTable(t *testing.T) {
	own := store.Resource{ID: 1, Presence: store.Present}
	half := store.Resource{ID: 1, Presence: store.Partial}
	foreign := store.Resource{ID: 1, Presence: store.Present, Stamp: store.Stamp{Incarnation: 9, Sequence: 9}}
	nobodys := store.Resource{ID: 1, Presence: store.Partial}
	for _, tt := range []struct {
		name      string
		removing  bool
		there     *store.Resource // under the record's stamp unless it has one
		unstamped bool
		want      store.Outcome
		states    []string
		left      int // resources
	}{
		{"creating, absent", false, nil, false, store.Undone, nil, 0},
		{"creating, half made", false, &half, false, store.Undone, nil, 0},
		{"creating, half made without a stamp", false, &nobodys, true, store.Undone, nil, 0},
		{"creating, whole", false, &own, false, store.Completed, []string{`1 taken present "a" claimed`}, 1},
		{"creating, foreign", false, &foreign, false, store.GaveUp, []string{`1 faulty creating "a"`}, 1},
		{"removing, absent", true, nil, false, store.Removed, nil, 0},
		{"removing, half removed", true, &half, false, store.Removed, nil, 0},
		{"removing, whole", true, &own, false, store.Removed, nil, 0},
		{"removing, foreign", true, &foreign, false, store.GaveUp, []string{`1 faulty removing "a"`}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(t, store.DevicesOptions{})
			dev := p.create("a", store.Spec{})
			if tt.removing {
				p.fail(backing.OpRemove, backing.Nothing, store.ErrBusy, 1)
				require.ErrorIs(t, p.Remove(ctx, dev), store.ErrBusy)
			}
			p.crash()
			p.mem.Drop(1)
			if tt.there != nil {
				res := *tt.there
				if res.Stamp.IsZero() && !tt.unstamped {
					res.Stamp = dev.Stamp
				}
				p.mem.Plant(res)
			}
			outcome, err := p.Settle(ctx, 1)
			require.Equal(t, tt.want, outcome)
			require.Equal(t, tt.want == store.GaveUp, err != nil)
			require.Equal(t, tt.states, p.states())
			require.Len(t, p.mem.Resources(), tt.left)
			p.crash() // a second cut before the outcome was flushed
			outcome, _ = p.Settle(ctx, 1)
			require.Equal(t, tt.want, outcome, "the same once more")
			require.Equal(t, tt.states, p.states())
			require.NoError(t, p.Remove(ctx, p.create("a", store.Spec{})), "the name works")
		})
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	p := newPool(t, store.DevicesOptions{MaxAttempts: 3})
	dev := p.create("a", store.Spec{})
	p.fail(backing.OpRemove, backing.Nothing, errBackend, -1)
	require.ErrorIs(t, p.Remove(ctx, dev), errBackend)
	p.create("a", store.Spec{}) // the name is free
	p.reopen()
	outcome, err := p.Settle(ctx, dev.ID)
	require.Equal(t, store.Pending, outcome)
	require.ErrorIs(t, err, errBackend)
	outcome, err = p.Settle(ctx, dev.ID)
	require.Equal(t, store.GaveUp, outcome)
	require.ErrorIs(t, err, errBackend)
	outcome, err = p.Settle(ctx, dev.ID)
	require.Equal(t, store.Settled, outcome)
	require.NoError(t, err)
	for rec, err := range p.Faulty() {
		require.NoError(t, err)
		require.Equal(t, "a", rec.Name)
		require.Equal(t, 3, rec.Attempts)
		require.Equal(t, errBackend.Error(), rec.Reason)
		require.Len(t, rec.History, 3)
	}
	p.mem.Script(nil)
	outcome, err = p.Reclaim(ctx, dev.ID)
	require.NoError(t, err)
	require.Equal(t, store.Released, outcome)
	require.Equal(t, []string{`2 taken present "a" claimed`}, p.states())
}

func TestBusyIsNoAttempt(t *testing.T) {
	p := newPool(t, store.DevicesOptions{MaxAttempts: 2})
	dev := p.create("a", store.Spec{})
	p.fail(backing.OpRemove, backing.Nothing, store.ErrBusy, 10)
	for range 10 {
		require.ErrorIs(t, p.Remove(ctx, dev), store.ErrBusy)
	}
	require.Equal(t, []string{`1 taken removing "a"`}, p.states())
	require.NoError(t, p.Remove(ctx, dev))
	require.Empty(t, p.states())
}

func TestForeignResourceIsPassedOver(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	for id := range store.DeviceID(3) {
		p.mem.Plant(store.Resource{ID: id + 1, Presence: store.Present, Stamp: store.Stamp{Incarnation: 9, Sequence: uint64(id) + 1}})
	}
	dev := p.create("a", store.Spec{})
	require.Equal(t, store.DeviceID(4), dev.ID)
	require.Len(t, p.mem.Resources(), 4, "nothing of another owner is touched")
	require.Len(t, p.states(), 4)
	outcome, err := p.Reclaim(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, store.Settled, outcome)
	p.mem.Drop(1)
	outcome, err = p.Reclaim(ctx, 1)
	require.NoError(t, err)
	require.Equal(t, store.Released, outcome)
	require.Equal(t, store.DeviceID(1), p.create("b", store.Spec{}).ID)
}

func TestForeignResourcesAreBounded(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	for id := range store.DeviceID(40) {
		p.mem.Plant(store.Resource{ID: id + 1, Presence: store.Present, Stamp: store.Stamp{Incarnation: 9, Sequence: 1}})
	}
	_, err := p.Create(ctx, "a", store.Spec{})
	require.ErrorIs(t, err, store.ErrExists)
	var op *store.OpError
	require.ErrorAs(t, err, &op)
	require.Equal(t, "create", op.Op)
	_, err = p.Get("a")
	require.ErrorIs(t, err, store.ErrNotFound)
	drift, err := p.Reconcile(ctx)
	require.NoError(t, err)
	require.Len(t, drift.Orphans, 40)
	require.Equal(t, store.DeviceID(41), p.create("a", store.Spec{}).ID)
	require.Len(t, p.mem.Resources(), 41)
}

func TestReconcile(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	a, b := p.create("a", store.Spec{}), p.create("b", store.Spec{})
	p.mem.Drop(a.ID)
	p.mem.Plant(store.Resource{ID: 3, Name: "stray", Presence: store.Partial})
	p.mem.Plant(store.Resource{ID: 1 << 30, Presence: store.Present, Stamp: b.Stamp})
	p.mem.Plant(store.Resource{ID: b.ID, Presence: store.Unknown}) // its stamp cannot be read now
	drift, err := p.Reconcile(ctx)
	require.NoError(t, err)
	require.Equal(t, []store.Device{a}, drift.Missing)
	require.Len(t, drift.Orphans, 2)
	require.Equal(t, []string{`1 taken present "a" claimed`, `2 taken present "b" claimed`, `3 faulty creating "stray"`}, p.states())
	require.Equal(t, store.DeviceID(4), p.create("c", store.Spec{}).ID)
	require.Zero(t, p.mem.Collisions())
	p.mem.Plant(store.Resource{ID: b.ID, Presence: store.Present, Stamp: b.Stamp})

	p.fail(backing.OpList, backing.Half, errBackend, 1)
	_, err = p.Reconcile(ctx)
	require.ErrorIs(t, err, errBackend)
}

// A record whose bytes are damaged keeps its id, and while its key may be what is
// damaged no id is handed out before the backing's list has been looked at.
func TestDamagedRecord(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	p.create("first", store.Spec{})
	p.create("second", store.Spec{})
	p.create("third", store.Spec{Meta: []byte("unmistakable")})
	require.NoError(t, p.db.Close())
	flip(t, p.dir, "unmistakable")
	p.open()
	_, err := p.Get("third")
	require.ErrorIs(t, err, store.ErrCorrupt)
	_, err = p.Get("first")
	require.NoError(t, err, "the rest is readable")
	var damaged int
	for rec, err := range p.Faulty() {
		require.ErrorIs(t, err, store.ErrCorrupt)
		require.Equal(t, store.DeviceID(3), rec.ID)
		damaged++
	}
	require.Equal(t, 1, damaged)
	p.fail(backing.OpList, backing.Nothing, errBackend, 1)
	_, err = p.Create(ctx, "fourth", store.Spec{})
	require.ErrorIs(t, err, errBackend, "nothing is handed out without the list")
	require.Equal(t, store.DeviceID(4), p.create("fourth", store.Spec{}).ID)

	require.NoError(t, p.db.Close())
	p.db, err = store.Open(ctx, p.dir, store.Options{})
	require.NoError(t, err)
	moved, err := p.db.Quarantine(ctx)
	require.NoError(t, err)
	require.Len(t, moved, 1)
	p.Devices, err = p.db.OpenDevices(ctx, "pool", p.opt)
	require.NoError(t, err)
	require.Contains(t, p.states(), `3 faulty present "third"`, "the index still had its name")
	require.Len(t, p.mem.Resources(), 4)
	p.create("third", store.Spec{})
	require.Zero(t, p.mem.Collisions())
}
