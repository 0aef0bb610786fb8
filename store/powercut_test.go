//go:build linux

package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/store"
)

// calm are options under which nothing is written but what a test asks for.
var calm = store.Options{SettleDelay: time.Hour}

// pages are models in which a file system's page reaches the medium as a whole.
var pages = faultfs.Models(faultfs.Posix4K, faultfs.Ext4)

// A content is what a store holds: values by bucket and key, as "bucket/key".
type content map[string]string

// A step is one transaction of a program: the values that it puts, where an empty
// one stands for a deletion.
type step map[string]string

// long is a value of more than two pages of the database.
func long(text string) string { return strings.Repeat(text, 9000/len(text)) }

// program returns transactions of all kinds: in one bucket and in several, with
// values longer than a page, so many that a page is split, deletions until a bucket
// is gone, and its return.
func program() []step {
	many, fewer := step{}, step{"gone/x": ""}
	for i := range 30 {
		key := fmt.Sprintf("many/key %02d", i)
		many[key] = strings.Repeat("value ", 40)
		if i%10 != 0 {
			fewer[key] = ""
		}
	}
	return []step{
		{"a/k": "1", "b/k": "1"},
		{"a/k": "2", "b/k": "2", "gone/x": "here"},
		{"a/long": long("first "), "b/k": "3"},
		many,
		fewer,
		{"a/long": long("second "), "gone/x": "back"},
		{"a/k": "", "a/long": "", "b/k": "7"},
	}
}

// after returns what the first n steps of a program make of a store.
func after(steps []step, n int) content {
	c := content{}
	for _, s := range steps[:n] {
		maps.Copy(c, s)
	}
	maps.DeleteFunc(c, func(_, value string) bool { return value == "" })
	return c
}

// apply does a step in one transaction.
func apply(db *store.DB, s step) error {
	return db.Update(context.Background(), func(tx *store.Tx) error {
		for _, path := range slices.Sorted(maps.Keys(s)) {
			bucket, key, _ := strings.Cut(path, "/")
			var err error
			if s[path] == "" {
				err = tx.Bucket(bucket).Delete([]byte(key))
			} else {
				err = tx.Bucket(bucket).Put([]byte(key), []byte(s[path]))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// contentOf reads everything.
func contentOf(db *store.DB) (content, error) {
	c := content{}
	err := db.View(func(tx *store.Tx) error {
		for bucket, err := range tx.Buckets() {
			if err != nil {
				return err
			}
			for e, err := range tx.Bucket(bucket).Range(nil, nil) {
				if err != nil {
					return err
				}
				c[bucket+"/"+string(e.Key)] = string(e.Value)
			}
		}
		return nil
	})
	return c, err
}

// with opens the store in dir, calls f and closes the store.
func with(dir string, f func(db *store.DB) error) error {
	db, err := store.Open(context.Background(), dir, calm)
	if err != nil {
		return err
	}
	return errors.Join(f(db), db.Close())
}

// reopened is what a program does first after a crash.
func reopened(dir string) error {
	return with(filepath.Join(dir, "store"), func(*store.DB) error { return nil })
}

// sound returns an error unless Check finds nothing, the next transaction works, and
// a reopened store has it. Keeps (9) and (10) honest.
func sound(dir string) error {
	err := with(dir, func(db *store.DB) error {
		report, err := db.Check(context.Background())
		if err == nil {
			err = report.Err()
		}
		if err != nil {
			return fmt.Errorf("(9) %w", err)
		}
		if err := apply(db, step{"next/one": "1", "next/long": long("next ")}); err != nil {
			return fmt.Errorf("(10) next transaction: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return with(dir, func(db *store.DB) error {
		c, err := contentOf(db)
		if err == nil && (c["next/one"] != "1" || c["next/long"] != long("next ")) {
			err = errors.New("(1) the next transaction is not there after a restart")
		}
		return err
	})
}

// holds returns an error unless the content is what one of first to last steps
// leave: neither less than was acknowledged, nor a part of a transaction, nor one
// without those before it.
func holds(db *store.DB, steps []step, first, last int) error {
	c, err := contentOf(db)
	if err != nil {
		return err
	}
	for n := first; n <= last; n++ {
		if maps.Equal(c, after(steps, n)) {
			return nil
		}
	}
	for n := range first {
		if maps.Equal(c, after(steps, n)) {
			return fmt.Errorf("(1) %d transactions were acknowledged, %d are there", first, n)
		}
	}
	return fmt.Errorf("(2) the content is that of no whole number of transactions, %d to %d: keys %v", first, last, slices.Sorted(maps.Keys(c)))
}

// runs is a program of which some steps are done before, with the store closed and
// opened again in the middle of the others.
func runs(steps []step, done int) faultfs.Test {
	return faultfs.Test{
		Work: func(w *faultfs.W) error {
			dir := filepath.Join(w.Dir(), "store")
			half := (done + len(steps)) / 2
			part := func(from, to int) func(db *store.DB) error {
				return func(db *store.DB) error {
					w.Ack("open", db.Identity())
					for i := from; i < to; i++ {
						w.Begin("step", i)
						if err := apply(db, steps[i]); err != nil {
							return err
						}
						w.Ack("step", i)
					}
					return nil
				}
			}
			if err := with(dir, part(done, half)); err != nil {
				return err
			}
			return with(dir, part(half, len(steps)))
		},
		Recover: reopened,
		Verify: func(s *faultfs.State) error {
			dir := filepath.Join(s.Dir(), "store")
			err := with(dir, func(db *store.DB) error {
				for _, identity := range faultfs.Args[string](s.Acked("open")) {
					if db.Identity() != identity {
						return fmt.Errorf("(1) the store is %s, was %s", db.Identity(), identity)
					}
				}
				return holds(db, steps, done+len(s.Acked("step")), done+len(s.Begun("step")))
			})
			return errors.Join(err, sound(dir))
		},
	}
}

// Creation, every kind of transaction, closing and opening: nothing acknowledged is
// lost, nothing is half there, the next transaction works, and all this again when
// the opening after the crash is cut off too.
func TestPowerCutUpdate(t *testing.T) {
	t.Run("pages", func(t *testing.T) {
		faultfs.Run(t, runs(program(), 0), pages, faultfs.States(800), faultfs.Nested(2))
	})
	t.Run("sectors", func(t *testing.T) {
		faultfs.Run(t, runs(program(), 0), faultfs.Models(faultfs.PosixWeak), faultfs.States(1000))
	})
	t.Run("journals", func(t *testing.T) {
		faultfs.Run(t, runs(program(), 0), faultfs.Models(faultfs.XFS, faultfs.Btrfs), faultfs.States(300))
	})
}

// Every state that a power cut can leave of the creation of a store and its first
// transactions.
func TestPowerCutCreation(t *testing.T) {
	faultfs.Run(t, runs(program()[:2], 0), pages, faultfs.Exhaustive())
}

// A store of the oldest format is opened, changed and closed.
func TestPowerCutGolden(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "v1", "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	base := step{"config/answer": "42"}
	steps := append([]step{base}, program()[:2]...)
	test := runs(steps, 1)
	test.Setup = func(dir string) error {
		dir = filepath.Join(dir, "store")
		return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "data.db"), golden, 0o600))
	}
	faultfs.Run(t, test, pages, faultfs.Exhaustive())
}
