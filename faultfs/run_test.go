package faultfs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/internal/capture"
)

// save replaces the number in dir; each step can be left out.
type save struct {
	noFsync, noDirSync, early bool
}

func (s save) to(w *faultfs.W, n int) error {
	w.Begin("save", n)
	path := filepath.Join(w.Dir(), "number")
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	if _, err := f.WriteString(strconv.Itoa(n)); err != nil {
		return errors.Join(err, f.Close())
	}
	if !s.noFsync {
		if err := f.Sync(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	if s.early {
		w.Ack("save", n)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	if !s.noDirSync {
		if err := syncDir(w.Dir()); err != nil {
			return err
		}
	}
	if !s.early {
		w.Ack("save", n)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// five returns a program that saves five times.
func (s save) five(w *faultfs.W) error {
	for n := 1; n <= 5; n++ {
		if err := s.to(w, n); err != nil {
			return err
		}
	}
	return nil
}

// verify demands a number no older than the last acknowledged.
func verify(s *faultfs.State) error {
	text, err := os.ReadFile(filepath.Join(s.Dir(), "number"))
	acked := faultfs.Args[int](s.Acked("save"))
	if os.IsNotExist(err) && len(acked) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	if begun := faultfs.Args[int](s.Begun("save")); n < len(acked) || n > len(begun) {
		return fmt.Errorf("the number is %d after %d acknowledged of %d begun", n, len(acked), len(begun))
	}
	return nil
}

func TestRunFindsNothingInARightProgram(t *testing.T) {
	report := faultfs.Run(t, faultfs.Test{Work: save{}.five, Verify: verify},
		faultfs.Models(faultfs.PosixWeak, faultfs.Posix4K, faultfs.Ext4, faultfs.XFS, faultfs.Btrfs))
	require.Len(t, report.Models, 5)
	for _, m := range report.Models {
		require.True(t, m.Exhaustive, m)
		require.Positive(t, m.Distinct)
		require.Zero(t, m.Found)
	}
}

func TestRunTellsAStory(t *testing.T) {
	s := capture.Run(t, func(tb faultfs.TB) {
		faultfs.Run(tb, faultfs.Test{Work: save{noDirSync: true}.five, Verify: verify}, faultfs.Models(faultfs.PosixWeak))
	})
	for _, part := range []string{"lost", "rename number.new to number", "run_test.go:", "missing", "fsync of the directory", "ack save(", "-faultfs.replay="} {
		require.Contains(t, s.Errors(), part)
	}
}

func TestRunReportsHowVerifyEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		verify func(*faultfs.State) error
		want   string
	}{
		{"error", func(*faultfs.State) error { return errors.New("all is lost") }, "all is lost"},
		{"panic", func(*faultfs.State) error { panic("oh") }, "panic: oh"},
		{"exit", func(*faultfs.State) error { os.Exit(3); return nil }, "the process died"},
		{"goroutine panic", func(*faultfs.State) error { go panic("elsewhere"); time.Sleep(time.Minute); return nil }, "elsewhere"},
		{"hang", func(*faultfs.State) error { select {} }, "hangs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			timeout := 10 * time.Second
			if tt.name == "hang" { // shrinking waits for it many times
				timeout = 200 * time.Millisecond
			}
			s := capture.Run(t, func(tb faultfs.TB) {
				faultfs.Run(tb, faultfs.Test{Work: save{}.five, Verify: tt.verify}, faultfs.Models(faultfs.Ext4), faultfs.StateTimeout(timeout))
			})
			require.Contains(t, s.Errors(), tt.want)
		})
	}
}

func TestRunReportsHowWorkEnds(t *testing.T) {
	for _, tt := range []struct {
		name        string
		setup       func(string) error
		work        func(*faultfs.W) error
		want, extra string
	}{
		{"setup fails", func(string) error { return errors.New("no luck") }, save{}.five, "setup: no luck", ""},
		{"work fails", nil, func(*faultfs.W) error { return errors.New("no luck") }, "no luck", ""},
		{"work panics", nil, func(*faultfs.W) error { panic("oh") }, "panic: oh", "run_test.go"},
		{"work exits", nil, func(*faultfs.W) error { os.Exit(3); return nil }, "without an outcome", ""},
		{"work hangs", nil, func(*faultfs.W) error { select {} }, "time-out", ""},
		{"work does nothing", nil, func(*faultfs.W) error { return nil }, "changed no file", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := capture.Run(t, func(tb faultfs.TB) {
				faultfs.Run(tb, faultfs.Test{Setup: tt.setup, Work: tt.work, Verify: verify}, faultfs.WorkTimeout(2*time.Second))
			})
			require.Contains(t, s.Errors(), tt.want)
			require.Contains(t, s.Errors(), tt.extra)
			require.True(t, s.Ended())
		})
	}
}

func TestRunRefuses(t *testing.T) {
	nothing := func(*faultfs.State) error { return nil }
	for _, tt := range []struct {
		name    string
		test    faultfs.Test
		options []faultfs.Option
		want    string
	}{
		{"no work", faultfs.Test{Verify: nothing}, nil, "Work"},
		{"no verify", faultfs.Test{Work: save{}.five}, nil, "Verify"},
		{"nested without recover", faultfs.Test{Work: save{}.five, Verify: nothing}, []faultfs.Option{faultfs.Nested(1)}, "Recover"},
		{"no models", faultfs.Test{Work: save{}.five, Verify: nothing}, []faultfs.Option{faultfs.Models()}, "model"},
		{"two of a name", faultfs.Test{Work: save{}.five, Verify: nothing}, []faultfs.Option{faultfs.Models(faultfs.Ext4, faultfs.Ext4)}, "ext4"},
		{"negative", faultfs.Test{Work: save{}.five, Verify: nothing}, []faultfs.Option{faultfs.Workers(0)}, "Workers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := capture.Run(t, func(tb faultfs.TB) { faultfs.Run(tb, tt.test, tt.options...) })
			require.Contains(t, s.Errors(), tt.want)
			require.True(t, s.Ended())
		})
	}
}

