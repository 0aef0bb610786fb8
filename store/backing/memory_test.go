package backing_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

var errScript = errors.New("out of order")

var scriptCases = []struct {
	name           string
	verdict        backing.Verdict
	want           error          // of Create and Remove
	made, unmade   store.Presence // what is left by each of them
	probed         store.Presence // what Probe answers of a present device
	probeErr, list error
}{
	{name: "through", made: store.Present, unmade: store.Absent, probed: store.Present},
	{
		name: "before the effect", verdict: backing.Verdict{Effect: backing.Nothing, Err: errScript},
		want: errScript, made: store.Absent, unmade: store.Present, probeErr: errScript, list: errScript,
	},
	{
		name: "after the effect", verdict: backing.Verdict{Err: errScript},
		want: errScript, made: store.Present, unmade: store.Absent, probeErr: errScript, list: errScript,
	},
	{
		name: "in the middle", verdict: backing.Verdict{Effect: backing.Half, Err: errScript},
		want: errScript, made: store.Partial, unmade: store.Partial, probeErr: errScript, list: errScript,
	},
	{
		name: "without a reason", verdict: backing.Verdict{Effect: backing.Nothing},
		want: backing.ErrScripted, made: store.Absent, unmade: store.Present,
		probed: store.Unknown, list: backing.ErrScripted,
	},
	{
		name: "busy", verdict: backing.Verdict{Effect: backing.Nothing, Err: store.ErrBusy},
		want: store.ErrBusy, made: store.Absent, unmade: store.Present, probeErr: store.ErrBusy, list: store.ErrBusy,
	},
}

// The conformance kit runs on Memory in its own package; here are the scripts.
func TestScripts(t *testing.T) {
	dev := store.Device{ID: 1, Stamp: store.Stamp{Sequence: 1}}
	presence := func(m *backing.Memory) store.Presence {
		for _, res := range m.Resources() {
			return res.Presence
		}
		return store.Absent
	}
	for _, tt := range scriptCases {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			m := backing.NewMemory("pool")
			var calls []backing.Call
			script := func(_ context.Context, c backing.Call) backing.Verdict {
				calls = append(calls, c)
				return tt.verdict
			}
			m.Script(script)
			attrs, err := m.Create(ctx, dev)
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, err == nil, attrs != nil)
			require.Equal(t, tt.made, presence(m))
			m.Plant(store.Resource{ID: 1, Stamp: dev.Stamp, Presence: store.Present})
			got, _, err := m.Probe(ctx, 1)
			require.ErrorIs(t, err, tt.probeErr)
			require.Equal(t, tt.probed, got)
			for _, err = range m.List(ctx) {
			}
			require.ErrorIs(t, err, tt.list)
			_, err = m.Identity(ctx)
			require.ErrorIs(t, err, tt.want)
			require.ErrorIs(t, m.Remove(ctx, dev), tt.want)
			require.Equal(t, tt.unmade, presence(m))
			require.Equal(t, []backing.Call{
				{Op: backing.OpCreate, N: 1, ID: 1, Device: dev},
				{Op: backing.OpProbe, N: 2, ID: 1},
				{Op: backing.OpList, N: 3},
				{Op: backing.OpIdentity, N: 4},
				{Op: backing.OpRemove, N: 5, ID: 1, Device: dev},
			}, calls)
			require.Equal(t, 5, m.Calls())
			require.Empty(t, m.Violations())
		})
	}
}

func TestScriptedDelay(t *testing.T) {
	dev := store.Device{ID: 1, Stamp: store.Stamp{Sequence: 1}}
	m := backing.NewMemory("pool")
	entered := make(chan struct{})
	m.Script(func(context.Context, backing.Call) backing.Verdict {
		close(entered)
		return backing.Verdict{Delay: backing.Forever}
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	_, err := m.Create(ctx, dev)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, m.Resources(), "a call that hangs has no effect")

	m.Script(func(context.Context, backing.Call) backing.Verdict { return backing.Verdict{Delay: time.Millisecond} })
	_, err = m.Create(t.Context(), dev)
	require.NoError(t, err)
	_, err = m.Create(ctx, dev)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, m.Resources(), 1)
}

func TestListHalf(t *testing.T) {
	m := backing.NewMemory("pool")
	for id := range store.DeviceID(4) {
		m.Plant(store.Resource{ID: 4 - id, Presence: store.Present})
	}
	m.Script(func(context.Context, backing.Call) backing.Verdict {
		return backing.Verdict{Effect: backing.Half, Err: errScript}
	})
	var ids []store.DeviceID
	var last error
	for res, err := range m.List(t.Context()) {
		ids, last = append(ids, res.ID), err
	}
	require.Equal(t, []store.DeviceID{1, 2, 0}, ids)
	require.ErrorIs(t, last, errScript)
}

