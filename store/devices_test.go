package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// A pool is a device table over a scripted backing.
type pool struct {
	*store.Devices
	t   testing.TB
	db  *store.DB
	mem *backing.Memory
	dir string
	opt store.DevicesOptions
}

var ctx = context.Background()

// newPool opens a table in a new store. When the test ends the backing must not
// have seen a broken rule, and Check must be content.
func newPool(t testing.TB, opt store.DevicesOptions) *pool {
	t.Helper()
	p := &pool{t: t, mem: backing.NewMemory("pool"), dir: t.TempDir(), opt: opt}
	p.open()
	t.Cleanup(func() {
		check(t, p.db)
		require.NoError(t, p.db.Close())
		require.Empty(t, p.mem.Violations())
	})
	return p
}

func (p *pool) open() {
	p.t.Helper()
	var err error
	p.db, err = store.Open(ctx, p.dir, store.Options{SettleDelay: time.Hour})
	require.NoError(p.t, err)
	p.opt.Backing = p.mem
	p.Devices, err = p.db.OpenDevices(ctx, "pool", p.opt)
	require.NoError(p.t, err)
}

func (p *pool) reopen() {
	p.t.Helper()
	check(p.t, p.db)
	require.NoError(p.t, p.db.Close())
	p.open()
}

func (p *pool) create(name string, spec store.Spec) store.Device {
	p.t.Helper()
	dev, err := p.Create(ctx, name, spec)
	require.NoError(p.t, err)
	return dev
}

func (p *pool) prepare(name string) store.Device {
	p.t.Helper()
	dev, err := p.Prepare(ctx, name, store.Spec{})
	require.NoError(p.t, err)
	return dev
}

// states describes every id that is not free.
func (p *pool) states() (lines []string) {
	p.t.Helper()
	for rec, err := range p.Records() {
		require.NoError(p.t, err)
		line := fmt.Sprintf("%d %v %v %q", rec.ID, rec.State, rec.Phase, rec.Name)
		if rec.Claimed {
			line += " claimed"
		}
		lines = append(lines, line)
	}
	return lines
}

// fail makes the given method fail with err, as often as times says.
func (p *pool) fail(op backing.Op, effect backing.Effect, err error, times int) {
	p.mem.Script(func(_ context.Context, c backing.Call) backing.Verdict {
		if c.Op != op || times == 0 {
			return backing.Verdict{}
		}
		times--
		return backing.Verdict{Effect: effect, Err: err}
	})
}

var errBackend = errors.New("backend error")

func TestDeviceLife(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	spec := store.Spec{Labels: map[string]string{"k": "v"}, Meta: []byte("meta")}
	dev, err := p.Prepare(ctx, "a", spec)
	require.NoError(t, err)
	require.Equal(t, store.DeviceID(1), dev.ID)
	require.False(t, dev.Claimed)
	require.Equal(t, spec.Labels, dev.Labels)
	require.NotEmpty(t, dev.Attrs)
	got, err := p.Get("a")
	require.NoError(t, err)
	require.Equal(t, dev, got, "usable at once, although its settling is lazy")
	dev.Labels["k"] = "changed by its holder"
	got, err = p.Lookup(1)
	require.NoError(t, err)
	require.Equal(t, "v", got.Labels["k"], "a handle is a copy")

	require.NoError(t, p.Claim(ctx, got))
	require.NoError(t, p.Claim(ctx, got), "twice is fine")
	p.reopen()
	got, err = p.Get("a")
	require.NoError(t, err)
	require.True(t, got.Claimed)
	require.Equal(t, spec.Meta, got.Meta)
	require.Equal(t, dev.Attrs, got.Attrs)

	require.NoError(t, p.Unclaim(ctx, got))
	require.NoError(t, p.Remove(ctx, got))
	require.NoError(t, p.Remove(ctx, got), "twice is fine")
	_, err = p.Get("a")
	require.ErrorIs(t, err, store.ErrNotFound)
	require.Empty(t, p.states())
	require.Empty(t, p.mem.Resources())
	require.ErrorIs(t, p.Claim(ctx, got), store.ErrStale)
}

