package store_test

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"iter"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/store"
)

// taken is how many ids BenchmarkAllocate takes before it measures.
var taken = flag.Int("taken", 1_000_000, "ids taken in BenchmarkAllocate and BenchmarkOpen")

// writers are the numbers of goroutines that the benchmarks compare.
var writers = []int{1, 16, 64}

// noBacking is a backing that costs nothing: what is measured with it is metadata.
type noBacking struct {
	mu   sync.Mutex
	made map[store.DeviceID]store.Stamp
}

func newNoBacking() *noBacking { return &noBacking{made: map[store.DeviceID]store.Stamp{}} }

func (b *noBacking) Identity(context.Context) (string, error) { return "nothing", nil }

func (b *noBacking) Create(_ context.Context, dev store.Device) (store.Attrs, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made[dev.ID] = dev.Stamp
	return nil, nil
}

func (b *noBacking) Remove(_ context.Context, dev store.Device) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.made, dev.ID)
	return nil
}

func (b *noBacking) Probe(_ context.Context, id store.DeviceID) (store.Presence, store.Stamp, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if stamp, ok := b.made[id]; ok {
		return store.Present, stamp, nil
	}
	return store.Absent, store.Stamp{}, nil
}

func (b *noBacking) List(context.Context) iter.Seq2[store.Resource, error] {
	return func(yield func(store.Resource, error) bool) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for id, stamp := range b.made {
			if !yield(store.Resource{ID: id, Stamp: stamp, Presence: store.Present}, nil) {
				return
			}
		}
	}
}

// spread has so many goroutines call op(0) to op(n-1), each once. It returns the
// first error, after all have stopped.
func spread(goroutines, n int, op func(i int) error) error {
	var next atomic.Int64
	errs := make(chan error, goroutines)
	for range goroutines {
		go func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					errs <- nil
					return
				}
				if err := op(i); err != nil {
					next.Store(int64(n))
					errs <- err
					return
				}
			}
		}()
	}
	var first error
	for range goroutines {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}

// reportGroups reports how transactions shared commits between two readings.
func reportGroups(b *testing.B, before, after store.Stats) {
	b.Helper()
	txns, commits := after.Transactions-before.Transactions, after.Commits-before.Commits
	b.ReportMetric(float64(txns)/float64(b.N), "txn/op")
	b.ReportMetric(float64(commits)/float64(b.N), "commits/op")
	if commits > 0 {
		b.ReportMetric(float64(txns)/float64(commits), "txn/commit")
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, n := range writers {
		b.Run(fmt.Sprintf("writers=%d", n), func(b *testing.B) {
			db := open(b, b.TempDir(), store.Options{})
			value := make([]byte, 100)
			before := db.Stats()
			b.ResetTimer()
			err := spread(n, b.N, func(i int) error {
				return db.Update(b.Context(), func(tx *store.Tx) error {
					return tx.Bucket("bench").Put(binary.BigEndian.AppendUint64(nil, uint64(i)), value)
				})
			})
			b.StopTimer()
			require.NoError(b, err)
			reportGroups(b, before, db.Stats())
		})
	}
}

func benchmarkCreate(b *testing.B, newBacking func(b *testing.B) store.Backing) {
	for _, n := range writers {
		b.Run(fmt.Sprintf("callers=%d", n), func(b *testing.B) {
			db := open(b, b.TempDir(), store.Options{})
			devices := openTable(b, db, newBacking(b))
			before := db.Stats()
			b.ResetTimer()
			err := spread(n, b.N, func(i int) error {
				_, err := devices.Create(b.Context(), name(i), store.Spec{})
				return err
			})
			b.StopTimer()
			require.NoError(b, err)
			reportGroups(b, before, db.Stats())
		})
	}
}

func openTable(t testing.TB, db *store.DB, backing store.Backing) *store.Devices {
	t.Helper()
	devices, err := db.OpenDevices(t.Context(), "pool", store.DevicesOptions{Backing: backing})
	require.NoError(t, err)
	return devices
}

func name(i int) string { return fmt.Sprintf("pool-snap-%d", i) }

func BenchmarkCreateNoop(b *testing.B) {
	benchmarkCreate(b, func(*testing.B) store.Backing { return newNoBacking() })
}

// take creates n devices, by so many goroutines that few commits do.
func take(t testing.TB, devices *store.Devices, n int) {
	t.Helper()
	require.NoError(t, spread(1024, n, func(i int) error {
		_, err := devices.Create(t.Context(), name(i), store.Spec{})
		return err
	}))
}

func BenchmarkAllocate1M(b *testing.B) {
	n := *taken
	db := open(b, b.TempDir(), store.Options{})
	devices := openTable(b, db, newNoBacking())
	take(b, devices, n)
	b.Log(filepath.Base(b.Name()))
	for b.Loop() {
		dev, err := devices.Create(b.Context(), name(n), store.Spec{})
		require.NoError(b, err)
		require.NoError(b, devices.Remove(b.Context(), dev))
	}
}
