package planted_test

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/internal/capture"
	"github.com/driftlesskv/driftless/faultfs/model"
)

const (
	commits      = 20
	replacements = 5
)

// rated is the program by which rates are given: 20 commits of bbolt and 5 files
// that are replaced.
var rated = faultfs.Test{
	Setup: func(dir string) error { return errors.Join(setupBolt(dir), write("value", value(1))(dir)) },
	Work: func(w *faultfs.W) error {
		db, err := openBolt(w.Dir())
		if err != nil {
			return err
		}
		for n := 1; n <= commits && err == nil; n++ {
			w.Begin("put", n)
			if err = put(db, n); err == nil {
				w.Ack("put", n)
			}
			if v := n / (commits / replacements); err == nil && n%(commits/replacements) == 0 {
				err = replaceValue(w, v+1)
			}
		}
		return errors.Join(err, db.Close())
	},
	Verify: func(s *faultfs.State) error { return errors.Join(verifyBolt(s), verifyReplaced(s)) },
}

// replaceValue is what tempNotSynced leaves undone.
func replaceValue(w *faultfs.W, v int) error {
	w.Begin("set", v)
	name := filepath.Join(w.Dir(), "value")
	f, err := create(name+".tmp", value(v))
	if err != nil {
		return err
	}
	err = errors.Join(f.Sync(), f.Close(), os.Rename(name+".tmp", name), syncDir(w.Dir()))
	if err == nil {
		w.Ack("set", v)
	}
	return err
}

// TestVerifiedStates is what the copies of the test binary run for the benchmark
// of the same name.
func TestVerifiedStates(t *testing.T) {
	report := faultfs.Run(t, rated, faultfs.Models(model.Posix4K), faultfs.Workers(1), faultfs.Exhaustive())
	require.Len(t, report.Models, 1)
	require.Greater(t, report.Models[0].Distinct, 300)
	require.Zero(t, report.Models[0].Found)
}

// BenchmarkVerifiedStates measures how many states one process makes and verifies
// in a second. The recording is not in it. Beside it: how much the machine hashes in
// a second at that time, since not all machines always have all of their speed.
func BenchmarkVerifiedStates(b *testing.B) {
	var states, seconds, hashed, hashing float64
	block := make([]byte, 16<<20)
	for b.Loop() {
		begun := time.Now()
		_ = sha256.Sum256(block)
		hashed += float64(len(block)) / 1e6
		hashing += time.Since(begun).Seconds()
		var report faultfs.Report
		c := capture.Named(b, "TestVerifiedStates", func(t faultfs.TB) {
			report = faultfs.Run(t, rated, faultfs.Models(model.Posix4K), faultfs.Workers(1), faultfs.Exhaustive())
		})
		if c.Failed() {
			b.Fatal(c.Text())
		}
		for _, m := range report.Models {
			states += float64(m.Verified())
			seconds += m.Elapsed.Seconds()
		}
	}
	b.ReportMetric(states/seconds, "states/s")
	b.ReportMetric(hashed/hashing, "sha256-MB/s")
	b.ReportMetric(states/float64(b.N), "states")
	b.ReportMetric(0, "ns/op") // it depends on the machine's processors, and says nothing
}
