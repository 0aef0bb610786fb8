package crashtest_test

import (
	"fmt"
	"testing"

	"github.com/driftlesskv/driftless/examples/crashtest"
	"github.com/driftlesskv/driftless/faultfs"
)

func TestPowerCut(t *testing.T) {
	faultfs.Run(t, faultfs.Test{
		Work: func(w *faultfs.W) error {
			for n := 1; n <= 5; n++ {
				if err := crashtest.Save(w.Dir(), n); err != nil {
					return err
				}
				w.Ack("save", n)
			}
			return nil
		},
		Verify: func(s *faultfs.State) error {
			n, err := crashtest.Load(s.Dir())
			if err != nil {
				return err
			}
			if acked := len(s.Acked("save")); n < acked {
				return fmt.Errorf("%d was saved, and %d is there", acked, n)
			}
			return crashtest.Save(s.Dir(), n+1) // the next operation works
		},
	})
}
