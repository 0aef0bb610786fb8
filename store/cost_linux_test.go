package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/internal/iocount"
	"github.com/driftlesskv/driftless/internal/testenv"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

var flushTime = flag.Duration("flushtime", 5*time.Millisecond, "how much longer a flush takes in BenchmarkCreateCost")

// A workload is what a child process does while its system calls are counted.
type workload struct {
	Dir     string // of the store
	Backing string // directory of a backing.Dir; empty: one that costs nothing
	Op      string // a key of workloadOps
	N       int    // how often
	Callers int    // by so many goroutines; 0 means 1
	Close   bool   // else the process ends as it would in a crash

	slower time.Duration // how much longer each flush takes
	own    bool          // nobody else uses the disk of Dir
}

// workloadEnv tells TestCreateFlushes that it is in such a child, and what to do.
const workloadEnv = "DRIFTLESS_WORKLOAD"

var workloadOps = map[string]func(ctx context.Context, db *store.DB, d *store.Devices, name string) error{
	"update": func(ctx context.Context, db *store.DB, _ *store.Devices, name string) error {
		return db.Update(ctx, func(tx *store.Tx) error {
			return tx.Bucket("bench").Put([]byte(name), []byte("value"))
		})
	},
	"prepare": func(ctx context.Context, _ *store.DB, d *store.Devices, name string) error {
		_, err := d.Prepare(ctx, name, store.Spec{})
		return err
	},
	"create": func(ctx context.Context, _ *store.DB, d *store.Devices, name string) error {
		_, err := d.Create(ctx, name, store.Spec{})
		return err
	},
	"prepare, claim": func(ctx context.Context, _ *store.DB, d *store.Devices, name string) error {
		dev, err := d.Prepare(ctx, name, store.Spec{})
		if err != nil {
			return err
		}
		return d.Claim(ctx, dev)
	},
	"create, remove": func(ctx context.Context, _ *store.DB, d *store.Devices, name string) error {
		dev, err := d.Create(ctx, name, store.Spec{})
		if err != nil {
			return err
		}
		return d.Remove(ctx, dev)
	},
}

// runWorkload is the body of the child.
func runWorkload(t *testing.T, text string) {
	var w workload
	require.NoError(t, json.Unmarshal([]byte(text), &w))
	// No timer shall flush in between, however long a flush takes.
	db, err := store.Open(t.Context(), w.Dir, store.Options{SettleDelay: time.Hour})
	require.NoError(t, err)
	var b store.Backing = newNoBacking()
	if w.Backing != "" {
		b, err = backing.OpenDir(w.Backing)
		require.NoError(t, err)
	}
	devices := openTable(t, db, b)
	op := workloadOps[w.Op]
	require.NotNil(t, op, w.Op)
	require.NoError(t, spread(max(w.Callers, 1), w.N, func(i int) error {
		return op(t.Context(), db, devices, deviceName(i))
	}))
	if w.Close {
		require.NoError(t, db.Close())
	}
}

// count runs w in a child, as it is and with nothing to do, both on new stores, and
// returns what w costs more: the calls on store and backing, and, if the disk is our
// own, what it was given.
func count(t testing.TB, w workload) (iocount.Counts, iocount.Disk) {
	t.Helper()
	idle := w
	idle.N = 0
	baseCalls, baseDisk := countOnce(t, idle)
	calls, disk := countOnce(t, w)
	return calls.Sub(baseCalls), disk.Sub(baseDisk)
}

func countOnce(t testing.TB, w workload) (calls iocount.Counts, given iocount.Disk) {
	t.Helper()
	dir, err := os.MkdirTemp(w.Dir, "count-")
	require.NoError(t, err)
	w.Dir = filepath.Join(dir, "store")
	if w.Backing != "" {
		w.Backing = filepath.Join(dir, w.Backing)
	}
	text, err := json.Marshal(w)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0], "-test.run=^TestCreateFlushes$")
	cmd.Env = append(os.Environ(), workloadEnv+"="+string(text))
	var out bytes.Buffer
	cmd.Stdout = &out
	before := diskOf(t, w, dir)
	calls, err = iocount.Run(t.Context(), cmd, iocount.Options{FlushTime: w.slower})
	if errors.Is(err, iocount.ErrUnavailable) {
		testenv.Skip(t, err.Error())
	}
	require.NoError(t, err, "%s", out.Bytes())
	given = diskOf(t, w, dir).Sub(before)
	calls, err = calls.Below(dir)
	require.NoError(t, err)
	return calls, given
}

