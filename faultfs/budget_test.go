//go:build linux

package faultfs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/internal/capture"
)

// lately replaces a number rightly many times over, and forgets the fsync at last. It
// sets no marks.
func lately(w *faultfs.W) error {
	const last = 80
	path := filepath.Join(w.Dir(), "number")
	for n := 1; n <= last; n++ {
		f, err := os.Create(path + ".new")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(f, "%0600d", n)
		if n < last {
			err = errors.Join(err, f.Sync())
		}
		if err = errors.Join(err, f.Close(), os.Rename(path+".new", path), syncDir(w.Dir())); err != nil {
			return err
		}
	}
	return nil
}

// whole demands a number that is whole, if there is one.
func whole(s *faultfs.State) error {
	text, err := os.ReadFile(filepath.Join(s.Dir(), "number"))
	if err == nil && (len(text) != 600 || text[0] != '0') {
		return fmt.Errorf("the number has %d bytes", len(text))
	}
	return nil
}

// The last crash points get as much of the budget as the first, even if no mark
// separates them.
func TestBudgetReachesTheEnd(t *testing.T) {
	var report faultfs.Report
	s := capture.Run(t, func(tb faultfs.TB) {
		report = faultfs.Run(tb, faultfs.Test{Work: lately, Verify: whole}, faultfs.Models(faultfs.PosixWeak), faultfs.States(150))
	})
	require.Contains(t, s.Errors(), "the number has")
	require.Positive(t, report.Models[0].Left)
}

// A state that several processes meet counts once.
func TestEqualStatesCountOnce(t *testing.T) {
	var counts []int
	for workers := 1; workers <= 3; workers++ {
		report := capture.Run(t, func(tb faultfs.TB) {
			r := faultfs.Run(tb, faultfs.Test{Work: lately, Verify: func(*faultfs.State) error { return nil }},
				faultfs.Models(faultfs.PosixWeak), faultfs.Exhaustive(), faultfs.Workers(workers))
			counts = append(counts, r.Models[0].Distinct)
		})
		require.Empty(t, report.Errors())
	}
	require.Len(t, counts, 3)
	require.Equal(t, counts[0], counts[1])
	require.Equal(t, counts[0], counts[2])
}

// Many legal states that are all equal end with the budget as well.
func TestBudgetOfEqualStates(t *testing.T) {
	work := func(w *faultfs.W) error {
		fd, err := unix.Open(w.Dir(), unix.O_TMPFILE|unix.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		for i := range int64(24) {
			if _, err := unix.Pwrite(fd, []byte("abc"), i*512); err != nil {
				return errors.Join(err, unix.Close(fd))
			}
		}
		return errors.Join(touch(w), unix.Close(fd))
	}
	begun := time.Now()
	s := capture.Run(t, func(tb faultfs.TB) {
		faultfs.Run(tb, faultfs.Test{Work: work, Verify: accept}, faultfs.Models(faultfs.PosixWeak), faultfs.Budget(time.Second), faultfs.Exhaustive())
	})
	require.Contains(t, s.Errors(), "the budget does not suffice")
	require.Less(t, time.Since(begun), time.Minute)
}
