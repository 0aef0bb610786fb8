//go:build linux

package faultfs_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/internal/capture"
)

// What a test does wrong itself must not look like a proof.

func TestErrorfCounts(t *testing.T) {
	t.Run("verify", func(t *testing.T) {
		s := capture.Run(t, func(tb faultfs.TB) {
			faultfs.Run(tb, faultfs.Test{Work: save{}.five, Verify: func(s *faultfs.State) error {
				if err := verify(s); err == nil {
					t.Errorf("all is lost")
				}
				return nil
			}}, faultfs.Models(faultfs.Ext4))
		})
		require.Contains(t, s.Errors(), "failed by Errorf")
		require.Contains(t, s.Errors(), "all is lost")
	})
	t.Run("work", func(t *testing.T) {
		s := capture.Run(t, func(tb faultfs.TB) {
			faultfs.Run(tb, faultfs.Test{Work: func(w *faultfs.W) error {
				t.Errorf("no luck")
				return save{}.five(w)
			}, Verify: verify})
		})
		require.Contains(t, s.Errors(), "failed by Errorf")
		require.Contains(t, s.Errors(), "no luck")
	})
}

// mapped stores through a writable shared map.
func mapped(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, "map"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Truncate(4096); err != nil {
		return errors.Join(err, f.Close())
	}
	m, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	m[0] = 1
	return errors.Join(unix.Munmap(m), f.Close())
}

func TestBlindSpotsFail(t *testing.T) {
	nothing := func(*faultfs.State) error { return nil }
	work := func(w *faultfs.W) error { return mapped(w.Dir()) }
	t.Run("in work", func(t *testing.T) {
		s := capture.Run(t, func(tb faultfs.TB) { faultfs.Run(tb, faultfs.Test{Work: work, Verify: nothing}) })
		require.Contains(t, s.Errors(), "writable shared map: map")
	})
	t.Run("accepted", func(t *testing.T) {
		faultfs.Run(t, faultfs.Test{Work: work, Verify: nothing}, faultfs.AcceptBlind("map", "a cache"))
	})
	t.Run("of another name", func(t *testing.T) {
		s := capture.Run(t, func(tb faultfs.TB) {
			faultfs.Run(tb, faultfs.Test{Work: work, Verify: nothing}, faultfs.AcceptBlind("*.map", "a cache"))
		})
		require.Contains(t, s.Errors(), "writable shared map: map")
	})
	t.Run("in recovery", func(t *testing.T) {
		s := capture.Run(t, func(tb faultfs.TB) {
			faultfs.Run(tb, faultfs.Test{Work: save{}.five, Recover: mapped, Verify: nothing}, faultfs.Nested(1))
		})
		require.Contains(t, s.Errors(), "blind spot in Recover: writable shared map: map")
	})
	t.Run("a process of setup", func(t *testing.T) {
		s := capture.Run(t, func(tb faultfs.TB) {
			faultfs.Run(tb, faultfs.Test{
				Setup: func(dir string) error {
					return exec.Command("sh", "-c", "(sleep 0.3; echo x >"+filepath.Join(dir, "unseen")+") >/dev/null 2>&1 &").Run()
				},
				Work: func(w *faultfs.W) error {
					time.Sleep(600 * time.Millisecond)
					return save{}.five(w)
				},
				Verify: verify,
			})
		})
		require.Contains(t, s.Errors(), "unseen: added")
	})
}

// What happens to the directory itself is in no recording.
func TestReplacedDirectory(t *testing.T) {
	again := func(dir string) error {
		return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "new"), nil, 0o600))
	}
	for _, tt := range []struct {
		name string
		work func(dir string) error
	}{
		{"removed", os.RemoveAll},
		{"removed and made anew", func(dir string) error { return errors.Join(os.RemoveAll(dir), again(dir)) }},
		{"renamed", func(dir string) error { return os.Rename(dir, dir+".old") }},
		{"renamed and made anew", func(dir string) error { return errors.Join(os.Rename(dir, dir+".old"), again(dir)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := capture.Run(t, func(tb faultfs.TB) {
				faultfs.Run(tb, faultfs.Test{
					Setup:  func(dir string) error { return os.WriteFile(filepath.Join(dir, "old"), nil, 0o600) },
					Work:   func(w *faultfs.W) error { return tt.work(w.Dir()) },
					Verify: func(*faultfs.State) error { return nil },
				}, faultfs.Models(faultfs.Ext4), faultfs.In(t.TempDir())) // where numbers can be used again
			})
			require.Contains(t, s.Errors(), "the directory itself was removed, renamed or replaced")
			require.NotContains(t, s.Errors(), "has to be started by Work")
		})
	}
}

