package planted_test

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/internal/capture"
	"github.com/driftlesskv/driftless/faultfs/model"
	"github.com/stretchr/testify/assert"
)

// slow is how long the operation takes that another one runs beside; head is the
// start that the first of the two gets.
const (
	slow = 500 * time.Millisecond
	head = slow / 4
)

// beside starts first and, a little later, second, and waits for both.
func beside(first, second func() error) error {
	var errs [2]error
	var both sync.WaitGroup
	both.Go(func() { errs[0] = first() })
	both.Go(func() {
		time.Sleep(head)
		errs[1] = second()
	})
	both.Wait()
	return errors.Join(errs[:]...)
}

// TestSyncCoversWhatEndedBefore shows that a sync makes those writes durable that had
// ended when it began, and no others, in whichever order the two overlap.
func TestSyncCoversWhatEndedBefore(t *testing.T) {
	write2 := func(f *os.File) error { return writeAt(f, value(2), 0) }
	for _, tt := range []struct {
		name  string
		fault faultfs.Fault
		work  func(f *os.File) error
		lost  bool
	}{
		{
			"the write begins during the sync", faultfs.Slow(faultfs.Fsync, slow),
			func(f *os.File) error { return beside(f.Sync, func() error { return write2(f) }) }, true,
		},
		{
			"the sync begins during the write", faultfs.Slow(faultfs.Write, slow),
			func(f *os.File) error { return beside(func() error { return write2(f) }, f.Sync) }, true,
		},
		{
			"the sync begins after the write", faultfs.Slow(faultfs.Write|faultfs.Fsync, slow),
			func(f *os.File) error { return errors.Join(write2(f), f.Sync()) }, false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			test := faultfs.Test{
				Setup: write("slots", append(value(0), value(1)...)),
				Work: func(w *faultfs.W) error {
					f, err := os.OpenFile(in(w, "slots"), os.O_RDWR, 0)
					if err != nil {
						return err
					}
					w.Begin("set", 2)
					err = tt.work(f)
					w.Ack("set", 2)
					return errors.Join(err, f.Close())
				},
				Verify: verifyNewestSlot,
			}
			var report faultfs.Report
			c := capture.Run(t, func(t faultfs.TB) {
				report = faultfs.Sweep(t, test, faultfs.Models(model.All()...), tt.fault)
			})
			assert.Len(t, report.Models, len(model.All()))
			for _, m := range report.Models {
				assert.Equal(t, tt.lost, m.Found > 0, "%s\n%s", m, c.Text())
			}
		})
	}
}