// recovered finishes or takes back an interrupted save, durably, in two steps.
func recovered(dir string) error {
	if err := os.Remove(filepath.Join(dir, "number.new")); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "recovered"), []byte("yes"), 0o600); err != nil {
		return err
	}
	return syncDir(dir)
}

func TestNestedCutsOffRecovery(t *testing.T) {
	report := faultfs.Run(t, faultfs.Test{Work: save{}.five, Recover: recovered, Verify: verify},
		faultfs.Models(faultfs.PosixWeak), faultfs.Nested(2))
	require.Positive(t, report.Models[0].Recoveries)
	require.Positive(t, report.Models[0].Nested)
}

// forgetful takes the number away before it puts it back: a crash in between loses it.
func forgetful(dir string) error {
	path := filepath.Join(dir, "number")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	return errors.Join(err, os.Remove(path), syncDir(dir), os.WriteFile(path, text, 0o600))
}

func TestNestedFindsABadRecovery(t *testing.T) {
	test := faultfs.Test{Work: save{}.five, Recover: forgetful, Verify: verify}
	faultfs.Run(t, test, faultfs.Models(faultfs.Ext4)) // it is right as long as it is not cut off
	s := capture.Run(t, func(tb faultfs.TB) { faultfs.Run(tb, test, faultfs.Models(faultfs.Ext4), faultfs.Nested(1)) })
	require.Contains(t, s.Errors(), "number")
	require.Contains(t, s.Errors(), "run_test.go")
}

func TestSeedGivesTheSameStates(t *testing.T) {
	var lines []string
	for range 2 {
		r := faultfs.Run(t, faultfs.Test{Work: save{}.five, Verify: verify}, faultfs.Subsets(2), faultfs.Seed(7))
		for _, m := range r.Models {
			require.False(t, m.Exhaustive)
			lines = append(lines, fmt.Sprint(m.Model, m.Explored, m.Distinct))
		}
	}
	require.Equal(t, lines[:len(lines)/2], lines[len(lines)/2:])
	require.False(t, strings.Contains(lines[0], " 0"))
}
