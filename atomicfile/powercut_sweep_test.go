//go:build linux

package atomicfile_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/driftlesskv/driftless/atomicfile"
	"github.com/driftlesskv/driftless/faultfs"
)

// masked are the faults after which the package goes on, and why that is right.
var masked = []faultfs.Option{
	faultfs.Masked("*", syscall.EINTR, "a signal: the call is made again"),
	faultfs.Masked("*", 0, "os.File writes the rest"),
}

// unlinked are those of the removal of a directory.
var unlinked = []faultfs.Option{
	faultfs.Masked("atomicfile.(*Dir).Remove", syscall.EIO, "os.Root unlinks, which a directory refuses, and then removes it"),
	faultfs.Masked("atomicfile.(*Dir).Remove", syscall.ENOTSUP, "os.Root unlinks, which a directory refuses, and then removes it"),
}

// persistent does a step and, if it fails, tells so and does it once more.
func persistent(w *faultfs.W, n int, step func() error) error {
	w.Begin("step", n)
	if err := step(); err != nil {
		var e *atomicfile.Error
		w.Ack("failed", n, !errors.As(err, &e) || e.Committed)
		w.Surfaced(err)
		w.Begin("step", n)
		if err := step(); err != nil {
			return err
		}
	}
	w.Ack("step", n)
	return nil
}

// sweepWork overwrites a file twice, each with a second try.
func sweepWork(w *faultfs.W) error {
	d, err := atomicfile.OpenDir(w.Dir())
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	for n := 2; n <= 3; n++ {
		err := persistent(w, n, func() error { return d.WriteFile("file", version(n, 700), atomicfile.Options{}) })
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepVerify returns an error unless the file is a version that may be there: one
// that failed without being Committed may not.
func sweepVerify(s *faultfs.State) error {
	sure, possible := []int{1}, []int{1}
	for _, m := range s.Marks() {
		var n int
		var committed bool
		if m.Op == "failed" {
			if err := m.Scan(&n, &committed); err != nil {
				return err
			}
			if committed {
				sure = append(sure, n)
			}
			possible = slices.Clone(sure)
			continue
		}
		if err := m.Scan(&n); err != nil {
			return err
		}
		if m.Ack {
			sure = []int{n}
		}
		possible = append(slices.Clone(sure), n)
	}
	path := filepath.Join(s.Dir(), "file")
	for _, n := range possible {
		if checkVersion(path, n, n, 700) == nil {
			return errors.Join(checkLitter(s.Dir(), "file"), checkNext(path))
		}
	}
	return fmt.Errorf("the file is none of the versions %v", possible)
}

// faults are what a disk and a kernel answer with.
func faults() []faultfs.Option {
	return []faultfs.Option{
		faultfs.Fail(faultfs.Any, syscall.EIO),
		faultfs.Fail(faultfs.Any, syscall.ENOSPC).FromThenOn(),
		faultfs.Fail(faultfs.Write|faultfs.Create|faultfs.Fsync, syscall.EDQUOT),
		faultfs.Fail(faultfs.Rename|faultfs.Fsync, syscall.EROFS).FromThenOn(),
		faultfs.Fail(faultfs.Any, syscall.EINTR),
		// Not of Fsync: one of a directory is taken for success, and nothing more can
		// be done there. TestInjectedErrors has it.
		faultfs.Fail(faultfs.Any&^faultfs.Fsync, syscall.ENOTSUP),
		faultfs.ShortWrite(),
		faultfs.Slow(faultfs.Any, time.Millisecond),
		faultfs.Hang(faultfs.Rename),
		faultfs.Models(faultfs.PosixWeak), faultfs.States(300),
	}
}

// Every operation of an overwrite fails, once or for good. The error comes back, or
// what was promised is true without the operation.
func TestPowerCutSweepWriteFile(t *testing.T) {
	setup := overwrites(1, 1, 700, atomicfile.Options{}).Setup
	faultfs.Sweep(t, faultfs.Test{Setup: setup, Work: sweepWork, Verify: sweepVerify}, slices.Concat(faults(), masked)...)
}

// The same for each method of Dir; what fails is not tried again.
func TestPowerCutSweepDir(t *testing.T) {
	faultfs.Sweep(t, faultfs.Test{Work: dirWork, Verify: dirVerify}, slices.Concat(faults(), masked, unlinked)...)
}

// The same for MkdirAll.
func TestPowerCutSweepMkdirAll(t *testing.T) {
	test := faultfs.Test{Work: treeWork(tree[1:2]), Verify: treeVerify}
	faultfs.Sweep(t, test, slices.Concat(faults(), masked)...)
}

// Where a file system has no rename that does not replace, a link is as exclusive and
// as durable.
func TestPowerCutSweepLink(t *testing.T) {
	faultfs.Sweep(t, overwrites(0, 1, 700, atomicfile.Options{Mode: 0o640, Exclusive: true}),
		faultfs.Fail(faultfs.Rename, syscall.EINVAL),
		faultfs.Fail(faultfs.Rename, syscall.ENOSYS),
		faultfs.Masked("(*Dir).renameNoReplace", syscall.EINVAL, "linkat and unlinkat do the same"),
		faultfs.Masked("(*Dir).renameNoReplace", syscall.ENOSYS, "linkat and unlinkat do the same"))
}
