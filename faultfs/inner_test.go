//go:build linux

package faultfs_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs"
)

// What go test prints of a test that goes wrong is seen in a process of its own.

// envMistake is set in a process that is to make one of mistakes.
const envMistake = "FAULTFS_TEST_MISTAKE"

func accept(*faultfs.State) error { return nil }

// touch makes a file and is done.
func touch(w *faultfs.W) error { return os.WriteFile(filepath.Join(w.Dir(), "f"), nil, 0o600) }

// after returns a Work that does something and ends by end.
func after(end func()) func(*faultfs.W) error {
	return func(w *faultfs.W) error {
		defer end()
		return touch(w)
	}
}

var mistakes = []struct {
	name string
	make func(t *testing.T)
	want []string
}{
	{"setup fatal", func(t *testing.T) {
		faultfs.Run(t, faultfs.Test{Setup: func(string) error { t.Fatal("no store"); return nil }, Work: touch, Verify: accept})
	}, []string{"setup: the function ended by Fatal", "no store"}},
	{"setup skip", func(t *testing.T) {
		faultfs.Run(t, faultfs.Test{Setup: func(string) error { t.Skip("no tool"); return nil }, Work: touch, Verify: accept})
	}, []string{"ended by Fatal, Skip", "no tool", "skip before the call of Run"}},
	{"work fatal", func(t *testing.T) {
		faultfs.Run(t, faultfs.Test{Work: after(func() { t.Fatal("no luck") }), Verify: accept})
	}, []string{"ended by Fatal", "no luck"}},
	{"work skip", func(t *testing.T) {
		faultfs.Run(t, faultfs.Test{Work: after(func() { t.Skip("no tool") }), Verify: accept})
	}, []string{"no tool", "skip before the call of Run"}},
	{"work exits with 0", func(t *testing.T) {
		faultfs.Run(t, faultfs.Test{Work: after(func() { os.Exit(0) }), Verify: accept})
	}, []string{"panic: unexpected call to os.Exit(0)"}},
	{"verify skip", func(t *testing.T) {
		faultfs.Run(t, faultfs.Test{Work: touch, Verify: func(*faultfs.State) error { t.Skip("not today"); return nil }}, faultfs.Models(faultfs.Ext4))
	}, []string{"ended by Fatal, Skip", "not today"}},
	{"verify exits with 0", func(t *testing.T) {
		faultfs.Run(t, faultfs.Test{Work: touch, Verify: func(*faultfs.State) error { os.Exit(0); return nil }}, faultfs.Models(faultfs.Ext4))
	}, []string{"panic: unexpected call to os.Exit(0)", "lost:"}},
	{"verify exits with 4", func(t *testing.T) {
		faultfs.Run(t, faultfs.Test{Work: touch, Verify: func(*faultfs.State) error { os.Exit(4); return nil }}, faultfs.Models(faultfs.Ext4))
	}, []string{"the process died (exit status 4)"}},
	{"run within work", func(t *testing.T) {
		faultfs.Run(t, faultfs.Test{Work: func(w *faultfs.W) error {
			faultfs.Run(t, faultfs.Test{Work: touch, Verify: func(*faultfs.State) error { return errors.New("never") }})
			return touch(w)
		}, Verify: accept})
	}, []string{"call of Run or Sweep within", "verify nothing"}},
	{"a sweep of a program that exits with 0", func(t *testing.T) {
		faultfs.Sweep(t, faultfs.Test{Work: func(w *faultfs.W) error {
			if syncDir(w.Dir()) != nil {
				os.Exit(0)
			}
			return nil
		}, Verify: accept}, faultfs.Fail(faultfs.Fsync, syscall.EIO))
	}, []string{"fsync fails with EIO at", "panic: unexpected call to os.Exit(0)"}},
}

func TestMistake(t *testing.T) {
	for _, tt := range mistakes {
		if tt.name == os.Getenv(envMistake) {
			tt.make(t)
			return
		}
	}
	t.Skip("it is a part of TestMistakes")
}

func TestMistakes(t *testing.T) {
	for _, tt := range mistakes {
		t.Run(tt.name, func(t *testing.T) {
			out := inner(t, envMistake+"="+tt.name, "-test.run=^TestMistake$")
			for _, want := range append(tt.want, "--- FAIL: TestMistake") {
				require.Contains(t, out, want)
			}
		})
	}
}

// inner runs this test binary with args and a variable, and returns what it prints.
func inner(t *testing.T, variable string, args ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), variable, "TMPDIR="+t.TempDir())
	out, _ := cmd.CombinedOutput() // how it ended is in the text
	return string(out)
}

func BenchmarkMistake(b *testing.B) {
	if os.Getenv(envMistake) == "" {
		b.Skip("it is a part of TestBenchmarkIsToldOf")
	}
	faultfs.Run(b, faultfs.Test{Work: touch, Verify: accept})
}

func TestBenchmarkIsToldOf(t *testing.T) {
	out := inner(t, envMistake+"=benchmark", "-test.run=^$", "-test.bench=^BenchmarkMistake$", "-test.benchtime=1x")
	require.Contains(t, out, "run no benchmarks")
}
