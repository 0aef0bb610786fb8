package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// within fails the test when f does not return.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		stacks := make([]byte, 1<<16)
		t.Fatalf("hangs:\n%s", stacks[:runtime.Stack(stacks, true)])
	}
}

// Two removals at once, of which the first gives the device up: neither says gone.
func TestRemoveOfGivenUpDevice(t *testing.T) {
	p := newPool(t, store.DevicesOptions{MaxAttempts: 1})
	dev := p.create("a", store.Spec{})
	p.fail(backing.OpRemove, backing.Nothing, errBackend, -1)
	results := make(chan error, 2)
	go func() { results <- p.Remove(ctx, dev) }()
	go func() { results <- p.Remove(ctx, store.Device{ID: dev.ID, Stamp: dev.Stamp}) }() // under another name's lock
	for range 2 {
		require.Error(t, <-results)
	}
	require.Len(t, p.mem.Resources(), 1)
	p.mem.Script(nil)
	require.NoError(t, p.Remove(ctx, dev))
	require.Empty(t, p.mem.Resources())
}

func TestFailureKeepsAcknowledgedDevices(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	dev := p.create("a", store.Spec{}) // its settling is lazy, and will never be durable
	restore := redirect(t, filepath.Join(p.dir, "data.db"), os.DevNull)
	err := p.db.Update(ctx, func(tx *store.Tx) error { return tx.Bucket("b").Put([]byte("k"), nil) })
	require.ErrorIs(t, err, store.ErrFailed)
	got, err := p.Get("a")
	require.NoError(t, err)
	require.Equal(t, dev, got)
	require.Equal(t, []string{`1 taken present "a" claimed`}, p.states())
	restore()
	require.ErrorIs(t, p.db.Close(), store.ErrFailed)
	p.open()
	p.settle(1, store.Completed)
}

func TestCompletionIsBounded(t *testing.T) {
	p := newPool(t, store.DevicesOptions{MaxAttempts: 3})
	dev := p.create("a", store.Spec{})
	p.crash()
	p.fail(backing.OpCreate, backing.Nothing, errBackend, -1)
	for range 2 {
		outcome, err := p.Settle(ctx, dev.ID)
		require.Equal(t, store.Pending, outcome)
		require.ErrorIs(t, err, errBackend)
	}
	p.settle(dev.ID, store.Completed)
	got, err := p.Get("a")
	require.NoError(t, err, "its resource is whole: it is usable, without attributes")
	require.Empty(t, got.Attrs)
}

// interposed runs something between the first and the second resource of a list.
type interposed struct {
	*backing.Memory
	between func()
}

func (b *interposed) List(ctx context.Context) iter.Seq2[store.Resource, error] {
	return func(yield func(store.Resource, error) bool) {
		for res, err := range b.Memory.List(ctx) {
			if f := b.between; f != nil {
				b.between = nil
				f()
			}
			if !yield(res, err) {
				return
			}
		}
	}
}

func TestReusedIDIsNoOrphan(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	old := p.create("a", store.Spec{})
	require.NoError(t, p.db.Close())
	var err error
	p.db, err = store.Open(ctx, p.dir, store.Options{})
	require.NoError(t, err)
	b := &interposed{Memory: p.mem}
	p.Devices, err = p.db.OpenDevices(ctx, "pool", store.DevicesOptions{Backing: b})
	require.NoError(t, err)
	b.between = func() {
		require.NoError(t, p.Remove(ctx, old))
		require.Equal(t, old.ID, p.create("b", store.Spec{}).ID)
	}
	drift, err := p.Reconcile(ctx)
	require.NoError(t, err)
	require.Empty(t, drift.Orphans)
	require.Empty(t, drift.Missing)
}

type panicking struct{}

func (panicking) Commit(store.CommitEvent)   { panic("of an observer") }
func (panicking) Backing(store.BackingEvent) {}

func TestObserverPanicLeavesNoLock(t *testing.T) {
	mem := backing.NewMemory("pool")
	dir := t.TempDir()
	db, err := store.Open(ctx, dir, store.Options{Observer: panicking{}})
	require.NoError(t, err)
	require.Panics(t, func() { _, _ = db.OpenDevices(ctx, "pool", store.DevicesOptions{Backing: mem}) })
	require.NoError(t, db.Close())

	db, err = store.Open(ctx, dir, store.Options{Observer: panicking{}})
	require.NoError(t, err)
	d, err := db.OpenDevices(ctx, "pool", store.DevicesOptions{Backing: mem})
	require.NoError(t, err)
	for range 3 {
		within(t, func() {
			defer func() { _ = recover() }()
			_, _ = d.Create(ctx, "a", store.Spec{})
		})
	}
	within(t, func() {
		defer func() { _ = recover() }()
		_ = db.Close()
	})
}

