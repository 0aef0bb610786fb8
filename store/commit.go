package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/tidwall/btree"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// commit makes g durable in one transaction of the file. The caller is leader.
func (db *DB) commit(g *group) (event CommitEvent) {
	start := time.Now()
	db.mu.Lock()
	db.pending, db.committing = nil, g
	failed := db.failed
	db.mu.Unlock()
	event = CommitEvent{Transactions: g.waiters, Bytes: g.layer.bytes, Err: failed}
	if failed != nil {
		db.fail(g, failed, true)
		return event
	}
	published, err := db.write(g.layer)
	event.Duration = time.Since(start)
	if err != nil {
		var sticky bool
		event.Err, sticky = classify(err, published)
		db.fail(g, event.Err, sticky)
		return event
	}
	db.mu.Lock()
	db.committing, db.undo = nil, nil
	db.stats.Commits++
	db.stats.Transactions += int64(g.waiters)
	db.pace.learn(g, db.pending, event.Duration)
	db.mu.Unlock()
	for _, f := range g.durable {
		f()
	}
	close(g.done)
	return event
}

// write applies l to the file and commits. published tells, after an error, whether
// the file may hold any of it.
func (db *DB) write(l *layer) (published bool, err error) {
	var tx *bolt.Tx
	err = guard(func() (err error) {
		if tx, err = db.file.Begin(true); err != nil {
			return err
		}
		undo, err := apply(tx, l)
		if err != nil {
			return err
		}
		db.mu.Lock()
		db.undo = undo
		db.mu.Unlock()
		return nil
	})
	if err != nil {
		if tx != nil {
			_ = guard(tx.Rollback) // the first error is the one to tell
		}
		return false, err
	}
	before := tx.ID() - 1
	if err = explained(guard(tx.Commit)); err == nil {
		return false, nil
	}
	if errors.Is(err, ErrCorrupt) {
		db.mu.Lock()
		db.wedged = true
		db.mu.Unlock()
		return true, err
	}
	after := -1
	_ = guard(func() error { // when even this fails, published is the safe answer
		probe, err := db.file.Begin(false)
		if err == nil {
			after = probe.ID()
			rollback(probe)
		}
		return err
	})
	return after != before, err
}

// apply puts the changes of l into tx and returns the layer that undoes them.
func apply(tx *bolt.Tx, l *layer) (undo *layer, err error) {
	undo = newLayer()
	for name, changes := range l.buckets {
		bucket, err := tx.CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return nil, fmt.Errorf("create bucket: %w", err)
		}
		old := new(btree.Map[string, []byte])
		changes.Scan(func(key string, stored []byte) bool {
			var was []byte
			if v := bucket.Get([]byte(key)); v != nil {
				was = append([]byte{}, v...)
			}
			old.Set(key, was)
			if stored == nil {
				err = bucket.Delete([]byte(key))
			} else {
				err = bucket.Put([]byte(key), stored)
			}
			return err == nil
		})
		if err != nil {
			return nil, fmt.Errorf("write key: %w", err)
		}
		undo.buckets[name] = old
	}
	return undo, nil
}

// classify tells what a failed commit means. A medium that was full before
// anything was published leaves file and database as they were: no page in use is
// overwritten before the meta page, so the store goes on. Everything else leaves
// page cache and disk in doubt and is sticky: a second try could report success
// for pages that the kernel has dropped. Keeps (8).
func classify(err error, published bool) (_ error, sticky bool) {
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, berrors.ErrMaxSizeReached)
	var path *fs.PathError // from a write; a failed flush is a bare errno
	written := errors.As(err, &path) || errors.Is(err, berrors.ErrMaxSizeReached)
	switch {
	case full && written && !published:
		return fmt.Errorf("%w: %w", ErrNoSpace, err), false
	case full:
		return fmt.Errorf("%w: %w: %w", ErrFailed, ErrNoSpace, err), true
	}
	return fmt.Errorf("%w: %w", ErrFailed, err), true
}
