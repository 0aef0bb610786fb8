package store

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// A group is a run of transactions that become durable, or fail, together.
type group struct {
	layer   *layer
	waiters int           // transactions whose callers wait
	want    int           // waiters the leader hopes for; 0: no leader is waiting
	full    chan struct{} // closed when want is reached
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
	g, err := db.join(tx, lazy)
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
// tx began, because tx may have read what will never be.
func (db *DB) join(tx *Tx, lazy bool) (*group, error) {
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
	if lazy {
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
		select {
		case <-g.done: // the last leader committed it
		default:
			db.gather(g)
			db.commit(g)
		}
		<-db.leader
	}
	return g.err
}

// pace is what the forming of groups has learnt from the commits so far.
type pace struct {
	last    int           // waiters of the last group
	waiting int           // waiters that had queued up when it was done
	commit  time.Duration // smoothed duration of a commit
}

// learn takes in a commit of g that took so long while next queued up behind it.
func (p *pace) learn(g, next *group, took time.Duration) {
	p.last, p.waiting = g.waiters, 0
	if next != nil {
		p.waiting = next.waiters
	}
	if p.commit == 0 {
		p.commit = took
	}
	p.commit += (took - p.commit) / 8
}

// Bounds of a leader's wait: a part of the commit time, and an absolute one.
const (
	waitShare = 5 // a fifth
	waitMax   = 2 * time.Millisecond
)

// gather lets the leader wait for company: until as many have queued as were in
// the last group or waited behind it, but for a fifth of a commit at most. Callers
// that come back after each commit so form one group instead of two that take
// turns. A lone writer never waits: its last group was 1, and none was waiting.
func (db *DB) gather(g *group) {
	db.mu.Lock()
	want := db.pace.last + db.pace.waiting
	if g.waiters == 0 || g.waiters >= want {
		db.mu.Unlock()
		return
	}
	g.want = want
	patience := min(db.pace.commit/waitShare, waitMax)
	db.mu.Unlock()
	if patience < 100*time.Microsecond { // less than a timer can measure
		for start := time.Now(); time.Since(start) < patience; runtime.Gosched() {
			select {
			case <-g.full:
				return
			default:
			}
		}
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-g.full:
	case <-timer.C:
	}
}

// fail ends g and everything sequenced after it, which may have read g's writes.
// It holds the writer, so that no function is running on them. The caller is leader.
func (db *DB) fail(g *group, err error, sticky bool) {
	db.writer <- struct{}{}
	defer func() { <-db.writer }()
	db.mu.Lock()
	defer db.mu.Unlock()
	if sticky {
		db.failed = err
	} else {
		db.undo = nil // the file is as it was
	}
	next := db.pending
	db.pending, db.committing = nil, nil
	for _, dead := range []*group{next, g} {
		if dead == nil {
			continue
		}
		for _, undo := range slices.Backward(dead.aborts) {
			undo()
		}
		dead.err = fmt.Errorf("commit: %w", err)
		close(dead.done)
	}
}
