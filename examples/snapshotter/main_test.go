package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/careful"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/churn"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/naive"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/step"
)

// mainEnv makes the test binary the program itself, so that what is tested is a
// process of its own with its own children.
const mainEnv = "SNAPSHOTTER_TEST_MAIN"

func TestMain(m *testing.M) {
	churn.MaybeChild()
	if os.Getenv(mainEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program returns the command that runs the program, and its temporary directory.
func program(t *testing.T, args ...string) (cmd *exec.Cmd, temp string) {
	temp = t.TempDir()
	cmd = exec.Command(os.Args[0], args...)
	// A race-detecting process sleeps for a second before it exits, and there are many.
	cmd.Env = append(os.Environ(), mainEnv+"=1", "TMPDIR="+temp, "GORACE=atexit_sleep_ms=0")
	return cmd, temp
}

type outcome struct {
	status         int
	stdout, stderr string
	numbers        map[string]float64 // of the JSON object on the last line
}

func runProgram(t *testing.T, args ...string) outcome {
	cmd, temp := program(t, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the status tells
	o := outcome{status: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
	if slices.Contains(args, "-json") {
		lines := strings.Split(strings.TrimSpace(o.stdout), "\n")
		require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &o.numbers), o.stderr)
	}
	requireEmpty(t, temp)
	return o
}

func requireEmpty(t *testing.T, dir string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries, "temporary files are left")
}

// hits returns the rows of the table that count the crashes at one step.
func (o outcome) hits(t *testing.T) map[string]int {
	hits := map[string]int{}
	for line := range strings.Lines(o.stdout) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "killed "); ok {
			fields := strings.Fields(name)
			n, err := strconv.Atoi(fields[len(fields)-1])
			require.NoError(t, err)
			hits[strings.Join(fields[:len(fields)-1], " ")] = n
		}
	}
	return hits
}

func (o outcome) requireHits(t *testing.T, calls ...string) {
	hits, sum := o.hits(t), 0
	for name, n := range hits {
		require.Positive(t, n, name)
		sum += n
	}
	require.Len(t, hits, 1+2*len(calls), "at random, and before and after each call")
	for _, name := range step.Names(calls...) {
		require.Contains(t, hits, name)
	}
	require.EqualValues(t, o.numbers["crashes"], sum)
}

// TestDriftless is the main job: 100 crashes, of which each step has at least one.
func TestDriftless(t *testing.T) {
	o := runProgram(t, "-json")
	require.Equal(t, 0, o.status, o.stderr)
	o.requireHits(t, slices.Concat(careful.Calls, step.BackingCalls)...)
	require.Greater(t, o.numbers["operations"], 100.0)
	require.Greater(t, o.numbers["seconds"], 0.0)
	delete(o.numbers, "operations")
	delete(o.numbers, "seconds")
	require.Equal(t, map[string]float64{"crashes": 100, "lost": 0, "leaked": 0, "orphans": 0, "drift": 0}, o.numbers)
	require.Contains(t, o.stderr, "layers from")
}

func TestNaiveDrifts(t *testing.T) {
	o := runProgram(t, "-naive", "-crashes", "40", "-json")
	require.Equal(t, 1, o.status, o.stderr)
	require.Equal(t, 40.0, o.numbers["crashes"])
	require.Positive(t, o.numbers["drift"])
	o.requireHits(t, naive.Calls...)
}

// TestNaiveWithoutCrashes shows that the naive protocol is not a straw man: what is
// wrong with it is what a crash does to it, nothing else.
func TestNaiveWithoutCrashes(t *testing.T) {
	o := runProgram(t, "-naive", "-crashes", "0", "-json")
	require.Equal(t, 0, o.status, o.stderr)
	require.Zero(t, o.numbers["drift"])
	require.Greater(t, o.numbers["operations"], 50.0)
}

func TestDirectoryIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "dir")
	o := runProgram(t, "-crashes", "1", "-dir", dir)
	require.Equal(t, 0, o.status, o.stderr)
	require.DirExists(t, filepath.Join(dir, "state", "volumes"))
	o = runProgram(t, "-crashes", "1", "-dir", dir)
	require.Equal(t, 2, o.status)
	require.Contains(t, o.stderr, "not empty")
}

