//go:build linux

package faultfs_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/internal/capture"
)

// leave ends the process behind the back of package testing.
func leave(status int) func() { return func() { unix.Exit(status) } }

func TestRunTellsHowWorkEnded(t *testing.T) {
	for _, tt := range []struct {
		name string
		test faultfs.Test
		want string
	}{
		{"in setup", faultfs.Test{Setup: func(string) error { leave(6)(); return nil }, Work: touch, Verify: accept}, "exit status 6; does the test function reach"},
		{"in work", faultfs.Test{Work: after(leave(7)), Verify: accept}, "without an outcome (exit status 7)"},
		{"not at all", faultfs.Test{Work: after(func() { time.Sleep(time.Minute) }), Verify: accept}, "its time-out of 100ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := capture.Run(t, func(tb faultfs.TB) { faultfs.Run(tb, tt.test, faultfs.WorkTimeout(100*time.Millisecond)) })
			require.Contains(t, s.Errors(), tt.want)
		})
	}
}

// To leave with status 0 is to say that all is well.
func TestSweepOfAProgramThatLeaves(t *testing.T) {
	s := capture.Run(t, func(tb faultfs.TB) {
		faultfs.Sweep(tb, faultfs.Test{Work: func(w *faultfs.W) error {
			if syncDir(w.Dir()) != nil {
				leave(0)()
			}
			return nil
		}, Verify: accept}, faultfs.Fail(faultfs.Fsync, syscall.EIO))
	})
	require.Contains(t, s.Errors(), "surfaced nowhere")
}