func TestDeviceBadInput(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	for _, name := range []string{"", strings.Repeat("x", 256), "a\x00b", "a/b", "\xff"} {
		_, err := p.Prepare(ctx, name, store.Spec{})
		require.ErrorIs(t, err, store.ErrInvalid, "%q", name)
		_, err = p.Create(ctx, name, store.Spec{})
		require.ErrorIs(t, err, store.ErrInvalid)
		_, err = p.Get(name)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = p.db.OpenDevices(ctx, name, store.DevicesOptions{Backing: p.mem})
		require.ErrorIs(t, err, store.ErrInvalid)
	}
	_, err := p.Prepare(ctx, "a", store.Spec{Parent: "a/b"})
	require.ErrorIs(t, err, store.ErrInvalid)
	_, err = p.Prepare(ctx, "a", store.Spec{Parent: "unknown"})
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = p.Prepare(ctx, "a", store.Spec{Meta: make([]byte, 64<<10)})
	require.ErrorIs(t, err, store.ErrInvalid)
	var op *store.OpError
	require.ErrorAs(t, err, &op)
	require.Equal(t, "prepare", op.Op)
	require.Equal(t, "a", op.Name)
	for _, id := range []store.DeviceID{0, 1, 1<<32 - 1} {
		_, err = p.Lookup(id)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = p.Settle(ctx, id)
		require.ErrorIs(t, err, store.ErrNotFound)
	}
	require.ErrorIs(t, p.Remove(ctx, store.Device{}), store.ErrInvalid)
	require.ErrorIs(t, p.Claim(ctx, store.Device{ID: 9, Stamp: store.Stamp{Incarnation: 1, Sequence: 1}}), store.ErrStale)
	require.Empty(t, p.states(), "nothing was burned")
	require.Empty(t, p.mem.Resources())

	long := strings.Repeat("ü", 127)
	p.create(long, store.Spec{})
	_, err = p.Get(long)
	require.NoError(t, err)
}

func TestOpenDevicesBadInput(t *testing.T) {
	db := open(t, t.TempDir(), store.Options{})
	mem := backing.NewMemory("pool")
	for name, opt := range map[string]store.DevicesOptions{
		"nil backing":       {},
		"first over last":   {Backing: mem, FirstID: 5, LastID: 4},
		"unknown order":     {Backing: mem, Order: 9},
		"negative attempts": {Backing: mem, MaxAttempts: -1},
		"no identity":       {Backing: backing.NewMemory("")},
	} {
		_, err := db.OpenDevices(ctx, "pool", opt)
		require.ErrorIs(t, err, store.ErrInvalid, name)
		_, err = db.Devices("pool")
		require.ErrorIs(t, err, store.ErrNotFound, "a failed open leaves nothing")
	}
	d, err := db.OpenDevices(ctx, "pool", store.DevicesOptions{Backing: mem})
	require.NoError(t, err)
	_, err = db.OpenDevices(ctx, "pool", store.DevicesOptions{Backing: mem})
	require.ErrorIs(t, err, store.ErrExists)
	again, err := db.Devices("pool")
	require.NoError(t, err)
	require.Same(t, d, again)
	_, err = db.Quarantine(ctx)
	require.ErrorIs(t, err, store.ErrInUse)
}

func TestBackingIdentity(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	p.create("a", store.Spec{})
	require.NoError(t, p.db.Close())
	mine := p.mem

	db, err := store.Open(ctx, p.dir, store.Options{})
	require.NoError(t, err)
	_, err = db.OpenDevices(ctx, "pool", store.DevicesOptions{Backing: backing.NewMemory("another pool")})
	require.ErrorIs(t, err, store.ErrIdentity)
	require.NoError(t, db.Close())

	// A backing that is away for now: the table opens, nothing is concluded.
	p.fail(backing.OpIdentity, backing.Nothing, errBackend, -1)
	p.open()
	dev, err := p.Get("a")
	require.NoError(t, err)
	mine.Drop(dev.ID) // as under an empty mount point
	require.ErrorIs(t, p.Remove(ctx, dev), store.ErrPending)
	require.Equal(t, []string{`1 taken present "a" claimed`}, p.states())
	p.mem.Script(nil)
	require.NoError(t, p.Remove(ctx, dev))
	require.Empty(t, p.states())
}

func TestExhausted(t *testing.T) {
	p := newPool(t, store.DevicesOptions{FirstID: 3, LastID: 5})
	var devs []store.Device
	for i := range 3 {
		devs = append(devs, p.create(fmt.Sprint("d", i), store.Spec{}))
		require.Equal(t, store.DeviceID(3+i), devs[i].ID)
	}
	before := p.states()
	_, err := p.Create(ctx, "one too many", store.Spec{})
	require.ErrorIs(t, err, store.ErrExhausted)
	require.Equal(t, before, p.states())
	require.NoError(t, p.Remove(ctx, devs[1]))
	require.Equal(t, store.DeviceID(4), p.create("next", store.Spec{}).ID)
	require.ErrorIs(t, p.Remove(ctx, devs[1]), store.ErrStale, "the id serves another one")
	require.ErrorIs(t, p.Unclaim(ctx, devs[1]), store.ErrStale)
	require.Zero(t, p.mem.Collisions())
}