func TestQueuedOperationGetsPendingAndCloseEndsAll(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	creating := make(chan struct{}, 9)
	p.mem.Script(func(_ context.Context, c backing.Call) backing.Verdict {
		if c.Op == backing.OpCreate || c.Op == backing.OpProbe {
			creating <- struct{}{}
			return backing.Verdict{Delay: backing.Forever}
		}
		return backing.Verdict{}
	})
	cancelled, cancel := context.WithCancel(ctx)
	first, queued := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := p.Create(cancelled, "a", store.Spec{})
		first <- err
	}()
	<-creating
	go func() {
		_, err := p.Create(ctx, "a", store.Spec{})
		queued <- err
	}()
	time.Sleep(10 * time.Millisecond) // it queues; if it comes later it gets the same answer
	cancel()
	require.ErrorIs(t, <-first, context.Canceled)
	within(t, func() { require.ErrorIs(t, <-queued, store.ErrPending) })
	within(t, p.reopen)
}

// The pool is swapped while the table is away: nothing is made or removed there.
func TestForeignPoolIsLeftAlone(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	dev := p.create("a", store.Spec{})
	require.NoError(t, p.db.Close())
	var err error
	p.db, err = store.Open(ctx, p.dir, store.Options{})
	require.NoError(t, err)
	other := backing.NewMemory("other")
	other.Plant(store.Resource{ID: dev.ID, Stamp: dev.Stamp, Presence: store.Partial})
	away := true
	other.Script(func(_ context.Context, c backing.Call) backing.Verdict {
		if c.Op == backing.OpIdentity && away {
			return backing.Verdict{Effect: backing.Nothing, Err: errBackend}
		}
		return backing.Verdict{}
	})
	d, err := p.db.OpenDevices(ctx, "pool", store.DevicesOptions{Backing: other})
	require.NoError(t, err, "it is only away")
	for range 2 {
		_, err = d.Create(ctx, "b", store.Spec{})
		require.ErrorIs(t, err, store.ErrPending)
		require.ErrorIs(t, d.Remove(ctx, dev), store.ErrPending)
		_, err = d.Reconcile(ctx)
		require.Error(t, err)
		away = false // and now it says that it is another one
	}
	require.ErrorIs(t, d.Remove(ctx, dev), store.ErrIdentity)
	require.Len(t, other.Resources(), 1)
	require.NoError(t, p.db.Close())
	p.open()
	require.Equal(t, []string{`1 taken present "a" claimed`}, p.states())
}

// spoil damages a value of the meta bucket of a closed store.
func (p *pool) spoil(key string) {
	p.t.Helper()
	require.NoError(p.t, p.db.Close())
	edit(p.t, p.dir, func(tx *bolt.Tx) error { return tx.Bucket([]byte("m")).Put([]byte(key), []byte("damaged")) })
}

// An older copy of the database is put back, by hand or from WriteTo: what was made
// since is not known to it, and no stamp of that is given again.
func TestRestoredCopyGivesNewStamps(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	base := p.create("base", store.Spec{})
	var backup bytes.Buffer
	_, err := p.db.WriteTo(&backup)
	require.NoError(t, err)
	lost := p.create("lost", store.Spec{})
	require.NoError(t, p.db.Close())
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "data.db"), backup.Bytes(), 0o600))
	p.open()
	fresh := p.create("fresh", store.Spec{})
	require.NotEqual(t, lost.ID, fresh.ID, "the id is in use")
	require.NotEqual(t, lost.Stamp, fresh.Stamp)
	require.ErrorIs(t, p.Claim(ctx, lost), store.ErrStale)
	stamps := map[store.Stamp]bool{}
	for _, res := range p.mem.Resources() {
		require.False(t, stamps[res.Stamp], "two resources bear %v", res.Stamp)
		stamps[res.Stamp] = true
	}
	require.True(t, stamps[base.Stamp] && stamps[lost.Stamp] && stamps[fresh.Stamp])
}

