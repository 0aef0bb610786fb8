package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// increment adds one to a counter within tx.
func increment(tx *store.Tx, key string) error {
	b := tx.Bucket("counters")
	value, err := b.Get([]byte(key))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	n, _ := strconv.Atoi(string(value)) // absent: 0
	return b.Put([]byte(key), []byte(strconv.Itoa(n+1)))
}

func TestGroupKeepsNeighboursApart(t *testing.T) {
	db := open(t, t.TempDir(), store.Options{})
	failure := errors.New("of one function")
	var runs, good atomic.Int64
	var crew sync.WaitGroup
	for i := range 64 {
		crew.Add(1)
		go func() {
			defer crew.Done()
			defer func() { _ = recover() }() // of the functions that panic
			err := db.Update(context.Background(), func(tx *store.Tx) error {
				runs.Add(1)
				if err := increment(tx, "n"); err != nil {
					return err
				}
				switch i % 4 {
				case 1:
					return failure
				case 2:
					panic("in one function")
				case 3:
					runtime.Goexit()
				}
				return nil
			})
			if i%4 == 1 && !errors.Is(err, failure) {
				t.Errorf("got %v, want the function's own error", err)
			}
			if err == nil {
				good.Add(1)
			}
		}()
	}
	crew.Wait()
	require.Equal(t, int64(64), runs.Load(), "every function ran exactly once")
	require.Equal(t, int64(16), good.Load())
	value, err := get(t, db, "counters", "n")
	require.NoError(t, err)
	require.Equal(t, "16", value, "only the good functions left something")
}

