package store

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A DB is an open store. Its methods may be called from any number of goroutines.
type DB struct {
	opts Options
	dir  *os.File // the store's directory, held open
	lock *fileLock
	file *bolt.DB
	data *os.File // under file
	head header

	writer chan struct{} // capacity 1: held while the function of an Update runs
	leader chan struct{} // capacity 1: held while a group is committed

	mu         sync.Mutex
	closed     bool
	failed     error  // sticky, wraps ErrFailed
	pending    *group // sequenced, not yet taken by a leader
	committing *group // taken by a leader
	undo       *layer // hides committing, or the commit that failed, from Views
	wedged     bool   // bbolt has panicked within a commit and holds its locks for ever
	pace       pace
	timer      *time.Timer // armed while a lazy record waits
	active     sync.WaitGroup
	tables     map[string]*Devices
	stats      Stats

	incarnation uint64        // of the stamps that this opening gives
	sequence    atomic.Uint64 // of the latest stamp
}

// Identity returns the store's uuid, drawn at its creation.
func (db *DB) Identity() string { return db.head.identity() }

// Incarnation returns the number that marks the stamps given since Open. It is drawn
// at each Open, so a restored copy of a store never gives a stamp again.
func (db *DB) Incarnation() uint64 { return db.incarnation }

// View runs fn on a snapshot of the durable state. It never waits for writers,
// and they never wait for it. It returns fn's error, ErrClosed after Close. It
// works on a failed store.
func (db *DB) View(fn func(*Tx) error) error {
	db.mu.Lock()
	if err := db.enter(); err != nil {
		db.mu.Unlock()
		return fmt.Errorf("view: %w", err)
	}
	defer db.active.Done()
	tx, err := db.begin(db.undo)
	db.mu.Unlock()
	if err != nil {
		return err
	}
	defer tx.end()
	return fn(tx)
}

// enter counts a caller that Close has to wait for. The caller holds db.mu and
// calls db.active.Done when it is through.
func (db *DB) enter() error {
	if db.closed {
		return ErrClosed
	}
	db.active.Add(1)
	return nil
}

// writable returns the error of a mutation that this store cannot do. The caller
// holds db.mu and has entered.
func (db *DB) writable() error {
	if db.opts.ReadOnly {
		return ErrReadOnly
	}
	return db.failed
}

// Stats returns the counters. They stay after Close.
func (db *DB) Stats() Stats {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.stats
}

// Close waits until every operation in flight has returned, flushes the lazy
// records and releases the store. It returns the error of that flush, or ErrFailed
// for a store that had failed: then nothing is written, and reopening recovers.
// A second Close returns nil.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	for _, d := range db.tables {
		d.stop()
	}
	db.mu.Unlock()

	db.active.Wait()
	err := db.flush()
	db.mu.Lock()
	if db.timer != nil {
		db.timer.Stop()
	}
	if err == nil {
		err = db.failed
	}
	db.mu.Unlock()
	if cerr := db.release(err == nil); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// release closes what Open opened, as far as it came. A clean release leaves the
// note that the next Open may trust the page cache.
func (db *DB) release(clean bool) error {
	var err error
	switch {
	case db.file != nil && !db.wedged:
		err = db.file.Close()
	case db.data != nil:
		err = db.data.Close()
	}
	if db.lock != nil {
		if lerr := db.lock.release(clean && err == nil); err == nil {
			err = lerr
		}
	}
	if db.dir != nil {
		if derr := db.dir.Close(); err == nil {
			err = derr
		}
	}
	return err
}

// Update runs fn in a transaction and makes its writes durable. Functions run one
// at a time, each on the state that the one before left; those that arrive while a
// commit is under way share the next one.
//
// On nil everything fn wrote survives any power cut. When fn returns an error or
// panics, nothing of it is written, the error is returned as it is, and no other
// transaction is touched. ErrNoSpace: the medium is full, nothing is visible.
// ErrFailed: the commit failed; nothing is visible until the store is reopened,
// which decides whether the transaction is wholly there or wholly absent. A ctx
// that ends before fn has run makes Update return its error; after that Update
// waits for the disk.
//
// fn must not call Update, WriteTo, Close or an operation of a device table of the
// same store: each waits for fn to return.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	db.mu.Lock()
	if err := db.enter(); err != nil {
		db.mu.Unlock()
		return fmt.Errorf("update: %w", err)
	}
	db.mu.Unlock()
	defer db.active.Done()
	return db.update(ctx, fn)
}

// update is Update for callers that have entered already.
func (db *DB) update(ctx context.Context, fn func(*Tx) error) error {
	g, err := db.enqueue(ctx, fn, false)
	if err != nil || g == nil {
		return err
	}
	return db.await(g)
}

// lazily runs fn in a transaction that is ordered like any other but waits for the
// next commit, for Close, or for the settle delay. It survives a crash unless
// everything after it is lost too.
func (db *DB) lazily(ctx context.Context, fn func(*Tx) error) error {
	_, err := db.enqueue(ctx, fn, true)
	return err
}
