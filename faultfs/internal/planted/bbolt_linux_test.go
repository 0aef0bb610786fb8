package planted_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/internal/capture"
	"github.com/driftlesskv/driftless/faultfs/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// databases are bugs in the use of bbolt; their twins are the proof that bbolt,
// once created, loses nothing.
var databases = []plant{
	{
		name: "bbolt with NoSync", setup: setupBolt, work: boltNoSync, verify: verifyBolt,
		in: everywhere, forgotten: "an fsync or fdatasync of bolt.db",
		note: "no commit is synced; the twin's pages are copied on write, and its meta pages fit a sector and bear a checksum",
	},
}

var bucket = []byte("bucket")

func openBolt(dir string) (*bbolt.DB, error) {
	return bbolt.Open(filepath.Join(dir, "bolt.db"), 0o600, &bbolt.Options{Timeout: time.Second})
}

func setupBolt(dir string) error {
	db, err := openBolt(dir)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(bucket)
		return err
	})
	return errors.Join(err, db.Close())
}

// put is one commit, of a value that takes a page of its own.
func put(db *bbolt.DB, n int) error {
	return db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).Put(fmt.Appendf(nil, "key %d", n), value(n)[:1024])
	})
}

// verifyBolt demands that the database opens, that each of its pages is right, that
// it has what was acknowledged and nothing that was not begun, and that the next
// commit works.
func verifyBolt(s *faultfs.State) error {
	db, err := openBolt(s.Dir())
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	err = errors.Join(checkBolt(db), db.View(func(tx *bbolt.Tx) error { return checkKeys(tx, s) }))
	if err == nil {
		err = put(db, 1000)
	}
	return errors.Join(err, db.Close())
}

func checkBolt(db *bbolt.DB) error {
	return db.View(func(tx *bbolt.Tx) error {
		var all []error
		for err := range tx.Check() { // to the end, or its goroutine stays
			all = append(all, fmt.Errorf("check: %w", err))
		}
		return errors.Join(all...)
	})
}

func checkKeys(tx *bbolt.Tx, s *faultfs.State) error {
	b := tx.Bucket(bucket)
	if b == nil {
		return errors.New("the bucket is lost")
	}
	for _, n := range faultfs.Args[int](s.Acked("put")) {
		if got := b.Get(fmt.Appendf(nil, "key %d", n)); string(got) != string(value(n)[:1024]) {
			return fmt.Errorf("key %d was acknowledged and is lost", n)
		}
	}
	if got, begun := b.Stats().KeyN, len(s.Begun("put")); got > begun {
		return fmt.Errorf("%d keys, only %d were begun", got, begun)
	}
	return nil
}

func boltNoSync(w *faultfs.W, bug bool) error {
	db, err := openBolt(w.Dir())
	if err != nil {
		return err
	}
	db.NoSync = bug
	for n := 1; n <= 3 && err == nil; n++ {
		w.Begin("put", n)
		if err = put(db, n); err == nil {
			w.Ack("put", n)
		}
	}
	return errors.Join(err, db.Close())
}

// TestBoltCreation shows that a bbolt file is not safe while it is made, under no
// model, and that it can be lost with all that was committed since under those in
// which a directory has to be synced.
func TestBoltCreation(t *testing.T) {
	test := faultfs.Test{
		Work: func(w *faultfs.W) error {
			db, err := openBolt(w.Dir())
			if err != nil {
				return err
			}
			w.Begin("put", 1)
			err = db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucket(bucket)
				if err != nil {
					return err
				}
				return b.Put([]byte("key 1"), value(1)[:1024])
			})
			if err == nil {
				w.Ack("put", 1)
			}
			return errors.Join(err, db.Close())
		},
		Verify: func(s *faultfs.State) error {
			_, err := os.Stat(filepath.Join(s.Dir(), "bolt.db"))
			if errors.Is(err, os.ErrNotExist) && len(s.Acked("put")) > 0 {
				return errors.New("the file is lost")
			}
			db, err := openBolt(s.Dir())
			if err != nil {
				return fmt.Errorf("open: %w", err)
			}
			return errors.Join(checkBolt(db), db.Close())
		},
	}
	var report faultfs.Report
	c := capture.Run(t, func(t faultfs.TB) {
		report = faultfs.Run(t, test, faultfs.Models(model.All()...))
	})
	require.True(t, c.Failed())
	require.Len(t, report.Models, len(model.All()), c.Text())
	for _, m := range report.Models {
		broken, lost := 0, 0
		for _, v := range m.Violations {
			if v.Text == "the file is lost" {
				lost++
			} else {
				broken++ // Open or Check fails, panics or faults
			}
		}
		assert.Positive(t, broken, "%s: a new file that is torn opens", m.Model)
		if m.Model == model.PosixWeak.Name || m.Model == model.Posix4K.Name {
			assert.Positive(t, lost, "%s: a directory that was not synced keeps the name", m.Model)
		} else {
			assert.Zero(t, lost, "%s: the file's own sync carries its name", m.Model)
		}
	}
}