// diskOf returns what the disk of dir has been given if it is w's own, else nothing.
func diskOf(t testing.TB, w workload, dir string) (d iocount.Disk) {
	t.Helper()
	if w.own {
		var err error
		d, err = iocount.DiskOf(dir)
		require.NoError(t, err)
	}
	return d
}

// TestCreateFlushes counts what the device table costs a lone caller: bbolt flushes
// twice for each commit, an operation commits once for each record that must be
// durable before it goes on, and settling adds nothing.
func TestCreateFlushes(t *testing.T) {
	if text, child := os.LookupEnv(workloadEnv); child {
		runWorkload(t, text)
		return
	}
	for _, tt := range []struct {
		op      string
		n       int
		close   bool
		commits int
	}{
		{"update", 20, false, 20},
		{"prepare", 1, false, 1},
		{"prepare", 20, false, 20},
		{"create", 20, false, 20},
		{"create", 20, true, 21}, // Close settles the last one
		{"prepare, claim", 20, false, 40},
		{"create, remove", 20, false, 40},
	} {
		t.Run(fmt.Sprintf("%d %s, close %v", tt.n, tt.op, tt.close), func(t *testing.T) {
			calls, _ := count(t, workload{Dir: t.TempDir(), Op: tt.op, N: tt.n, Close: tt.close})
			require.Equal(t, 2*tt.commits, calls.Calls("fdatasync"))
			// The file may outgrow its size once; its new length is then flushed too.
			growth := calls.Calls("fsync")
			require.LessOrEqual(t, growth, 1)
			require.Equal(t, 2*tt.commits+growth, calls.Flushes(), "%v", calls)
		})
	}
}

// BenchmarkCreateCost counts what a create costs, in flushes and bytes, on a medium
// that flushes slowly. It measures no time.
func BenchmarkCreateCost(b *testing.B) {
	benchmarkCost(b, func(b *testing.B) workload { return workload{Dir: b.TempDir()} })
}

// BenchmarkCreateCostOnDisk does the same on an ext4 of its own, and so can tell
// what the file system makes of it.
func BenchmarkCreateCostOnDisk(b *testing.B) {
	benchmarkCost(b, func(b *testing.B) workload {
		return workload{Dir: testenv.LoopFS(b, "ext4", 256<<20), own: true}
	})
}

func benchmarkCost(b *testing.B, place func(*testing.B) workload) {
	for _, backing := range []string{"", "devices"} {
		for _, n := range writers {
			kind := "Noop"
			if backing != "" {
				kind = "Dir"
			}
			var cost map[string]float64
			b.Run(fmt.Sprintf("%s/callers=%d", kind, n), func(b *testing.B) {
				if cost == nil { // the framework calls this more than once
					w := place(b)
					w.Op, w.N, w.Callers, w.Backing, w.slower = "create", max(64, 16*n), n, backing, *flushTime
					cost = costOf(b, w)
				}
				for unit, x := range cost {
					b.ReportMetric(x, unit)
				}
				b.ReportMetric(0, "ns/op") // says nothing here
			})
		}
	}
}

// costOf returns what each operation of w costs, by the unit to report it in.
func costOf(b *testing.B, w workload) map[string]float64 {
	b.Helper()
	calls, disk := count(b, w)
	metadata := iocount.Counts{}
	for call, n := range calls {
		if strings.HasPrefix(call.Path, "store/") {
			metadata[call] = n
		}
	}
	per := func(x int64) float64 { return float64(x) / float64(w.N) }
	cost := map[string]float64{
		"meta-flushes/op": per(int64(metadata.Flushes())),
		"meta-B/op":       per(metadata.Bytes()),
		"flushes/op":      per(int64(calls.Flushes())),
		"B-to-kernel/op":  per(calls.Bytes()),
	}
	if w.own {
		cost["B-to-disk/op"] = per(disk.Bytes)
		cost["disk-flushes/op"] = per(int64(disk.Flushes))
	}
	return cost
}