// TestDirectoryAfterRefusal shows that a refused layer does not spoil the directory.
func TestDirectoryAfterRefusal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	o := runProgram(t, "-dir", dir, layerFile(t, "evil.tar", "fine", "../evil"))
	require.Equal(t, 2, o.status, o.stderr)
	requireEmpty(t, dir)
	o = runProgram(t, "-crashes", "1", "-dir", dir, layerFile(t, "good.tar", "a", "b"))
	require.Equal(t, 0, o.status, o.stderr)
}

// layerFile writes an archive whose entries are names, each a small file.
func layerFile(t *testing.T, file string, names ...string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 4}))
		_, err := w.Write([]byte("text"))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	path := filepath.Join(t.TempDir(), file)
	if filepath.Ext(file) == ".gz" {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, err := z.Write(b.Bytes())
		require.NoError(t, errors.Join(err, z.Close()))
		b = packed
	}
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

// TestArguments runs the main job on layers of the user's.
func TestArguments(t *testing.T) {
	base := layerFile(t, "base.tar.gz", "etc/a", "etc/b", "usr/lib/c")
	top := layerFile(t, "top.tar", "etc/.wh.a", "usr/.wh..wh..opq", "usr/lib/d")
	o := runProgram(t, "-json", "-crashes", "3", base, top)
	require.Equal(t, 0, o.status, o.stderr)
	require.Equal(t, 3.0, o.numbers["crashes"])
	require.Contains(t, o.stderr, "2 layers from the command line")
}

func TestUsageErrors(t *testing.T) {
	hostile := layerFile(t, "hostile.tar", "fine", "../evil")
	junk := filepath.Join(t.TempDir(), "junk.tar")
	require.NoError(t, os.WriteFile(junk, []byte(strings.Repeat("junk", 1000)), 0o600))
	tests := []struct {
		name, message string
		args          []string
	}{
		{"unknown flag", "-nonsense", []string{"-nonsense"}},
		{"not a number", "-crashes", []string{"-crashes", "many"}},
		{"negative", "-crashes -1", []string{"-crashes", "-1"}},
		{"no worker", "-workers 0", []string{"-workers", "0"}},
		{"flag after a layer", "flags stand before", []string{hostile, "-naive"}},
		{"directory without a name", "-dir", []string{"-dir", ""}},
		{"missing layer", "no such file", []string{"missing.tar"}},
		{"hostile layer", hostile + ": unpack ../evil: leads out of the root", []string{hostile}},
		{"layer that is no archive", "neither tar nor gzip", []string{junk}},
		{"empty layer", "no entry", []string{os.DevNull}},
		{"directory that is a file", "not a directory", []string{"-dir", junk}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := runProgram(t, tt.args...)
			require.Equal(t, 2, o.status)
			require.Contains(t, o.stderr, tt.message)
			require.Empty(t, o.stdout)
		})
	}
	o := runProgram(t, "-h")
	require.Equal(t, 0, o.status)
	require.Contains(t, o.stderr, "usage:")
}

// TestInterrupt shows that neither an interrupt nor the parent's sudden death leaves
// a child behind, and that the former leaves no files either.
func TestInterrupt(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, os.Kill} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd, temp := program(t, "-crashes", "100000")
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			require.NoError(t, cmd.Start())
			require.Eventually(t, func() bool { return len(processes(t, temp)) > 1 }, 20*time.Second, 5*time.Millisecond)
			require.NoError(t, cmd.Process.Signal(sig))
			require.Error(t, cmd.Wait())
			require.Eventually(t, func() bool { return len(processes(t, temp)) == 0 }, 20*time.Second, 5*time.Millisecond)
			if sig == os.Interrupt {
				require.Contains(t, stderr.String(), "interrupted")
				require.Contains(t, stdout.String(), "drift")
				require.Equal(t, 1, cmd.ProcessState.ExitCode())
				requireEmpty(t, temp)
			}
		})
	}
}

// processes returns the living ones whose temporary directory is temp.
func processes(t *testing.T, temp string) (living []string) {
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	for _, path := range environments {
		// One that ends meanwhile, or is another user's, cannot be read.
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), "TMPDIR="+temp+"\x00") {
			living = append(living, path)
		}
	}
	return living
}
