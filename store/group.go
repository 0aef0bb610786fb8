package store

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A group is a run of transactions that become durable, or fail, together.
type group struct {
	layer   *layer
	waiters int           // transactions whose callers wait
	want    int           // waiters the leader hopes for; 0: no leader is waiting
	full    chan struct{} // closed when want is reached
	lazy    []func(*Tx) error
	aborts  []func()
	durable []func()
	done    chan struct{} // closed when err is decided
	err     error
}

func newGroup() *group {
	return &group{layer: newLayer(), full: make(chan struct{}), done: make(chan struct{})}
}

// enqueue runs fn and adds its writes to the pending group. It returns the group
// whose durability makes fn's result true: for an fn that wrote nothing, the newest
// one that it may have read from, or nil.
func (db *DB) enqueue(ctx context.Context, fn func(*Tx) error, lazy bool) (*group, error) {
	select {
	case db.writer <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-db.writer }()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return db.run(fn, lazy)
}

// run is enqueue for the holder of the writer.
func (db *DB) run(fn func(*Tx) error, lazy bool) (*group, error) {
	tx, err := db.beginUpdate()
	if err != nil {
		return nil, err
	}
	defer tx.end()
	joined := false
	defer func() {
		if !joined { // fn failed, panicked, or left by runtime.Goexit
			tx.abort()
		}
	}()
	if err := fn(tx); err != nil {
		return nil, err
	}
	if !lazy {
		fn = nil
	}
	g, err := db.join(tx, fn)
	joined = err == nil
	return g, err
}

func (db *DB) beginUpdate() (*Tx, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.writable(); err != nil {
		return nil, err
	}
	own := newLayer()
	tx, err := db.begin(own, groupLayer(db.pending), groupLayer(db.committing))
	if err != nil {
		return nil, err
	}
	tx.own = own
	return tx, nil
}

func groupLayer(g *group) *layer {
	if g == nil {
		return nil
	}
	return g.layer
}

// join appends tx to the pending group. It fails when the store has failed since
// tx began, because tx may have read what will never be. For a lazy transaction the
// group remembers its function.
func (db *DB) join(tx *Tx, lazy func(*Tx) error) (*group, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.failed != nil {
		return nil, db.failed
	}
	if tx.own.empty() && tx.aborts == nil && tx.durable == nil {
		if db.pending != nil {
			return db.pending, nil
		}
		return db.committing, nil
	}
	if db.pending == nil {
		db.pending = newGroup()
	}
	g := db.pending
	g.layer.merge(tx.own)
	g.aborts = append(g.aborts, tx.aborts...)
	g.durable = append(g.durable, tx.durable...)
	if lazy != nil {
		g.lazy = append(g.lazy, lazy)
		db.armTimer()
		return g, nil
	}
	g.waiters++
	if g.want > 0 && g.waiters == g.want {
		close(g.full)
	}
	return g, nil
}

// armTimer sees to it that the pending group is flushed within the settle delay.
// The caller holds db.mu. An idle store has no timer.
func (db *DB) armTimer() {
	if db.timer != nil || db.closed {
		return
	}
	db.timer = time.AfterFunc(db.opts.SettleDelay, func() {
		db.mu.Lock()
		db.timer = nil
		err := db.enter()
		db.mu.Unlock()
		if err != nil {
			return // Close flushes
		}
		defer db.active.Done()
		_ = db.flush() // sticky, or told to the transactions of the group
	})
}

// flush makes the pending group durable, if there is one.
func (db *DB) flush() error {
	db.mu.Lock()
	g := db.pending
	if g == nil {
		g = db.committing
	}
	db.mu.Unlock()
	if g == nil {
		return nil
	}
	return db.await(g)
}

// await returns once g is durable or has failed. One of those who wait for a group
// commits it: there is no goroutine but the callers'.
func (db *DB) await(g *group) error {
	select {
	case <-g.done:
	case db.leader <- struct{}{}:
		event, led := db.lead(g)
		<-db.leader
		if o := db.opts.Observer; led && o != nil {
			o.Commit(event)
		}
	}
	return g.err
}

// lead commits g, unless the last leader has. The caller is leader.
func (db *DB) lead(g *group) (event CommitEvent, led bool) {
	select {
	case <-g.done:
		return event, false
	default:
	}
	db.gather(g)
	return db.commit(g), true
}

// fail ends g and everything sequenced after it, which may have read g's writes.
// After a full disk, which is not sticky, their lazy transactions are sequenced once
// more. It holds the writer, so that no function is running. The caller is leader.
func (db *DB) fail(g *group, err error, sticky bool) {
	db.writer <- struct{}{}
	defer func() { <-db.writer }()
	db.mu.Lock()
	if sticky {
		db.failed = err
	} else {
		db.undo = nil // the file is as it was
	}
	dead := []*group{g}
	if db.pending != nil {
		dead = append(dead, db.pending)
	}
	db.pending, db.committing = nil, nil
	db.mu.Unlock()
	for _, g := range slices.Backward(dead) {
		for _, undo := range slices.Backward(g.aborts) {
			if !sticky { // else nothing is sequenced any more
				undo()
			}
		}
	}
	for _, g := range dead {
		for _, fn := range g.lazy {
			_, _ = db.run(fn, true) // what fails now is settled at the next Open
		}
		g.err = fmt.Errorf("commit: %w", err)
		close(g.done)
	}
}