func TestReuseLast(t *testing.T) {
	p := newPool(t, store.DevicesOptions{LastID: 4, Order: store.ReuseLast})
	var ids []store.DeviceID
	for i := range 6 {
		dev := p.create(fmt.Sprint("d", i), store.Spec{})
		ids = append(ids, dev.ID)
		require.NoError(t, p.Remove(ctx, dev))
	}
	require.Equal(t, []store.DeviceID{1, 2, 3, 4, 1, 2}, ids)
}

func TestCreateIsIdempotent(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	p.create("parent", store.Spec{})
	spec := store.Spec{Parent: "parent", Labels: map[string]string{"k": "v"}, Meta: []byte{1}}
	first := p.create("a", spec)
	require.Equal(t, first, p.create("a", spec))
	for name, other := range map[string]store.Spec{
		"parent": {Labels: spec.Labels, Meta: spec.Meta},
		"labels": {Parent: "parent", Meta: spec.Meta},
		"meta":   {Parent: "parent", Labels: spec.Labels},
	} {
		_, err := p.Create(ctx, "a", other)
		require.ErrorIs(t, err, store.ErrExists, name)
	}
	_, err := p.Prepare(ctx, "a", spec)
	require.ErrorIs(t, err, store.ErrExists, "it is claimed")
	require.Len(t, p.states(), 2)
}

func TestPrepareReplacesUnclaimed(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	first := p.prepare("a")
	second := p.prepare("a")
	require.NotEqual(t, first.ID, second.ID)
	require.ErrorIs(t, p.Claim(ctx, first), store.ErrStale)
	require.NoError(t, p.Claim(ctx, second))
	require.Equal(t, []string{`2 taken present "a" claimed`}, p.states())
	require.Len(t, p.mem.Resources(), 1)

	// The old one is busy: its name is free all the same.
	third := p.prepare("b")
	p.fail(backing.OpRemove, backing.Nothing, store.ErrBusy, 1)
	p.prepare("b")
	require.Contains(t, p.states(), fmt.Sprintf(`%d taken removing "b"`, third.ID))
	outcome, err := p.Settle(ctx, third.ID)
	require.NoError(t, err)
	require.Equal(t, store.Removed, outcome)
}

func TestOperationsOnDifferentNamesRunInParallel(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	const n = 8
	var inside sync.WaitGroup
	inside.Add(n)
	p.mem.Script(func(_ context.Context, c backing.Call) backing.Verdict {
		if c.Op == backing.OpCreate { // returns when all n are in
			inside.Done()
			inside.Wait()
		}
		return backing.Verdict{}
	})
	var crew sync.WaitGroup
	for i := range n {
		crew.Add(1)
		go func() {
			defer crew.Done()
			if _, err := p.Create(ctx, fmt.Sprint("d", i), store.Spec{}); err != nil {
				t.Error(err)
			}
		}()
	}
	crew.Wait()
	require.Len(t, p.states(), n)
}

func TestOperationsOnOneNameTakeTurns(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	var crew sync.WaitGroup
	var mu sync.Mutex
	var made []store.Device
	for range 16 {
		crew.Add(1)
		go func() {
			defer crew.Done()
			dev, err := p.Create(ctx, "a", store.Spec{})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			made = append(made, dev)
		}()
	}
	crew.Wait()
	for _, dev := range made {
		require.Equal(t, made[0], dev, "one made it, the others got it")
	}
	require.Len(t, p.mem.Resources(), 1)
}

func TestListWhileChanging(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	for i := range 5 {
		p.create(fmt.Sprint("d", i), store.Spec{})
	}
	var seen []string
	for dev, err := range p.List() {
		require.NoError(t, err)
		seen = append(seen, dev.Name)
		require.NoError(t, p.Remove(ctx, dev))
		p.create("new "+dev.Name, store.Spec{})
	}
	require.Equal(t, []string{"d0", "d1", "d2", "d3", "d4"}, seen)
	require.False(t, slices.ContainsFunc(p.states(), func(s string) bool { return !strings.Contains(s, "new") }))
}

func TestSeveralTables(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	mem := backing.NewMemory("other pool")
	other, err := p.db.OpenDevices(ctx, "other", store.DevicesOptions{Backing: mem})
	require.NoError(t, err)
	a := p.create("a", store.Spec{})
	b, err := other.Create(ctx, "a", store.Spec{})
	require.NoError(t, err)
	require.Equal(t, a.ID, b.ID, "each table has its own ids")
	require.NotEqual(t, a.Stamp, b.Stamp, "stamps are the store's")
	require.NoError(t, p.Remove(ctx, a))
	_, err = other.Get("a")
	require.NoError(t, err)
	tables, err := p.db.Tables()
	require.NoError(t, err)
	require.Equal(t, []string{"other", "pool"}, tables)
}
