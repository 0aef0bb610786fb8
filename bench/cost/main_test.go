package main

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/bench/internal/cost"
	"github.com/driftlesskv/driftless/internal/iocount"
	"github.com/driftlesskv/driftless/internal/testenv"
)

func TestMain(m *testing.M) {
	cost.Child(context.Background(), subjects)
	os.Exit(m.Run())
}

// TestCost holds the claims of the table: one transaction and two flushes of the
// metadata for a lone create, whatever the resource costs, and less for several at
// once.
func TestCost(t *testing.T) {
	const creates = 64
	rows, err := cost.Measure(t.Context(), cost.Options{Callers: []int{1, 8}, Creates: creates, Devices: 20, Dir: t.TempDir()}, subjects, io.Discard)
	if errors.Is(err, iocount.ErrUnavailable) {
		testenv.Skip(t, err.Error())
	}
	require.NoError(t, err)
	require.Len(t, rows, 4)
	for i, row := range rows {
		// Close and, on a slow machine, each second of the run settle what is left.
		more := row.Seconds + 2.0/creates
		directories, lone := i%2 == 1, i < 2
		if lone {
			require.InDelta(t, 1+more/2, row.Transactions, more/2)
		} else {
			require.Less(t, row.Transactions, 1.0)
		}
		require.InDelta(t, 2*row.Transactions, row.MetadataFlushes, 2.0/creates, "and one for the growth of the file")
		if directories {
			require.GreaterOrEqual(t, row.OtherFlushes, 1.0)
		} else {
			require.Zero(t, row.OtherFlushes)
		}
	}
}

// TestSubjectsKeepWhatTheyMake opens a subject again on what it has left.
func TestSubjectsKeepWhatTheyMake(t *testing.T) {
	for _, subject := range subjects {
		t.Run(subject.Name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"first", "second"} {
				instance, err := subject.Open(t.Context(), dir)
				require.NoError(t, err)
				require.NoError(t, instance.Create(t.Context(), name))
				require.NoError(t, instance.Close())
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	require.Error(t, run(t.Context(), []string{"-callers", "0"}))
	require.Error(t, run(t.Context(), []string{"-no-such-flag"}))
}
