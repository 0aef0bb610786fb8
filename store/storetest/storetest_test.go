package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
	"github.com/driftlesskv/driftless/store/storetest"
)

var errBroken = errors.New("input/output error")

// worlds numbers the identities of the memory backings.
var worlds atomic.Int64

// memory returns a harness with every capability on a backing.Memory. wrap is put
// around the backing each time it is opened.
func memory(wrap func(*backing.Memory) store.Backing) storetest.Harness {
	m := backing.NewMemory(fmt.Sprintf("memory-%d", worlds.Add(1)))
	// until sets a script and returns what ends it.
	until := func(s backing.Script) func() error {
		m.Script(s)
		return func() error { m.Script(nil); return nil }
	}
	return storetest.Harness{
		Open:  func() (store.Backing, error) { return wrap(m), nil },
		Write: func(id store.DeviceID, content string) error { return m.Write(id, []byte(content)) },
		Read: func(id store.DeviceID) (string, error) {
			content, err := m.Read(id)
			return string(content), err
		},
		Break: func() (func() error, error) {
			return until(func(context.Context, backing.Call) backing.Verdict {
				return backing.Verdict{Effect: backing.Nothing, Err: errBroken}
			}), nil
		},
		Interrupt: func(ctx context.Context, dev store.Device) error {
			defer m.Script(nil)
			m.Script(func(context.Context, backing.Call) backing.Verdict {
				return backing.Verdict{Effect: backing.Half}
			})
			if _, err := m.Create(ctx, dev); !errors.Is(err, backing.ErrScripted) {
				return fmt.Errorf("half a create returns %w", err)
			}
			return nil
		},
		Busy: func(store.DeviceID) (func() error, error) {
			return until(func(_ context.Context, c backing.Call) backing.Verdict {
				if c.Op == backing.OpRemove {
					return backing.Verdict{Effect: backing.Nothing, Err: store.ErrBusy}
				}
				return backing.Verdict{}
			}), nil
		},
	}
}

func plain(m *backing.Memory) store.Backing { return m }

// Each of these breaks one rule of store.Backing, on top of a sound one.
type (
	absentOnError  struct{ *backing.Memory } // probe: an error means that nothing is there
	unknownIsThere struct{ *backing.Memory } // probe: an error means that something is there
	acceptsForeign struct{ *backing.Memory } // create: whatever holds the id is taken over
	hidesPartial   struct{ *backing.Memory } // list: half-made resources are left out
	removesAny     struct{ *backing.Memory } // remove: the stamp is not compared
	parentsStamp   struct{ *backing.Memory } // a copy shows its parent's stamp
	newIdentity    struct {
		*backing.Memory
		opened int64
	} // the identity is drawn when the process starts
	oneIdentity  struct{ *backing.Memory } // all backings have the same identity
	createsOnce  struct{ *backing.Memory } // a repeated create fails
	newAttrs     struct{ *backing.Memory } // a repeated create returns other attributes
	removesOnce  struct{ *backing.Memory } // removing what is not there fails
	ignoresDone  struct{ *backing.Memory } // the context is not looked at
	swallowsList struct{ *backing.Memory } // list: an error ends it silently
	forgetsList  struct{ *backing.Memory } // list: one resource is left out
	listsOn      struct{ *backing.Memory } // list: goes on after the loop has ended
	emptyCopy    struct{ *backing.Memory } // a copy starts empty
	orphanCopy   struct{ *backing.Memory } // create: a parent that is not there is ignored
	busyIsGone   struct{ *backing.Memory } // remove: busy is taken for success
	partialWhole struct{ *backing.Memory } // probe: half made is good enough
	keepsPartial struct{ *backing.Memory } // remove: half-made resources are passed over
	failsPartial struct{ *backing.Memory } // create: does not complete a half-made resource
)

