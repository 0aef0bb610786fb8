//go:build linux && (amd64 || arm64)

package record_test

import (
	"encoding/binary"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

const rateCommits = 3000

var partCommits = part("commits", func(dir string) error {
	db, err := bolt.Open(filepath.Join(dir, "db"), 0o600, nil)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for i := range rateCommits {
		err := db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			if err != nil {
				return err
			}
			return b.Put(binary.BigEndian.AppendUint32(nil, uint32(i%100)), []byte("value"))
		})
		if err != nil {
			return err
		}
	}
	return nil
})

// BenchmarkRecordedCommits records small commits of bbolt, with stacks. Its
// commits/s are those of the recorded program, from its start to the finished trace.
func BenchmarkRecordedCommits(b *testing.B) {
	commits, took := 0, time.Duration(0)
	for b.Loop() {
		s := start(b, partCommits, shm(b), record.Options{})
		began := time.Now()
		tr := next(b, s)
		took += time.Since(began)
		commits += rateCommits
		require.NoError(b, s.Wait())
		require.GreaterOrEqual(b, len(tr.Ops), 4*rateCommits)
		require.Equal(b, trace.Create, tr.Ops[0].Kind)
		b.ReportMetric(float64(len(tr.Ops))/rateCommits, "ops/commit")
	}
	b.ReportMetric(float64(commits)/took.Seconds(), "commits/s")
}
