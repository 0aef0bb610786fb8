//go:build linux

package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/store"
)

const (
	cutWriters = 4
	cutRounds  = 5
)

// turn is one transaction of a concurrent writer: it appends its name to a common
// log and counts in two buckets of its own, so that the log tells in which order the
// transactions were sequenced and the counters whether any is there in part.
func turn(db *store.DB, writer, n int) error {
	return db.Update(context.Background(), func(tx *store.Tx) error {
		own, count := fmt.Appendf(nil, "writer %d", writer), fmt.Append(nil, n)
		log, err := tx.Bucket("log").Get([]byte("log"))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return errors.Join(
			tx.Bucket("log").Put([]byte("log"), fmt.Appendf(log, "%d ", writer)),
			tx.Bucket("count").Put(own, count),
			tx.Bucket("again").Put(own, []byte(long(string(count)))),
		)
	})
}

// groupWork lets all writers write at once.
func groupWork(w *faultfs.W) error {
	return with(filepath.Join(w.Dir(), "store"), func(db *store.DB) error {
		errs := make([]error, cutWriters)
		var crew sync.WaitGroup
		for writer := range cutWriters {
			crew.Go(func() {
				for n := 1; n <= cutRounds && errs[writer] == nil; n++ {
					w.Begin("turn", writer, n)
					if errs[writer] = turn(db, writer, n); errs[writer] == nil {
						w.Ack("turn", writer, n)
					}
				}
			})
		}
		crew.Wait()
		return errors.Join(errs...)
	})
}

// groupVerify compares the log with the counters and with what was acknowledged.
func groupVerify(s *faultfs.State) error {
	dir := filepath.Join(s.Dir(), "store")
	count := func(marks []faultfs.Mark, writer int) (n int) {
		for _, of := range faultfs.Args[int](marks) {
			if of == writer {
				n++
			}
		}
		return n
	}
	err := with(dir, func(db *store.DB) error {
		c, err := contentOf(db)
		if err != nil {
			return err
		}
		log := strings.Fields(c["log/log"])
		for writer := range cutWriters {
			there := 0
			for _, name := range log {
				if name == fmt.Sprint(writer) {
					there++
				}
			}
			acked, begun := count(s.Acked("turn"), writer), count(s.Begun("turn"), writer)
			if there < acked || there > begun {
				return fmt.Errorf("(1) writer %d: %d transactions acknowledged, %d begun, %d there", writer, acked, begun, there)
			}
			want, again := "", ""
			if there > 0 {
				want = fmt.Sprint(there)
				again = long(want)
			}
			key := fmt.Sprintf("writer %d", writer)
			if c["count/"+key] != want || c["again/"+key] != again {
				return fmt.Errorf("(2) writer %d: %d transactions in the log, its counter is %q", writer, there, c["count/"+key])
			}
		}
		return nil
	})
	return errors.Join(err, sound(dir))
}

// Transactions that share a commit are durable when their callers are told so, each
// is all or nothing, and none is there without those that it has read.
func TestPowerCutConcurrent(t *testing.T) {
	test := faultfs.Test{Setup: reopened, Work: groupWork, Recover: reopened, Verify: groupVerify}
	faultfs.Run(t, test, faultfs.Models(faultfs.PosixWeak, faultfs.Ext4), faultfs.States(800))
}

// On a medium that is slow, or that never answers a flush, the same holds, and who
// waits for a flush is not told that it is done.
func TestPowerCutStalled(t *testing.T) {
	faultfs.Sweep(t, faultfs.Test{Setup: reopened, Work: groupWork, Recover: reopened, Verify: groupVerify},
		faultfs.Slow(faultfs.Write|faultfs.Fsync, 3*time.Millisecond), faultfs.Hang(faultfs.Fsync),
		faultfs.Models(faultfs.Posix4K), faultfs.States(300))
}

