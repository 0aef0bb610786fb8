package store_test

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"iter"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

var taken = flag.Int("taken", 1_000_000, "how many ids are taken in BenchmarkAllocate")

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
					return tx.Bucket("bench").Put(benchKey(i), value)
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
				_, err := devices.Create(b.Context(), deviceName(i), store.Spec{})
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

// deviceName makes names as containerd does.
func deviceName(i int) string { return fmt.Sprintf("pool-snap-%d", i) }

func benchKey(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }

func BenchmarkCreateNoop(b *testing.B) {
	benchmarkCreate(b, func(*testing.B) store.Backing { return newNoBacking() })
}

func BenchmarkCreateDir(b *testing.B) {
	benchmarkCreate(b, func(b *testing.B) store.Backing {
		dir, err := backing.OpenDir(b.TempDir())
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, dir.Close()) })
		return dir
	})
}

// BenchmarkAllocate creates and removes a device in tables of different sizes. What
// the larger one costs more is what it takes to find a free id among many taken
// ones, and to write to a deeper tree. The disk takes no part in it where there is
// a file system in memory.
func BenchmarkAllocate(b *testing.B) {
	many := *taken
	if testing.Short() {
		many = min(many, 100_000)
	}
	for _, n := range []int{0, many} {
		b.Run(fmt.Sprintf("taken=%d", n), func(b *testing.B) {
			db := openBare(b, memoryDir(b))
			fill(b, db, n)
			devices := openTable(b, db, newNoBacking())
			for b.Loop() {
				dev, err := devices.Create(b.Context(), deviceName(n), store.Spec{})
				if err != nil {
					b.Fatal(err)
				}
				if err := devices.Remove(b.Context(), dev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen opens a store and a device table with many devices.
func BenchmarkOpen(b *testing.B) {
	const n = 100_000
	b.Run(fmt.Sprintf("devices=%d", n), func(b *testing.B) {
		dir := memoryDir(b)
		db := openBare(b, dir)
		fill(b, db, n)
		openTable(b, db, newNoBacking())
		for b.Loop() {
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
			db = openBare(b, dir)
			openTable(b, db, newNoBacking())
		}
	})
}

func BenchmarkView(b *testing.B) {
	const n = 1000
	db := open(b, b.TempDir(), store.Options{})
	require.NoError(b, db.Update(b.Context(), func(tx *store.Tx) error {
		for i := range n {
			if err := tx.Bucket("bench").Put(benchKey(i), make([]byte, 100)); err != nil {
				return err
			}
		}
		return nil
	}))
	for _, readers := range writers {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			err := spread(readers, b.N, func(i int) error {
				return db.View(func(tx *store.Tx) error {
					_, err := tx.Bucket("bench").Get(benchKey(i % n))
					return err
				})
			})
			require.NoError(b, err)
		})
	}
}

// openBare is open without the check at the end, which takes long on a large table.
func openBare(b *testing.B, dir string) *store.DB {
	b.Helper()
	db, err := store.Open(b.Context(), dir, store.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	return db
}

// fill puts n devices under the first ids of the table, in few transactions.
func fill(b *testing.B, db *store.DB, n int) {
	b.Helper()
	for first := 1; first <= n; first += 10_000 {
		var records []store.Record
		for id := first; id <= min(first+9_999, n); id++ {
			records = append(records, store.Record{
				Device: store.Device{
					ID: store.DeviceID(id), Name: deviceName(id - 1), Claimed: true,
					Stamp: store.Stamp{Incarnation: 1, Sequence: uint64(id)},
				},
				State: store.Taken, Phase: store.Ready,
			})
		}
		require.NoError(b, db.Update(b.Context(), store.PutRecords("pool", records)))
	}
}

// memoryDir returns a new directory in memory, or where there is none, on the disk.
func memoryDir(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "driftless-bench-")
	if err != nil {
		b.Logf("measuring on the disk: %v", err)
		return b.TempDir()
	}
	b.Cleanup(func() { require.NoError(b, os.RemoveAll(dir)) })
	return dir
}