func (b absentOnError) Probe(ctx context.Context, id store.DeviceID) (store.Presence, store.Stamp, error) {
	presence, stamp, err := b.Memory.Probe(ctx, id)
	if err != nil {
		return store.Absent, store.Stamp{}, nil //nolint:nilerr // the defect
	}
	return presence, stamp, nil
}

func (b unknownIsThere) Probe(ctx context.Context, id store.DeviceID) (store.Presence, store.Stamp, error) {
	presence, stamp, err := b.Memory.Probe(ctx, id)
	if err != nil {
		return store.Present, store.Stamp{}, nil //nolint:nilerr // the defect
	}
	return presence, stamp, nil
}

func (b acceptsForeign) Create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	attrs, err := b.Memory.Create(ctx, dev)
	if errors.Is(err, store.ErrExists) {
		return store.Attrs{"memory": dev.ID.String()}, nil
	}
	return attrs, err
}

// filtered is the listing of m without what drop says.
func filtered(ctx context.Context, m *backing.Memory, drop func(store.Resource, error) bool) iter.Seq2[store.Resource, error] {
	return func(yield func(store.Resource, error) bool) {
		for res, err := range m.List(ctx) {
			if !drop(res, err) && !yield(res, err) {
				return
			}
		}
	}
}

func (b hidesPartial) List(ctx context.Context) iter.Seq2[store.Resource, error] {
	return filtered(ctx, b.Memory, func(res store.Resource, err error) bool {
		return err == nil && res.Presence == store.Partial
	})
}

func (b swallowsList) List(ctx context.Context) iter.Seq2[store.Resource, error] {
	return filtered(ctx, b.Memory, func(_ store.Resource, err error) bool { return err != nil })
}

func (b forgetsList) List(ctx context.Context) iter.Seq2[store.Resource, error] {
	return filtered(ctx, b.Memory, func(res store.Resource, err error) bool { return err == nil && res.ID == 1 })
}

func (b listsOn) List(ctx context.Context) iter.Seq2[store.Resource, error] {
	return func(yield func(store.Resource, error) bool) {
		defer func() { _ = recover() }() // the runtime objects to the second call
		for res, err := range b.Memory.List(ctx) {
			if !yield(res, err) {
				b.Drop(res.ID)
				return
			}
		}
	}
}

func (b removesAny) Remove(ctx context.Context, dev store.Device) error {
	err := b.Memory.Remove(ctx, dev)
	if errors.Is(err, store.ErrStale) {
		b.Drop(dev.ID)
		return nil
	}
	return err
}

func (b parentsStamp) Create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	attrs, err := b.Memory.Create(ctx, dev)
	if err == nil && !dev.Parent.IsZero() {
		b.Plant(store.Resource{ID: dev.ID, Stamp: dev.Parent.Stamp, Presence: store.Present})
	}
	return attrs, err
}

func (b newIdentity) Identity(context.Context) (string, error) {
	return fmt.Sprintf("process-%d", b.opened), nil
}

func (oneIdentity) Identity(context.Context) (string, error) { return "pool", nil }

// has reports whether the id is held.
func has(m *backing.Memory, id store.DeviceID) bool {
	return slices.ContainsFunc(m.Resources(), func(res store.Resource) bool { return res.ID == id })
}

func (b createsOnce) Create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	if has(b.Memory, dev.ID) {
		return nil, store.ErrExists
	}
	return b.Memory.Create(ctx, dev)
}

func (b newAttrs) Create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	attrs, err := b.Memory.Create(ctx, dev)
	if err == nil {
		attrs["call"] = fmt.Sprint(b.Calls())
	}
	return attrs, err
}

func (b removesOnce) Remove(ctx context.Context, dev store.Device) error {
	if !has(b.Memory, dev.ID) {
		return store.ErrNotFound
	}
	return b.Memory.Remove(ctx, dev)
}

func (b ignoresDone) Create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	return b.Memory.Create(context.WithoutCancel(ctx), dev)
}

func (b emptyCopy) Create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	attrs, err := b.Memory.Create(ctx, dev)
	if err == nil && !dev.Parent.IsZero() {
		err = b.Write(dev.ID, nil)
	}
	return attrs, err
}