func TestConcurrentUpdatesAreSerial(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(context.Background(), dir, store.Options{})
	require.NoError(t, err)
	const writers, each = 16, 25
	var crew sync.WaitGroup
	for w := range writers {
		crew.Add(1)
		go func() {
			defer crew.Done()
			for range each {
				err := db.Update(context.Background(), func(tx *store.Tx) error {
					return errors.Join(increment(tx, "all"), increment(tx, fmt.Sprint("w", w)))
				})
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	crew.Wait()
	stats := db.Stats()
	require.EqualValues(t, writers*each, stats.Transactions)
	require.Less(t, stats.Commits, stats.Transactions, "no two transactions ever shared a commit")
	require.NoError(t, db.Close())

	db = open(t, dir, store.Options{})
	value, err := get(t, db, "counters", "all")
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(writers*each), value)
	for w := range writers {
		value, err := get(t, db, "counters", fmt.Sprint("w", w))
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(each), value)
	}
}

func TestViewsShowDurableStateOnly(t *testing.T) {
	db := open(t, t.TempDir(), store.Options{})
	stop := make(chan struct{})
	var crew sync.WaitGroup
	defer crew.Wait()
	defer close(stop)
	for range 2 {
		crew.Add(1)
		go func() {
			defer crew.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := db.View(func(tx *store.Tx) error {
					value, err := tx.Bucket("counters").Get([]byte("n"))
					if err != nil {
						return nil //nolint:nilerr // not there yet
					}
					if n, _ := strconv.ParseInt(string(value), 10, 64); n > db.Stats().Commits {
						return fmt.Errorf("value %d is visible after %d commits", n, db.Stats().Commits)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for range 300 {
		require.NoError(t, db.Update(context.Background(), func(tx *store.Tx) error { return increment(tx, "n") }))
	}
}

func TestSnapshotIsolation(t *testing.T) {
	db := open(t, t.TempDir(), store.Options{})
	put(t, db, "b", "k", "old")
	require.NoError(t, db.View(func(tx *store.Tx) error {
		put(t, db, "b", "k", "new") // a writer does not wait for a reader
		put(t, db, "b", "l", "new")
		value, err := tx.Bucket("b").Get([]byte("k"))
		require.NoError(t, err)
		require.Equal(t, "old", string(value))
		for e, err := range tx.Bucket("b").Range(nil, nil) {
			require.NoError(t, err)
			require.Equal(t, "k", string(e.Key))
		}
		return nil
	}))
}

func TestViewsDoNotStopAGrowingFile(t *testing.T) {
	db := open(t, t.TempDir(), store.Options{})
	put(t, db, "b", "k", "v")
	require.NoError(t, db.View(func(*store.Tx) error {
		big := string(make([]byte, 1<<20))
		for i := range 40 { // over the 32 KiB and the 1 MiB that the file had
			put(t, db, "b", fmt.Sprint("big", i), big)
		}
		return db.View(func(*store.Tx) error { return nil })
	}))
}

func TestUpdateContext(t *testing.T) {
	db := open(t, t.TempDir(), store.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := db.Update(ctx, func(*store.Tx) error { return errors.New("must not run") })
	require.ErrorIs(t, err, context.Canceled)

	// One function runs; another waits for its turn and gives up.
	ctx, cancel = context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	require.NoError(t, db.Update(context.Background(), func(*store.Tx) error {
		done := make(chan error)
		go func() { done <- db.Update(ctx, func(*store.Tx) error { return errors.New("must not run") }) }()
		require.ErrorIs(t, <-done, context.DeadlineExceeded)
		return nil
	}))
}

func TestUseAfterClose(t *testing.T) {
	db, err := store.Open(context.Background(), t.TempDir(), store.Options{})
	require.NoError(t, err)
	var tx *store.Tx
	var b *store.Bucket
	var c *store.Cursor
	require.NoError(t, db.Update(context.Background(), func(own *store.Tx) error {
		tx, b = own, own.Bucket("b")
		c = b.Cursor()
		return b.Put([]byte("k"), []byte("v"))
	}))
	_, err = b.Get([]byte("k"))
	require.ErrorIs(t, err, store.ErrClosed, "the transaction has ended")
	require.ErrorIs(t, b.Put([]byte("k"), nil), store.ErrClosed)
	require.ErrorIs(t, b.Delete([]byte("k")), store.ErrClosed)
	require.False(t, c.First())
	require.ErrorIs(t, c.Err(), store.ErrClosed)
	for _, err := range tx.Buckets() {
		require.ErrorIs(t, err, store.ErrClosed)
	}

	require.NoError(t, db.Close())
	require.NoError(t, db.Close(), "twice is fine")
	require.ErrorIs(t, db.View(func(*store.Tx) error { return nil }), store.ErrClosed)
	require.ErrorIs(t, db.Update(context.Background(), func(*store.Tx) error { return nil }), store.ErrClosed)
	_, err = db.Check(context.Background())
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = db.WriteTo(nil)
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = db.Quarantine(context.Background())
	require.ErrorIs(t, err, store.ErrClosed)
	require.EqualValues(t, 1, db.Stats().Commits)
}

func TestCloseWaitsForOperations(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(context.Background(), dir, store.Options{})
	require.NoError(t, err)
	closed := make(chan error, 1)
	require.NoError(t, db.Update(context.Background(), func(tx *store.Tx) error {
		go func() { closed <- db.Close() }()
		time.Sleep(10 * time.Millisecond)
		return tx.Bucket("b").Put([]byte("k"), []byte("v"))
	}))
	require.NoError(t, <-closed)
	db = open(t, dir, store.Options{})
	value, err := get(t, db, "b", "k")
	require.NoError(t, err)
	require.Equal(t, "v", value)
}

// observed counts what an Observer is told.
type observed struct {
	mu       sync.Mutex
	commits  []store.CommitEvent
	backings []store.BackingEvent
}

func (o *observed) Commit(e store.CommitEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.commits = append(o.commits, e)
}

func (o *observed) Backing(e store.BackingEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.backings = append(o.backings, e)
}

func TestObserver(t *testing.T) {
	o := &observed{}
	db := open(t, t.TempDir(), store.Options{Observer: o, SettleDelay: time.Hour})
	put(t, db, "b", "k", "v")
	require.Len(t, o.commits, 1)
	require.Equal(t, 1, o.commits[0].Transactions)
	require.Positive(t, o.commits[0].Bytes)
	require.Positive(t, o.commits[0].Duration)
	d, err := db.OpenDevices(ctx, "pool", store.DevicesOptions{Backing: backing.NewMemory("pool")})
	require.NoError(t, err)
	dev, err := d.Create(ctx, "a", store.Spec{})
	require.NoError(t, err)
	require.NoError(t, d.Remove(ctx, dev))
	var ops []string
	for _, e := range o.backings {
		require.Equal(t, "pool", e.Table)
		require.Equal(t, dev.ID, e.ID)
		ops = append(ops, e.Op)
	}
	require.Equal(t, []string{"create", "probe", "remove"}, ops)
	require.Len(t, o.commits, 4, "table, intent to create, intent to remove with the settling of the first")
}