func TestMemoryWatchesItsCaller(t *testing.T) {
	ctx := t.Context()
	one := store.Device{ID: 1, Stamp: store.Stamp{Sequence: 1}}
	m := backing.NewMemory("pool")
	_, err := m.Create(ctx, one)
	require.NoError(t, err)
	require.Empty(t, m.Violations())

	entered, leave := make(chan struct{}), make(chan struct{})
	m.Script(func(_ context.Context, c backing.Call) backing.Verdict {
		if c.Op == backing.OpCreate {
			close(entered)
			<-leave
		}
		return backing.Verdict{}
	})
	done := make(chan error)
	go func() {
		_, err := m.Create(ctx, one)
		done <- err
	}()
	<-entered
	_, _, err = m.Probe(ctx, 2)
	require.NoError(t, err)
	require.Empty(t, m.Violations(), "calls for two ids may overlap")
	_, _, err = m.Probe(ctx, 1)
	require.NoError(t, err)
	close(leave)
	require.NoError(t, <-done)
	m.Script(nil)
	require.Equal(t, []string{"probe of id 1 while its create runs"}, m.Violations())
	_, _, err = m.Probe(ctx, 1)
	require.NoError(t, err)
	require.Len(t, m.Violations(), 1, "the first call is over")

	_, err = m.Create(ctx, store.Device{ID: 2, Stamp: one.Stamp})
	require.NoError(t, err)
	_, err = m.Create(ctx, store.Device{ID: 3})
	require.ErrorIs(t, err, store.ErrInvalid)
	require.ErrorIs(t, m.Remove(ctx, store.Device{Stamp: one.Stamp}), store.ErrInvalid)
	_, _, err = m.Probe(ctx, 0)
	require.ErrorIs(t, err, store.ErrInvalid)
	require.Equal(t, []string{
		"create of id 2 under stamp 0000000000000000-0000000000000001, which id 1 has borne",
		"create of id 3 under stamp 0000000000000000-0000000000000000",
		"remove of id 0 under stamp 0000000000000000-0000000000000001",
		"probe of id 0",
	}, m.Violations()[1:])

	require.Zero(t, m.Collisions())
	_, err = m.Create(ctx, store.Device{ID: 1, Stamp: store.Stamp{Sequence: 9}})
	require.ErrorIs(t, err, store.ErrExists)
	require.Equal(t, 1, m.Collisions())
}

func TestMemoryContent(t *testing.T) {
	m := backing.NewMemory("pool")
	m.Plant(store.Resource{ID: 1, Presence: store.Present, Labels: map[string]string{"k": "v"}})
	m.Resources()[0].Labels["k"] = "changed"
	require.Equal(t, "v", m.Resources()[0].Labels["k"], "a snapshot is the caller's")
	require.NoError(t, m.Write(1, []byte("content")))
	content, err := m.Read(1)
	require.NoError(t, err)
	require.True(t, slices.Equal([]byte("content"), content))
	m.Drop(1)
	require.Empty(t, m.Resources())
	_, err = m.Read(1)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.ErrorIs(t, m.Write(1, nil), store.ErrNotFound)
}

// A clone is what a crash at that moment would leave: nothing done to one shows in
// the other.
func TestMemoryClone(t *testing.T) {
	ctx := t.Context()
	dev := store.Device{ID: 1, Stamp: store.Stamp{Sequence: 1}, Labels: map[string]string{"k": "v"}}
	m := backing.NewMemory("pool")
	_, err := m.Create(ctx, dev)
	require.NoError(t, err)
	require.NoError(t, m.Write(1, []byte("content")))
	m.Script(func(context.Context, backing.Call) backing.Verdict { return backing.Verdict{Err: errScript} })
	c := m.Clone()
	require.Equal(t, m.Resources(), c.Resources())
	content, err := c.Read(1)
	require.NoError(t, err)
	require.Equal(t, "content", string(content))
	identity, err := c.Identity(ctx)
	require.NoError(t, err, "the script stays behind")
	require.Equal(t, "pool", identity)
	require.NoError(t, c.Write(1, []byte("other")))
	require.NoError(t, c.Remove(ctx, dev))
	require.Len(t, m.Resources(), 1)
	content, err = m.Read(1)
	require.NoError(t, err)
	require.Equal(t, "content", string(content))
}
