package store_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

func TestParents(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	parent := p.prepare("parent")
	_, err := p.Create(ctx, "child", store.Spec{Parent: "parent"})
	require.ErrorIs(t, err, store.ErrNotFound, "not claimed")
	require.NoError(t, p.Claim(ctx, parent))
	child := p.create("child", store.Spec{Parent: "parent"})
	require.Equal(t, parent.Ref(), child.Parent)

	require.ErrorIs(t, p.Remove(ctx, parent), store.ErrInUse)
	require.ErrorIs(t, p.Unclaim(ctx, parent), store.ErrInUse)
	p.reopen()
	require.ErrorIs(t, p.Remove(ctx, parent), store.ErrInUse, "children are counted anew")

	p.fail(backing.OpRemove, backing.Nothing, store.ErrBusy, 1)
	require.ErrorIs(t, p.Remove(ctx, child), store.ErrBusy)
	require.ErrorIs(t, p.Remove(ctx, parent), store.ErrInUse, "a nameless child is a child")
	require.NoError(t, p.Remove(ctx, child))
	require.NoError(t, p.Remove(ctx, parent))
	require.Empty(t, p.mem.Resources())
}

func TestClaimTx(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	dev := p.prepare("a")
	own := func(fail error) error {
		return p.db.Update(ctx, func(tx *store.Tx) error {
			if err := tx.Bucket("mine").Put([]byte("a"), []byte("committed")); err != nil {
				return err
			}
			return errors.Join(p.ClaimTx(tx, dev), fail)
		})
	}
	require.ErrorIs(t, own(errBackend), errBackend)
	got, err := p.Get("a")
	require.NoError(t, err)
	require.False(t, got.Claimed, "neither of the two")
	require.NoError(t, own(nil))
	got, err = p.Get("a")
	require.NoError(t, err)
	require.True(t, got.Claimed, "both")
	require.NoError(t, p.db.Update(ctx, func(tx *store.Tx) error {
		return errors.Join(p.UnclaimTx(tx, dev), tx.Bucket("mine").Delete([]byte("a")))
	}))
	require.NoError(t, p.db.View(func(tx *store.Tx) error {
		require.ErrorIs(t, p.ClaimTx(tx, dev), store.ErrReadOnly)
		require.ErrorIs(t, p.ClaimTx(nil, dev), store.ErrInvalid)
		return nil
	}))
	other := open(t, t.TempDir(), store.Options{})
	require.NoError(t, other.Update(ctx, func(tx *store.Tx) error {
		require.ErrorIs(t, p.ClaimTx(tx, dev), store.ErrInvalid)
		return nil
	}))
}

func TestMarkFaulty(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	dev := p.create("a", store.Spec{})
	require.NoError(t, p.MarkFaulty(ctx, dev, "smells of smoke"))
	_, err := p.Get("a")
	require.ErrorIs(t, err, store.ErrNotFound)
	p.create("a", store.Spec{})
	p.reopen()
	var recs []store.Record
	for rec, err := range p.Faulty() {
		require.NoError(t, err)
		recs = append(recs, rec)
	}
	require.Len(t, recs, 1)
	require.Equal(t, "a", recs[0].Name)
	require.Equal(t, "smells of smoke", recs[0].Reason)
	require.Len(t, recs[0].History, 1)

	outcome, err := p.Reclaim(ctx, dev.ID)
	require.NoError(t, err)
	require.Equal(t, store.Settled, outcome, "it is claimed: nothing is destroyed")
	require.NoError(t, p.Unclaim(ctx, recs[0].Device))
	outcome, err = p.Reclaim(ctx, dev.ID)
	require.NoError(t, err)
	require.Equal(t, store.Released, outcome)
	require.Len(t, p.mem.Resources(), 1)
	require.ErrorIs(t, p.MarkFaulty(ctx, dev, "again"), store.ErrStale)
}
