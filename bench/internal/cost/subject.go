// Package cost measures what the creation of a device costs in different systems:
// transactions of the metadata database, flushes, and bytes.
package cost

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A Subject is a system whose creates are measured. It keeps its metadata in bbolt.
type Subject struct {
	Name string // as the table shows it
	Data string // path of the bbolt file, below the directory that Open is given
	Open func(ctx context.Context, dir string) (Instance, error)
}

// An Instance is an open subject. Create is called by several goroutines at once,
// each time with another name; Close when all have returned.
type Instance struct {
	Create func(ctx context.Context, name string) error
	Close  func() error
}

// work is what one child process does.
type work struct {
	Subject string // its name
	Dir     string
	First   int // number in the name of the first device
	Creates int
	Callers int
}

// do opens subject, creates the devices and closes it. It returns how long the
// creates took.
func (w work) do(ctx context.Context, subject Subject) (took time.Duration, err error) {
	instance, err := subject.Open(ctx, w.Dir)
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", subject.Name, err)
	}
	start := time.Now()
	err = w.create(ctx, instance)
	took = time.Since(start)
	return took, errors.Join(err, instance.Close())
}

// create spreads the creates over the callers. Each takes the next name when it is
// through with the last one.
func (w work) create(ctx context.Context, instance Instance) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	done := make(chan struct{})
	for range w.Callers {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := next.Add(1) - 1; i < int64(w.Creates) && ctx.Err() == nil; i = next.Add(1) - 1 {
				// Named as containerd does.
				if err := instance.Create(ctx, fmt.Sprintf("pool-snap-%d", int64(w.First)+i)); err != nil {
					cancel(fmt.Errorf("create: %w", err)) // the first one counts
				}
			}
		}()
	}
	for range w.Callers {
		<-done
	}
	return context.Cause(ctx)
}

// transactions returns how many transactions the bbolt file at path has seen since
// it was made: each one that was committed added one to the number in its meta page.
func transactions(path string) (n int, err error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return 0, err
	}
	err = db.View(func(tx *bolt.Tx) error {
		n = tx.ID()
		return nil
	})
	return n, errors.Join(err, db.Close())
}
