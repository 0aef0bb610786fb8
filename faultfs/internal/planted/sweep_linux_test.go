package planted_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/internal/capture"
	"github.com/driftlesskv/driftless/faultfs/model"
	"github.com/stretchr/testify/assert"
	"go.etcd.io/bbolt"
)

// What a program does when a sync fails.
type reaction int

const (
	stop    reaction = iota // and tell the caller
	again                   // sync once more, and believe that
	goingOn                 // tell the caller, and write the next version over the one that failed
)

// synced writes versions in place, the next one always where the last one that was
// synced is not.
func synced(w *faultfs.W, r reaction) error {
	f, err := os.OpenFile(in(w, "slots"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	slot := int64(0)
	for v := 2; v <= 5 && err == nil; v++ {
		w.Begin("set", v)
		if err = writeAt(f, value(v), slot*valueSize); err != nil {
			break
		}
		err = f.Sync()
		if err != nil && r == again {
			err = f.Sync()
		}
		if err == nil {
			w.Ack("set", v)
			slot = 1 - slot
		} else if r == goingOn {
			w.Surfaced(err)
			err = nil
		}
	}
	return errors.Join(err, f.Close())
}

// TestFailedFsync shows that an fsync that succeeds after one that failed has not
// written what that one was for, under any model; that a program is right that
// stops; and that what is written again is written, and not undone by what was lost.
func TestFailedFsync(t *testing.T) {
	for _, tt := range []struct {
		name string
		does reaction
		lost []string
	}{
		{"tried again", again, everywhere},
		{"stopped", stop, nil},
		{"gone on", goingOn, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			test := faultfs.Test{
				Setup:  write("slots", append(value(0), value(1)...)),
				Work:   func(w *faultfs.W) error { return synced(w, tt.does) },
				Verify: verifyNewestSlot,
			}
			options := []faultfs.Option{faultfs.Models(model.All()...), faultfs.Fail(faultfs.Fsync, syscall.EIO)}
			if tt.does == again { // that nothing is returned is not what is wrong with it
				options = append(options, faultfs.Masked("planted_test.synced", syscall.EIO, "tried again"))
			}
			var report faultfs.Report
			c := capture.Run(t, func(t faultfs.TB) { report = faultfs.Sweep(t, test, options...) })
			var lost []string
			for _, m := range report.Models {
				if m.Found > 0 {
					lost = append(lost, m.Model)
				}
			}
			assert.Equal(t, tt.lost, lost, c.Text())
			assert.Equal(t, tt.lost != nil, c.Failed(), c.Text())
			assert.Equal(t, 4, hits(report), c.Text())
			if tt.lost != nil {
				assert.Contains(t, c.Text(), "was acknowledged and is lost")
				assert.Contains(t, c.Text(), "the kernel does not write those pages again")
				assert.Contains(t, c.Text(), "sweep_linux_test.go")
			}
		})
	}
}

func hits(r faultfs.Report) int {
	n := 0
	for _, s := range r.Sweeps {
		n += s.Hits
	}
	return n
}

// surfaced tells the caller of an error of bbolt. Of a sync that makes the file
// larger bbolt returns the text alone, so the errno is added.
func surfaced(w *faultfs.W, err error) {
	if err != nil {
		w.Surfaced(errors.Join(err, syscall.EIO))
	}
}

// goOn commits as a program does that takes an error of Update for a transaction
// that did not happen: it tells its caller and goes on.
func goOn(w *faultfs.W) error {
	db, err := openBolt(w.Dir())
	if err != nil {
		return err
	}
	for n := 1; n <= 6; n++ {
		w.Begin("put", n)
		if err := put(db, n); err != nil {
			surfaced(w, err)
			continue
		}
		w.Ack("put", n)
	}
	return db.Close()
}

// shown is goOn, except that what a reader saw after the error counts as promised.
func shown(w *faultfs.W) error {
	db, err := openBolt(w.Dir())
	if err != nil {
		return err
	}
	w.Begin("put", 1)
	surfaced(w, put(db, 1))
	err = db.View(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucket).Get([]byte("key 1")) != nil {
			w.Ack("put", 1)
		}
		return nil
	})
	return errors.Join(err, db.Close())
}

// TestBoltFailedSync reproduces what bbolt does when the sync of a meta page fails:
// Update returns the error, readers see the value all the same, and writing goes
// on, from a state that the disk does not have, over pages that it still needs: a
// power cut then leaves a file that is corrupt, or one that looks right and lacks
// what was acknowledged before the error.
func TestBoltFailedSync(t *testing.T) {
	sweep := func(t *testing.T, work func(w *faultfs.W) error) (faultfs.Report, *capture.Test) {
		test := faultfs.Test{Setup: setupBolt, Work: work, Verify: verifyBolt}
		var report faultfs.Report
		c := capture.Run(t, func(t faultfs.TB) {
			report = faultfs.Sweep(t, test, faultfs.Models(model.Posix4K), faultfs.StateTimeout(time.Second),
				faultfs.Fail(faultfs.Fsync, syscall.EIO))
		})
		return report, c
	}
	t.Run("the value is shown", func(t *testing.T) {
		_, c := sweep(t, shown)
		assert.Contains(t, c.Text(), "key 1 was acknowledged and is lost")
	})
	t.Run("going on corrupts the file", func(t *testing.T) {
		report, c := sweep(t, goOn)
		assert.Contains(t, c.Text(), "after fsync")
		broken, lost := 0, 0
		for _, m := range report.Models {
			for _, v := range m.Violations {
				if strings.Contains(v.Text, "was acknowledged and is lost") {
					lost++
				} else {
					broken++ // opening or checking it fails, panics or hangs
				}
			}
		}
		assert.Positive(t, broken, c.Text())
		assert.Positive(t, lost, "a page of an older commit was overwritten by one that is right in itself: %s", c.Text())
	})
}