func (b orphanCopy) Create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	attrs, err := b.Memory.Create(ctx, dev)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrStale) {
		dev.Parent = store.Ref{}
		return b.Memory.Create(ctx, dev)
	}
	return attrs, err
}

func (b busyIsGone) Remove(ctx context.Context, dev store.Device) error {
	err := b.Memory.Remove(ctx, dev)
	if errors.Is(err, store.ErrBusy) {
		return nil
	}
	return err
}

func (b partialWhole) Probe(ctx context.Context, id store.DeviceID) (store.Presence, store.Stamp, error) {
	presence, stamp, err := b.Memory.Probe(ctx, id)
	if presence == store.Partial {
		presence = store.Present
	}
	return presence, stamp, err
}

// isPartial reports whether the id is half made.
func isPartial(m *backing.Memory, id store.DeviceID) bool {
	return slices.ContainsFunc(m.Resources(), func(res store.Resource) bool {
		return res.ID == id && res.Presence == store.Partial
	})
}

func (b keepsPartial) Remove(ctx context.Context, dev store.Device) error {
	if isPartial(b.Memory, dev.ID) {
		return nil
	}
	return b.Memory.Remove(ctx, dev)
}

func (b failsPartial) Create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	if isPartial(b.Memory, dev.ID) {
		return nil, store.ErrExists
	}
	return b.Memory.Create(ctx, dev)
}

func TestSoundBackings(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		storetest.Backing(t, func(testing.TB) storetest.Harness { return memory(plain) })
	})
	unchecked, err := storetest.Verify(t.Context(), func() (storetest.Harness, error) { return memory(plain), nil })
	require.NoError(t, err)
	require.Equal(t, []string{"durable: not checked: only Backing can"}, unchecked)
}

func TestBrokenBackings(t *testing.T) {
	for _, tt := range []struct {
		name  string
		wrap  func(*backing.Memory) store.Backing
		rules string // that must be among the broken ones
	}{
		{"absentOnError", func(m *backing.Memory) store.Backing { return absentOnError{m} }, "broken-medium canceled"},
		{"unknownIsThere", func(m *backing.Memory) store.Backing { return unknownIsThere{m} }, "broken-medium canceled"},
		{"acceptsForeign", func(m *backing.Memory) store.Backing { return acceptsForeign{m} }, "create-foreign-stamp id-reuse half-made-shown"},
		{"hidesPartial", func(m *backing.Memory) store.Backing { return hidesPartial{m} }, "half-made-shown"},
		{"removesAny", func(m *backing.Memory) store.Backing { return removesAny{m} }, "remove-foreign-stamp id-reuse half-made-shown"},
		{"parentsStamp", func(m *backing.Memory) store.Backing { return parentsStamp{m} }, "child-stamp"},
		{"newIdentity", func(m *backing.Memory) store.Backing { return newIdentity{m, worlds.Add(1)} }, "identity-stable"},
		{"oneIdentity", func(m *backing.Memory) store.Backing { return oneIdentity{m} }, "identity-unique"},
		{"createsOnce", func(m *backing.Memory) store.Backing { return createsOnce{m} }, "create-idempotent half-made-completed"},
		{"newAttrs", func(m *backing.Memory) store.Backing { return newAttrs{m} }, "create-idempotent"},
		{"removesOnce", func(m *backing.Memory) store.Backing { return removesOnce{m} }, "remove-absent"},
		{"ignoresDone", func(m *backing.Memory) store.Backing { return ignoresDone{m} }, "canceled"},
		{"swallowsList", func(m *backing.Memory) store.Backing { return swallowsList{m} }, "broken-medium canceled"},
		{"forgetsList", func(m *backing.Memory) store.Backing { return forgetsList{m} }, "roundtrip reopen concurrent"},
		{"listsOn", func(m *backing.Memory) store.Backing { return listsOn{m} }, "list-stops"},
		{"emptyCopy", func(m *backing.Memory) store.Backing { return emptyCopy{m} }, "child-content half-made-completed"},
		{"orphanCopy", func(m *backing.Memory) store.Backing { return orphanCopy{m} }, "child-parent"},
		{"busyIsGone", func(m *backing.Memory) store.Backing { return busyIsGone{m} }, "busy"},
		{"partialWhole", func(m *backing.Memory) store.Backing { return partialWhole{m} }, "half-made-shown"},
		{"keepsPartial", func(m *backing.Memory) store.Backing { return keepsPartial{m} }, "half-made-removed"},
		{"failsPartial", func(m *backing.Memory) store.Backing { return failsPartial{m} }, "half-made-completed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := storetest.Verify(t.Context(), func() (storetest.Harness, error) { return memory(tt.wrap), nil })
			broken := brokenRules(t, err)
			for want := range strings.FieldsSeq(tt.rules) {
				require.Contains(t, broken, want, "%v", err)
			}
			require.Less(t, len(broken), len(storetest.Rules()), "one defect does not break every rule")
		})
	}
}

