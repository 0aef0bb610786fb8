//go:build linux

package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/store"
)

// masked are the faults after which a store goes on, and why that is right.
var masked = []faultfs.Option{
	faultfs.Masked("*", syscall.EINTR, "a signal: os.File makes the call again"),
	faultfs.Masked("*", 0, "os.File writes the rest"),
}

// faults are what a disk and a kernel answer with.
func faults() []faultfs.Option {
	const space = faultfs.Write | faultfs.Truncate | faultfs.Create | faultfs.Fsync
	return []faultfs.Option{
		faultfs.Fail(faultfs.Any, syscall.EIO),
		faultfs.Fail(faultfs.Any, syscall.ENOSPC).FromThenOn(),
		faultfs.Fail(space, syscall.ENOSPC),
		faultfs.Fail(faultfs.Write|faultfs.Truncate, syscall.EDQUOT),
		faultfs.Fail(faultfs.Rename|faultfs.Fsync, syscall.EROFS).FromThenOn(),
		faultfs.Fail(faultfs.Any, syscall.EINTR),
		// Not of Fsync: one of a directory is taken for success by atomicfile.
		faultfs.Fail(faultfs.Any&^faultfs.Fsync, syscall.ENOTSUP),
		faultfs.ShortWrite(),
		faultfs.Models(faultfs.Posix4K), faultfs.States(300),
	}
}

// sweepWork makes a store, changes it, opens it again and changes it once more. On a
// full disk it goes on, as an agent does that makes room.
func sweepWork(w *faultfs.W) error {
	dir := filepath.Join(w.Dir(), "store")
	steps := program()[:3]
	err := with(dir, func(db *store.DB) error {
		if err := persistent(w, db, steps, 0); err != nil {
			return err
		}
		return persistent(w, db, steps, 1)
	})
	if err != nil {
		return err
	}
	return with(dir, func(db *store.DB) error { return persistent(w, db, steps, 2) })
}

// persistent does a step and, if the disk was full and the store has not failed, does
// it once more.
func persistent(w *faultfs.W, db *store.DB, steps []step, i int) error {
	w.Begin("step", i)
	err := apply(db, steps[i])
	if errors.Is(err, store.ErrNoSpace) && !errors.Is(err, store.ErrFailed) {
		w.Surfaced(err)
		if err = holds(db, steps, i, i); err == nil {
			err = apply(db, steps[i])
		}
	}
	if err == nil {
		w.Ack("step", i)
	}
	return errors.Join(err, failedIsSticky(db, err))
}

// failedIsSticky returns an error unless a store that has failed refuses everything
// that follows. Keeps (8) honest.
func failedIsSticky(db *store.DB, err error) error {
	if !errors.Is(err, store.ErrFailed) {
		return nil
	}
	if err := apply(db, step{"late/key": "1"}); !errors.Is(err, store.ErrFailed) {
		return errors.Join(errors.New("(8) a failed store has accepted a transaction"), err)
	}
	if _, err := db.Check(context.Background()); err != nil {
		return err
	}
	return nil
}

// Every operation on the disk fails, once or for good. The error comes back, or what
// was promised is true without the operation; a store that has failed refuses all
// that follows; and a power cut then leaves what was acknowledged.
func TestPowerCutSweep(t *testing.T) {
	verify := runs(program()[:3], 0).Verify
	faultfs.Sweep(t, faultfs.Test{Work: sweepWork, Recover: reopened, Verify: verify}, append(faults(), masked...)...)
}
