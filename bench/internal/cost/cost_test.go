package cost_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/driftlesskv/driftless/bench/internal/cost"
	"github.com/driftlesskv/driftless/internal/iocount"
	"github.com/driftlesskv/driftless/internal/testenv"
)

// The subjects have a known price. bbolt flushes twice in each transaction.
var subjects = []cost.Subject{
	{Name: "one transaction", Data: "data.db", Open: open(1, 0)},
	{Name: "three transactions, two files", Data: "data.db", Open: open(3, 2)},
	{Name: "broken", Data: "data.db", Open: func(context.Context, string) (cost.Instance, error) {
		return cost.Instance{
			Create: func(context.Context, string) error { return errors.New("out of ideas") },
			Close:  func() error { return nil },
		}, nil
	}},
	{Name: "closed", Data: "data.db", Open: func(context.Context, string) (cost.Instance, error) {
		return cost.Instance{}, errors.New("no entry")
	}},
}

func TestMain(m *testing.M) {
	cost.Child(context.Background(), subjects)
	os.Exit(m.Run())
}

// open returns the Open of a subject whose create commits so many transactions and
// then writes and flushes so many files of 1000 bytes.
func open(transactions, files int) func(context.Context, string) (cost.Instance, error) {
	return func(_ context.Context, dir string) (cost.Instance, error) {
		db, err := bolt.Open(filepath.Join(dir, "data.db"), 0o600, nil)
		if err != nil {
			return cost.Instance{}, err
		}
		return cost.Instance{Close: db.Close, Create: func(_ context.Context, name string) error {
			for range transactions {
				if err := db.Update(func(tx *bolt.Tx) error {
					b, err := tx.CreateBucketIfNotExists([]byte("b"))
					return errors.Join(err, b.Put([]byte(name), nil))
				}); err != nil {
					return err
				}
			}
			for range files {
				if err := writeFile(filepath.Join(dir, name)); err != nil {
					return err
				}
			}
			return nil
		}}, nil
	}
}

func writeFile(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 1000))
	return errors.Join(err, f.Sync(), f.Close())
}

// measure measures in a directory of the test's, or skips where that cannot be done.
func measure(t *testing.T, opts cost.Options, subjects []cost.Subject) ([]cost.Row, error) {
	t.Helper()
	opts.Dir = t.TempDir()
	rows, err := cost.Measure(t.Context(), opts, subjects, io.Discard)
	if errors.Is(err, iocount.ErrUnavailable) {
		testenv.Skip(t, err.Error())
	}
	left, lerr := os.ReadDir(opts.Dir)
	require.NoError(t, lerr)
	require.Empty(t, left, "what is left of the measurement")
	return rows, err
}

func TestMeasure(t *testing.T) {
	const creates = 32
	rows, err := measure(t, cost.Options{Callers: []int{1, 4}, Creates: creates, Devices: 10}, subjects[:2])
	require.NoError(t, err)
	require.Len(t, rows, 4)
	for i, row := range rows {
		subject, files := i%2, i%2*2
		transactions := []float64{1, 3}[subject]
		callers := []int{1, 4}[i/2]
		require.Equal(t, subjects[subject].Name, row.Subject)
		require.Equal(t, callers, row.Callers)
		require.Equal(t, max(creates, 16*callers), row.Creates)
		require.InDelta(t, transactions, row.Transactions, 0)
		// The file grows once or twice, which is a flush each.
		require.InDelta(t, 2*transactions, row.MetadataFlushes, 2.0/creates+1e-9)
		require.InDelta(t, files, row.OtherFlushes, 0)
		require.Greater(t, row.KernelBytes, transactions*2*4096+float64(files)*1000, "two pages at least in each transaction")
		require.Less(t, row.KernelBytes, transactions*8*4096)
		require.Zero(t, row.DiskBytes, "the disk is not our own")
		require.Positive(t, row.Seconds)
	}
}

func TestMeasureDisk(t *testing.T) {
	testenv.NeedRoot(t)
	var log bytes.Buffer
	rows, err := cost.Measure(t.Context(), cost.Options{Callers: []int{1}, Creates: 32}, subjects[:1], &log)
	if errors.Is(err, iocount.ErrUnavailable) {
		testenv.Skip(t, err.Error())
	}
	require.NoError(t, err)
	if rows[0].DiskBytes == 0 {
		testenv.Skip(t, log.String())
	}
	require.GreaterOrEqual(t, rows[0].DiskBytes, rows[0].KernelBytes, "what is flushed reaches the disk")
	require.GreaterOrEqual(t, rows[0].DiskFlushes, 1.9)
}