func TestDamagedIdentity(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	dev := p.create("a", store.Spec{})
	p.spoil("identity/pool")
	db, err := store.Open(ctx, p.dir, store.Options{})
	require.NoError(t, err)
	_, err = db.OpenDevices(ctx, "pool", store.DevicesOptions{Backing: p.mem})
	require.ErrorIs(t, err, store.ErrCorrupt)
	moved, err := db.Quarantine(ctx)
	require.NoError(t, err)
	require.Len(t, moved, 1)
	_, err = db.OpenDevices(ctx, "pool", store.DevicesOptions{Backing: backing.NewMemory("any other")})
	require.ErrorIs(t, err, store.ErrIdentity, "it holds nothing of the table")
	require.NoError(t, db.Close())
	p.open()
	got, err := p.Get("a")
	require.NoError(t, err, "the backing was known by what it holds")
	require.Equal(t, dev, got)
}

func TestLostBuckets(t *testing.T) {
	for _, bucket := range []string{"n/pool", "d/pool"} {
		p := newPool(t, store.DevicesOptions{})
		p.create("a", store.Spec{})
		require.NoError(t, p.db.Close())
		edit(t, p.dir, func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte(bucket)) })
		p.open()
		_, err := p.Get("a")
		if bucket == "n/pool" {
			require.NoError(t, err, "the index is made anew")
		} else {
			require.ErrorIs(t, err, store.ErrNotFound)
		}
		require.Equal(t, store.DeviceID(2), p.create("b", store.Spec{}).ID, "id 1 is in use")
		require.Zero(t, p.mem.Collisions())
	}
}

func TestQuarantineSparesWhatWasWrittenAnew(t *testing.T) {
	p := newPool(t, store.DevicesOptions{})
	put(t, p.db, "b", "k", "precious value")
	require.NoError(t, p.db.Close())
	flip(t, p.dir, "precious value")
	db, err := store.Open(ctx, p.dir, store.Options{})
	require.NoError(t, err)
	looked, done := make(chan struct{}), make(chan error, 1)
	require.NoError(t, db.Update(ctx, func(tx *store.Tx) error {
		go func() {
			close(looked)
			_, err := db.Quarantine(ctx) // looks, and then waits for this function
			done <- err
		}()
		<-looked
		time.Sleep(20 * time.Millisecond)
		return tx.Bucket("b").Put([]byte("k"), []byte("written anew"))
	}))
	require.NoError(t, <-done)
	value, err := get(t, db, "b", "k")
	require.NoError(t, err)
	require.Equal(t, "written anew", value)
	require.NoError(t, db.Close())
	p.open()
}

// The medium damages pages of an open store, so that a commit panics within bbolt.
func TestPanickingCommit(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(ctx, dir, store.Options{})
	require.NoError(t, err)
	each := func(change func(*store.Bucket, []byte) error) error {
		return db.Update(ctx, func(tx *store.Tx) (err error) {
			for i := range 500 {
				err = errors.Join(err, change(tx.Bucket("b"), fmt.Appendf(nil, "k%04d", i)))
			}
			return err
		})
	}
	require.NoError(t, each(func(b *store.Bucket, key []byte) error { return b.Put(key, []byte(strings.Repeat("v", 50))) }))
	path := filepath.Join(dir, "data.db")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	for at := 2 * 4096; at+4096 <= len(data); at += 4096 {
		if page := string(data[at : at+4096]); strings.Contains(page, "k0") && !strings.Contains(page, "k0000") && page[8] == 2 {
			_, err := f.WriteAt(make([]byte, 16), int64(at))
			require.NoError(t, err)
		}
	}
	require.NoError(t, f.Close())
	err = db.Update(ctx, func(tx *store.Tx) (err error) {
		for i := range 25 {
			err = errors.Join(err, tx.Bucket("b").Delete(fmt.Appendf(nil, "k%04d", i)))
		}
		return err
	})
	require.ErrorIs(t, err, store.ErrFailed)
	require.ErrorIs(t, err, store.ErrCorrupt)
	within(t, func() { require.ErrorIs(t, db.Close(), store.ErrFailed) })
	_, err = store.Open(ctx, dir, store.Options{})
	require.ErrorIs(t, err, store.ErrCorrupt)
}