// brokenRules returns the rules that a result of Verify names.
func brokenRules(t *testing.T, err error) []string {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok, "not a joined error: %v", err)
	var names []string
	for _, err := range joined.Unwrap() {
		var broken *storetest.RuleError
		require.ErrorAs(t, err, &broken)
		require.Contains(t, storetest.Rules(), broken.Rule)
		require.ErrorIs(t, err, broken.Err)
		require.Contains(t, err.Error(), broken.Rule)
		names = append(names, broken.Rule)
	}
	return names
}

// A rule that the harness has no means for is passed over; the others are not.
func TestMissingMeans(t *testing.T) {
	bare := func(wrap func(*backing.Memory) store.Backing) func() (storetest.Harness, error) {
		return func() (storetest.Harness, error) { return storetest.Harness{Open: memory(wrap).Open}, nil }
	}
	unchecked, err := storetest.Verify(t.Context(), bare(plain))
	require.NoError(t, err)
	require.Len(t, unchecked, 7)
	require.Equal(t, "child-content: not checked: the harness has no Write and Read", unchecked[0])
	hiding := bare(func(m *backing.Memory) store.Backing { return hidesPartial{m} })
	_, err = storetest.Verify(t.Context(), hiding)
	require.NoError(t, err, "nothing is ever half made")
	forgetting := bare(func(m *backing.Memory) store.Backing { return forgetsList{m} })
	_, err = storetest.Verify(t.Context(), forgetting)
	require.Contains(t, brokenRules(t, err), "roundtrip")
}

func TestVerifyStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := storetest.Verify(ctx, func() (storetest.Harness, error) {
		t.Error("a harness is made")
		return storetest.Harness{}, nil
	})
	require.ErrorIs(t, err, context.Canceled)
}

// Harnesses that cannot be made or opened, and backings that cannot be closed, are
// reported under every rule that Verify checks.
func TestFailingHarness(t *testing.T) {
	checkable := slices.DeleteFunc(storetest.Rules(), func(name string) bool { return name == "durable" })
	_, err := storetest.Verify(t.Context(), func() (storetest.Harness, error) { return storetest.Harness{}, errBroken })
	require.Equal(t, checkable, brokenRules(t, err))
	require.ErrorIs(t, err, errBroken)

	var closed int
	_, err = storetest.Verify(t.Context(), func() (storetest.Harness, error) {
		return storetest.Harness{
			Open:  func() (store.Backing, error) { return nil, errBroken },
			Close: func() error { closed++; return nil },
		}, nil
	})
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, len(checkable), closed)

	_, err = storetest.Verify(t.Context(), func() (storetest.Harness, error) {
		h := memory(plain)
		h.Close = func() error { return errBroken }
		return h, nil
	})
	require.Equal(t, checkable, brokenRules(t, err))
}