func TestMeasureFlushTime(t *testing.T) {
	rows, err := measure(t, cost.Options{Callers: []int{1}, Creates: 4, FlushTime: 5 * time.Millisecond}, subjects[:1])
	require.NoError(t, err)
	require.GreaterOrEqual(t, rows[0].Seconds, 0.010, "two flushes in each create")
}

func TestMeasureErrors(t *testing.T) {
	for _, tt := range []struct {
		name    string
		opts    cost.Options
		subject cost.Subject
	}{
		{"a create that fails", cost.Options{Callers: []int{2}, Creates: 1, Devices: 1}, subjects[2]},
		{"no open", cost.Options{Callers: []int{1}, Creates: 1}, subjects[3]},
		{"a subject that the child does not know", cost.Options{Callers: []int{1}, Creates: 1}, cost.Subject{Name: "unknown"}},
		{"no caller", cost.Options{Callers: []int{0}, Creates: 1}, subjects[0]},
		{"no create", cost.Options{Callers: []int{1}}, subjects[0]},
		{"fewer devices than none", cost.Options{Callers: []int{1}, Creates: 1, Devices: -1}, subjects[0]},
		{"time that runs backwards", cost.Options{Callers: []int{1}, Creates: 1, FlushTime: -1}, subjects[0]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := measure(t, tt.opts, []cost.Subject{tt.subject})
			require.Error(t, err)
		})
	}
}

func TestFlags(t *testing.T) {
	parse := func(args ...string) (opts cost.Options, err error) {
		flags := flag.NewFlagSet("test", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		opts.Register(flags)
		return opts, flags.Parse(args)
	}
	opts, err := parse()
	require.NoError(t, err)
	require.Equal(t, []int{1, 16, 64}, opts.Callers)

	opts, err = parse("-callers", "2,3", "-creates", "4", "-devices", "5", "-flush", "6ms", "-dir", "/seven")
	require.NoError(t, err)
	want := cost.Options{Callers: []int{2, 3}, Creates: 4, Devices: 5, FlushTime: 6 * time.Millisecond, Dir: "/seven"}
	require.Equal(t, want, opts)

	again, err := parse(opts.Args()...)
	require.NoError(t, err)
	want.JSON = true
	require.Equal(t, want, again)

	_, err = parse("-callers", "1,many")
	require.Error(t, err)
}

func TestPrint(t *testing.T) {
	rows := []cost.Row{
		{Subject: "a", Callers: 1, Transactions: 1, MetadataFlushes: 2, KernelBytes: 24_600, DiskBytes: 25_000, DiskFlushes: 2.5, Seconds: 0.5},
		{Subject: "b", Callers: 1, Transactions: 5, MetadataFlushes: 9, OtherFlushes: 1, KernelBytes: 110_400, Seconds: 8},
		{Subject: "a", Callers: 16, Transactions: 0.0625, MetadataFlushes: 0.126, KernelBytes: 1900},
		{Subject: "b", Callers: 16, Transactions: 5, MetadataFlushes: 10, KernelBytes: 111_000, Seconds: 1},
	}
	var table bytes.Buffer
	require.NoError(t, cost.Print(&table, cost.Options{}, rows))
	require.Equal(t, `| callers | per create | transactions | flushes of metadata | of the resource | KB to the kernel | KB to the disk | flushes of the disk | all flushes, ratio | time, ratio |
|--:|:--|--:|--:|--:|--:|--:|--:|--:|--:|
| 1 | a | 1.00 | 2.00 | 0 | 25 | 25 | 2.50 | 1.0 | 1.0 |
| 1 | b | 5.00 | 9.00 | 1.00 | 110 | - | - | 5.0 | 16 |
| 16 | a | 0.062 | 0.13 | 0 | 1.90 | - | - | 1.0 | - |
| 16 | b | 5.00 | 10 | 0 | 111 | - | - | 79 | - |
`, table.String())

	var list bytes.Buffer
	require.NoError(t, cost.Print(&list, cost.Options{JSON: true}, rows[:1]))
	require.JSONEq(t, `[{"subject":"a","callers":1,"creates":0,"transactions":1,"metadata_flushes":2,"other_flushes":0,
		"kernel_bytes":24600,"disk_bytes":25000,"disk_flushes":2.5,"seconds":0.5}]`, list.String())
}
