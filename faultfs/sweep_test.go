package faultfs_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/internal/capture"
)

func TestSweepSurfaces(t *testing.T) {
	report := faultfs.Sweep(t, faultfs.Test{Work: save{}.five, Verify: verify},
		faultfs.Fail(faultfs.Fsync, syscall.EIO),
		faultfs.Fail(faultfs.Write, syscall.ENOSPC),
		faultfs.Fail(faultfs.Create|faultfs.Rename, syscall.EROFS).FromThenOn(),
		faultfs.Fail(faultfs.Any, syscall.EDQUOT),
		faultfs.Models(faultfs.PosixWeak))
	require.Len(t, report.Sweeps, 4)
	hits := []int{10, 5, 10, 25} // of five times create, write, fsync, rename, fsync
	for i, s := range report.Sweeps {
		require.Equal(t, hits[i], s.Hits, s)
		require.Equal(t, hits[i], s.Surfaced, s)
		require.Zero(t, s.Masked, s)
	}
}

func TestSweepMasked(t *testing.T) {
	// The os package writes the rest of a short write, and tries again after EINTR.
	report := faultfs.Sweep(t, faultfs.Test{Work: retries, Verify: verifyRetries},
		faultfs.ShortWrite(), faultfs.Fail(faultfs.Write|faultfs.Create, syscall.EINTR),
		faultfs.Masked("faultfs_test.retries", 0, "os.File writes the rest"),
		faultfs.Masked("*", syscall.EINTR, "os.File tries again"))
	require.Equal(t, 1, report.Sweeps[0].Masked)
	require.Equal(t, 2, report.Sweeps[1].Masked)
}

func TestSweepWantsAReason(t *testing.T) {
	s := capture.Run(t, func(tb faultfs.TB) {
		faultfs.Sweep(tb, faultfs.Test{Work: save{}.five, Verify: verify}, faultfs.Fail(faultfs.Fsync, syscall.EINTR))
	})
	require.Contains(t, s.Errors(), "surfaced nowhere")
	require.Contains(t, s.Errors(), "save.to")
}

func TestSweepWantsNoIdleReason(t *testing.T) {
	s := capture.Run(t, func(tb faultfs.TB) {
		faultfs.Sweep(tb, faultfs.Test{Work: save{}.five, Verify: verify}, faultfs.Fail(faultfs.Fsync, syscall.EIO),
			faultfs.Masked("nowhere", syscall.EIO, "never met"))
	})
	require.Contains(t, s.Errors(), "met by no fault")
}

// retries tries a failed sync again and believes the second answer.
func retries(w *faultfs.W) error {
	f, err := os.Create(filepath.Join(w.Dir(), "number"))
	if err != nil {
		return err
	}
	if err := syncDir(w.Dir()); err != nil {
		return errors.Join(err, f.Close())
	}
	w.Begin("save", 1)
	if _, err := io.WriteString(f, "one"); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		w.Surfaced(err)
		if err := f.Sync(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	w.Ack("save", 1)
	return f.Close()
}

func verifyRetries(s *faultfs.State) error {
	text, err := os.ReadFile(filepath.Join(s.Dir(), "number"))
	if len(s.Acked("save")) > 0 && string(text) != "one" {
		return errors.Join(errors.New("the acknowledged one is lost"), err)
	}
	return nil
}

func TestSweepFindsARetriedFsync(t *testing.T) {
	test := faultfs.Test{Work: retries, Verify: verifyRetries}
	faultfs.Run(t, test)
	s := capture.Run(t, func(tb faultfs.TB) { faultfs.Sweep(tb, test, faultfs.Fail(faultfs.Fsync, syscall.EIO)) })
	for _, part := range []string{"the acknowledged one is lost", "fails with EIO, operation 2", "failed with EIO", "write number"} {
		require.Contains(t, s.Errors(), part)
	}
}

func TestSweepDelays(t *testing.T) {
	begun := time.Now()
	report := faultfs.Sweep(t, faultfs.Test{Work: retries, Verify: verifyRetries}, faultfs.Slow(faultfs.Fsync, 50*time.Millisecond))
	require.Equal(t, 2, report.Sweeps[0].Hits)
	require.Greater(t, time.Since(begun), 100*time.Millisecond)
}

func TestSweepHangs(t *testing.T) {
	report := faultfs.Sweep(t, faultfs.Test{Work: retries, Verify: verifyRetries}, faultfs.Hang(faultfs.Fsync))
	require.Equal(t, 2, report.Sweeps[0].Hits)
}

func TestSweepFindsPanicsAndForeignErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		work func(*faultfs.W) error
		want string
	}{
		{"panic", func(w *faultfs.W) error {
			if err := syncDir(w.Dir()); err != nil {
				panic(err)
			}
			return nil
		}, "panic: "},
		{"text only", func(w *faultfs.W) error {
			if err := syncDir(w.Dir()); err != nil {
				return errors.New(err.Error())
			}
			return nil
		}, "does not wrap"},
		{"nothing", func(w *faultfs.W) error { _ = syncDir(w.Dir()); return nil }, "surfaced nowhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := capture.Run(t, func(tb faultfs.TB) {
				faultfs.Sweep(tb, faultfs.Test{Work: tt.work, Verify: verifyRetries}, faultfs.Fail(faultfs.Fsync, syscall.EIO))
			})
			require.Contains(t, s.Errors(), tt.want)
		})
	}
}
