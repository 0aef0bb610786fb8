package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

func TestCancellation(t *testing.T) {
	for _, tt := range []struct {
		name   string
		effect backing.Effect
	}{
		{"nothing done", backing.Nothing}, {"half done", backing.Half}, {"all done", backing.Whole},
	} {
		t.Run("during Backing.Create, "+tt.name, func(t *testing.T) {
			p := newPool(t, store.DevicesOptions{})
			ctx, cancel := context.WithCancel(ctx)
			p.mem.Script(func(_ context.Context, c backing.Call) backing.Verdict {
				if c.Op != backing.OpCreate || ctx.Err() != nil {
					return backing.Verdict{}
				}
				cancel()
				return backing.Verdict{Effect: tt.effect, Err: ctx.Err()}
			})
			_, err := p.Create(ctx, "a", store.Spec{})
			require.ErrorIs(t, err, context.Canceled)
			p.settled("a")
			require.Empty(t, p.states())
			require.Empty(t, p.mem.Resources())
			var dev store.Device
			require.Eventually(t, func() bool { // the settling still has its lock for a moment
				dev, err = p.Create(context.Background(), "a", store.Spec{})
				return !errors.Is(err, store.ErrPending)
			}, 10*time.Second, time.Millisecond)
			require.NoError(t, err)
			require.Equal(t, store.DeviceID(1), dev.ID)
		})
	}
	t.Run("during Backing.Remove", func(t *testing.T) {
		p := newPool(t, store.DevicesOptions{})
		dev := p.create("a", store.Spec{})
		ctx, cancel := context.WithCancel(ctx)
		p.mem.Script(func(_ context.Context, c backing.Call) backing.Verdict {
			if c.Op != backing.OpRemove || ctx.Err() != nil {
				return backing.Verdict{}
			}
			cancel()
			return backing.Verdict{Effect: backing.Half, Err: ctx.Err()}
		})
		require.ErrorIs(t, p.Remove(ctx, dev), context.Canceled)
		_, err := p.Get("a")
		require.ErrorIs(t, err, store.ErrNotFound, "the intent is durable: the name is free")
		require.NoError(t, p.Remove(context.Background(), dev))
		require.Empty(t, p.mem.Resources())
	})
	t.Run("before anything", func(t *testing.T) {
		p := newPool(t, store.DevicesOptions{})
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		_, err := p.Create(ctx, "a", store.Spec{})
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, p.Remove(ctx, store.Device{ID: 1, Stamp: store.Stamp{Sequence: 1}}), context.Canceled)
		require.Empty(t, p.states())
		require.Zero(t, p.mem.Collisions())
	})
}

// settled waits until a name that may be settling in the background is at rest.
func (p *pool) settled(name string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		_, err := p.Get(name)
		return !errors.Is(err, store.ErrPending)
	}, 10*time.Second, time.Millisecond)
}

func TestHangingBackingAnswersPending(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	probing := make(chan struct{})
	p.mem.Script(func(_ context.Context, c backing.Call) backing.Verdict {
		switch c.Op {
		case backing.OpCreate:
			return backing.Verdict{Delay: backing.Forever}
		case backing.OpProbe:
			close(probing)
			return backing.Verdict{Delay: backing.Forever}
		case backing.OpRemove, backing.OpList, backing.OpIdentity:
		}
		return backing.Verdict{}
	})
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err := p.Create(short, "a", store.Spec{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	<-probing // in the background, and it hangs
	_, err = p.Create(ctx, "a", store.Spec{})
	require.ErrorIs(t, err, store.ErrPending, "no caller hangs with it")
	_, err = p.Get("a")
	require.ErrorIs(t, err, store.ErrPending)
	p.mem.Script(nil)
	p.create("b", store.Spec{})
	p.reopen() // Close ends the background work
	p.settle(1, store.Undone)
}