func TestSweepBelievesNoOldError(t *testing.T) {
	s := capture.Run(t, func(tb faultfs.TB) {
		faultfs.Sweep(tb, faultfs.Test{Work: func(w *faultfs.W) error {
			w.Surfaced(syscall.EIO) // of something else, before
			_ = syncDir(w.Dir())
			return nil
		}, Verify: verifyRetries}, faultfs.Fail(faultfs.Fsync, syscall.EIO))
	})
	require.Contains(t, s.Errors(), "surfaced nowhere")
}

func TestSweepOfAProgramThatExits(t *testing.T) {
	report := faultfs.Sweep(t, faultfs.Test{Work: func(w *faultfs.W) error {
		if err := syncDir(w.Dir()); err != nil {
			os.Exit(1)
		}
		return nil
	}, Verify: verifyRetries}, faultfs.Fail(faultfs.Fsync, syscall.EIO))
	require.Equal(t, 1, report.Sweeps[0].Surfaced)
}

func TestSweepRefuses(t *testing.T) {
	for _, f := range []faultfs.Fault{faultfs.Fail(faultfs.Fsync, 0), faultfs.Fail(0, syscall.EIO), faultfs.Slow(faultfs.Any, 0)} {
		t.Run(f.String(), func(t *testing.T) {
			s := capture.Run(t, func(tb faultfs.TB) { faultfs.Sweep(tb, faultfs.Test{Work: save{}.five, Verify: verify}, f) })
			require.Contains(t, s.Errors(), "nothing goes wrong")
		})
	}
}

func TestMaskedTakesWholeNames(t *testing.T) {
	s := capture.Run(t, func(tb faultfs.TB) {
		faultfs.Sweep(tb, faultfs.Test{Work: func(w *faultfs.W) error { _ = syncDir(w.Dir()); return nil }, Verify: verifyRetries},
			faultfs.Fail(faultfs.Fsync, syscall.EIO), faultfs.Masked("Dir", syscall.EIO, "a part of a word"))
	})
	require.Contains(t, s.Errors(), "surfaced nowhere")
}

func TestBudgetSaysWhatItLeftOut(t *testing.T) {
	slow := func(s *faultfs.State) error { time.Sleep(100 * time.Millisecond); return verify(s) }
	report := faultfs.Run(t, faultfs.Test{Work: save{}.five, Verify: slow}, faultfs.Models(faultfs.PosixWeak), faultfs.Workers(1), faultfs.Budget(time.Millisecond))
	require.False(t, report.Models[0].Exhaustive)
	require.Positive(t, report.Models[0].Left)
	require.Contains(t, report.Models[0].String(), "left out by the budget")
}

// A state that leaves a process behind, with all that it inherits, must not hang the
// test.
func TestVerifyLeavesAProcess(t *testing.T) {
	begun := time.Now()
	s := capture.Run(t, func(tb faultfs.TB) {
		faultfs.Run(tb, faultfs.Test{Work: save{}.five, Verify: func(*faultfs.State) error {
			cmd := exec.Command("sleep", "20")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := cmd.Start(); err != nil {
				return err
			}
			time.AfterFunc(3*time.Second, func() { _ = cmd.Process.Kill() })
			os.Exit(1)
			return nil
		}}, faultfs.Models(faultfs.Ext4), faultfs.StateTimeout(time.Second))
	})
	require.Contains(t, s.Errors(), "the process died")
	require.Less(t, time.Since(begun), 15*time.Second)
}

func TestRecoverThatExits(t *testing.T) {
	s := capture.Run(t, func(tb faultfs.TB) {
		faultfs.Run(tb, faultfs.Test{Work: save{}.five, Verify: verify, Recover: func(dir string) error {
			if text, _ := os.ReadFile(filepath.Join(dir, "number")); string(text) == "3" {
				os.Exit(7)
			}
			return nil
		}}, faultfs.Models(faultfs.Ext4), faultfs.Nested(1))
	})
	require.Contains(t, s.Errors(), "the process died")
}
