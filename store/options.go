package store

import (
	"fmt"
	"time"
)

// Options of a store. The zero value is right for nearly everyone.
type Options struct {
	// ReadOnly opens without writing anything, not even a lock file. Mutations
	// return ErrReadOnly. Any number of read-only openers may share a store; none
	// may while a writer holds it.
	ReadOnly bool

	// LockTimeout is how long Open waits for another opener to go away.
	// 0 means 10 seconds; below 0, Open does not wait.
	LockTimeout time.Duration

	// SettleDelay bounds how long a lazy record (the settling of a device whose
	// intent is durable) may wait for a commit to ride on. 0 means one second;
	// at most one hour.
	SettleDelay time.Duration

	// Observer, if not nil, is told of every commit and of every call of a backing.
	Observer Observer
}

// withDefaults validates o and fills in what was left zero.
func (o Options) withDefaults() (Options, error) {
	if o.LockTimeout == 0 {
		o.LockTimeout = 10 * time.Second
	}
	if o.SettleDelay == 0 {
		o.SettleDelay = time.Second
	}
	if o.SettleDelay < 0 || o.SettleDelay > time.Hour {
		return o, fmt.Errorf("settle delay %v, want 0 to 1h: %w", o.SettleDelay, ErrInvalid)
	}
	return o, nil
}

// An Observer receives measurements. Its methods are called from the goroutine
// that did the work, after it, several at once.
type Observer interface {
	// Commit is called once for each group of transactions that went to the disk.
	Commit(CommitEvent)
	// Backing is called once for each call of a backing's Create, Remove or Probe.
	Backing(BackingEvent)
}

// A CommitEvent describes one commit.
type CommitEvent struct {
	Transactions int // acknowledged together; 0 when only lazy records were flushed
	Bytes        int // of keys and values
	Duration     time.Duration
	Err          error
}

// A BackingEvent describes one call of a backing.
type BackingEvent struct {
	Table    string
	Op       string // "create", "remove", "probe"
	ID       DeviceID
	Duration time.Duration
	Err      error
}

// Stats are counters since Open.
type Stats struct {
	Transactions int64 // acknowledged by Update and the device operations
	Commits      int64 // groups made durable, two flushes each
}
