//go:build linux

package faultfs_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/internal/capture"
)

// What would have no effect is refused.
func TestUselessOptionsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		call    func(faultfs.TB, faultfs.Test, ...faultfs.Option) faultfs.Report
		options []faultfs.Option
		want    string
	}{
		{"fault in run", faultfs.Run, []faultfs.Option{faultfs.Fail(faultfs.Fsync, syscall.EIO)}, "for Sweep"},
		{"masked in run", faultfs.Run, []faultfs.Option{faultfs.Masked("*", syscall.EIO, "it may")}, "for Sweep"},
		{"states of all", faultfs.Run, []faultfs.Option{faultfs.Exhaustive(), faultfs.States(5)}, "Exhaustive explores all"},
		{"nil", faultfs.Run, []faultfs.Option{faultfs.Seed(1), nil}, "option 2 is nil"},
		{"nil in sweep", faultfs.Sweep, []faultfs.Option{nil}, "option 1 is nil"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := capture.Run(t, func(tb faultfs.TB) { tt.call(tb, faultfs.Test{Work: touch, Verify: accept}, tt.options...) })
			require.Contains(t, s.Errors(), tt.want)
			require.True(t, s.Ended())
		})
	}
	require.PanicsWithValue(t, "faultfs: Run and Sweep need a test, such as a *testing.T, not nil", func() {
		faultfs.Sweep(nil, faultfs.Test{Work: touch, Verify: accept})
	})
}

// A mark under a name that would not come back as it is given is refused.
func TestMarksOfWrongNames(t *testing.T) {
	for _, name := range []string{"a\x00b", "faultfs.surfaced"} {
		for _, mark := range []func(*faultfs.W, string, ...any){(*faultfs.W).Ack, (*faultfs.W).Begin} {
			t.Run(fmt.Sprintf("%q", name), func(t *testing.T) {
				s := capture.Run(t, func(tb faultfs.TB) {
					faultfs.Run(tb, faultfs.Test{Work: func(w *faultfs.W) error { mark(w, name, 1); return touch(w) }, Verify: accept})
				})
				require.Contains(t, s.Errors(), fmt.Sprintf("set mark %q: the name is reserved", name))
			})
		}
	}
}

// copied runs a command that syncs.
func copied(w *faultfs.W) error {
	cmd := exec.Command("dd", "if=/dev/zero", "of=f", "bs=10", "count=1", "conv=fsync", "status=none")
	cmd.Dir = w.Dir()
	return cmd.Run()
}

func TestSweepOfACommand(t *testing.T) {
	fault := faultfs.Fail(faultfs.Fsync, syscall.EIO)
	t.Run("whose error is returned", func(t *testing.T) {
		report := faultfs.Sweep(t, faultfs.Test{Work: copied, Verify: accept}, fault)
		require.Equal(t, 1, report.Sweeps[0].Surfaced)
	})
	t.Run("whose error is not", func(t *testing.T) {
		s := capture.Run(t, func(tb faultfs.TB) {
			faultfs.Sweep(tb, faultfs.Test{Work: func(w *faultfs.W) error { _ = copied(w); return nil }, Verify: accept}, fault)
		})
		require.Contains(t, s.Errors(), "surfaced nowhere")
	})
	t.Run("beside an operation of its own", func(t *testing.T) {
		s := capture.Run(t, func(tb faultfs.TB) {
			faultfs.Sweep(tb, faultfs.Test{Work: func(w *faultfs.W) error {
				if syncDir(w.Dir()) != nil {
					return errors.New("no errno")
				}
				return copied(w)
			}, Verify: accept}, fault)
		})
		require.Contains(t, s.Errors(), "does not wrap the errno: no errno")
	})
}

func TestSweepTakesFatalForAnError(t *testing.T) {
	report := faultfs.Sweep(t, faultfs.Test{Work: func(w *faultfs.W) error {
		require.NoError(t, syncDir(w.Dir()))
		return nil
	}, Verify: accept}, faultfs.Fail(faultfs.Fsync, syscall.EIO))
	require.Equal(t, 1, report.Sweeps[0].Surfaced)
}

// Marks that come together say nothing of what was done between them.
func TestMarkLinesInOneWrite(t *testing.T) {
	lines := func(w *faultfs.W) error {
		_, err := fmt.Fprint(os.Stdout, "faultfs: ack put 1\nfaultfs: ack put 2\n")
		return errors.Join(err, touch(w))
	}
	s := capture.Run(t, func(tb faultfs.TB) {
		faultfs.Run(tb, faultfs.Test{Work: lines, Verify: accept}, faultfs.MarkLines())
	})
	require.Contains(t, s.Errors(), "flush after each line")
	require.True(t, s.Ended())
	s = capture.Run(t, func(tb faultfs.TB) { // under a fault alone
		faultfs.Sweep(tb, faultfs.Test{Work: func(w *faultfs.W) error {
			if err := syncDir(w.Dir()); err != nil {
				return lines(w)
			}
			return nil
		}, Verify: accept}, faultfs.MarkLines(), faultfs.Fail(faultfs.Fsync, syscall.EIO))
	})
	require.Contains(t, s.Errors(), "flush after each line")
	faultfs.Run(t, faultfs.Test{Work: lines, Verify: accept}) // they are no marks
}