// A backup that its caller has synced opens as a store of its own and holds what was
// acknowledged before it was begun, while the store goes on.
func TestPowerCutWriteTo(t *testing.T) {
	steps := program()
	test := runs(steps, 0)
	test.Work = func(w *faultfs.W) error {
		return with(filepath.Join(w.Dir(), "store"), func(db *store.DB) error {
			for i, s := range steps {
				w.Begin("step", i)
				if err := apply(db, s); err != nil {
					return err
				}
				w.Ack("step", i)
				if i%2 == 1 {
					if err := backUp(db, filepath.Join(w.Dir(), fmt.Sprint("backup-", i))); err != nil {
						return err
					}
					w.Ack("backup", i)
				}
			}
			return nil
		})
	}
	stored := test.Verify
	test.Verify = func(s *faultfs.State) error {
		for _, i := range faultfs.Args[int](s.Acked("backup")) {
			dir := filepath.Join(s.Dir(), fmt.Sprint("backup-", i))
			if err := holdsIn(dir, steps, i+1); err != nil {
				return fmt.Errorf("backup: %w", err)
			}
		}
		return stored(s)
	}
	faultfs.Run(t, test, pages, faultfs.States(500))
}

// holdsIn opens a store and returns an error unless it holds n steps and is sound.
func holdsIn(dir string, steps []step, n int) error {
	err := with(dir, func(db *store.DB) error { return holds(db, steps, n, n) })
	return errors.Join(err, sound(dir))
}

// backUp writes a backup into a directory of its own and makes it durable.
func backUp(db *store.DB, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "data.db"))
	if err != nil {
		return err
	}
	_, err = db.WriteTo(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	for _, name := range []string{dir, filepath.Dir(dir)} {
		d, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Quarantine moves the damaged values aside all at once.
func TestPowerCutQuarantine(t *testing.T) {
	damaged := []string{"a", "b", "c"}
	faultfs.Run(t, faultfs.Test{
		Setup: func(dir string) error {
			dir = filepath.Join(dir, "store")
			err := with(dir, func(db *store.DB) error {
				return apply(db, step{"config/a": "1", "config/b": "2", "config/c": "3", "config/whole": "4"})
			})
			if err != nil {
				return err
			}
			return damage(dir, damaged)
		},
		Work: func(w *faultfs.W) error {
			return with(filepath.Join(w.Dir(), "store"), func(db *store.DB) error {
				w.Begin("quarantine")
				moved, err := db.Quarantine(context.Background())
				if err == nil && len(moved) != len(damaged) {
					err = fmt.Errorf("%d values moved", len(moved))
				}
				if err == nil {
					w.Ack("quarantine")
				}
				return err
			})
		},
		Verify: func(s *faultfs.State) error {
			dir := filepath.Join(s.Dir(), "store")
			err := with(dir, func(db *store.DB) error {
				kept, err := db.Quarantined()
				if err != nil {
					return err
				}
				if len(kept) != len(damaged) && (len(kept) > 0 || len(s.Acked("quarantine")) > 0) {
					return fmt.Errorf("(2) %d values are in quarantine", len(kept))
				}
				if _, err := db.Quarantine(context.Background()); err != nil {
					return err
				}
				c, err := contentOf(db)
				if err == nil && (len(c) != 1 || c["config/whole"] != "4") {
					err = fmt.Errorf("(9) the content is %v", c)
				}
				return err
			})
			return errors.Join(err, sound(dir))
		},
	}, pages, faultfs.Exhaustive())
}

// damage flips a bit of the values of these keys, below the store.
func damage(dir string, keys []string) error {
	file, err := bolt.Open(filepath.Join(dir, "data.db"), 0o600, nil)
	if err != nil {
		return err
	}
	err = file.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte("b/config"))
		for _, key := range keys {
			stored := slices.Clone(bucket.Get([]byte(key)))
			stored[len(stored)-1] ^= 1
			if err := bucket.Put([]byte(key), stored); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, file.Close())
}
