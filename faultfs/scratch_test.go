//go:build linux

package faultfs_test

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/internal/testenv"
)

func TestScratchIsRemoved(t *testing.T) {
	dir := t.TempDir()
	faultfs.Run(t, faultfs.Test{Work: save{}.five, Verify: verify}, faultfs.In(dir))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestScratchBelowARelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("states", 0o700))
	faultfs.Run(t, faultfs.Test{Work: save{}.five, Verify: verify}, faultfs.In("states"))
}

// envScratch is the directory for TestScratchLeft, in a process of its own.
const envScratch = "FAULTFS_TEST_SCRATCH"

// TestScratchLeft is killed.
func TestScratchLeft(t *testing.T) {
	dir := os.Getenv(envScratch)
	if dir == "" {
		t.Skip("it is a part of TestStaleScratch")
	}
	test, err := strconv.Atoi(os.Getenv("FAULTFS_TEST_PID"))
	if err != nil {
		test = os.Getpid()
		t.Setenv("FAULTFS_TEST_PID", strconv.Itoa(test))
	}
	faultfs.Run(t, faultfs.Test{Work: touch, Verify: func(*faultfs.State) error {
		return syscall.Kill(test, syscall.SIGKILL)
	}}, faultfs.In(dir), faultfs.Workers(1))
}

// What a test that was killed has left is removed, and what is somebody's own is not.
func TestStaleScratch(t *testing.T) {
	dir := t.TempDir()
	inner(t, envScratch+"="+dir, "-test.run=^TestScratchLeft$")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	for _, name := range []string{"faultfs-demo", "faultfs-2026"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "lock"), []byte("mine"), 0o600))
		left = append(left, nil)
	}
	old := time.Now().Add(-2 * time.Hour)
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, all, len(left))
	for _, path := range all {
		require.NoError(t, os.Chtimes(path, old, old))
	}
	faultfs.Run(t, faultfs.Test{Work: save{}.five, Verify: verify}, faultfs.In(dir))
	all, err = filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "faultfs-2026"), filepath.Join(dir, "faultfs-demo")}, all)
}

// TestScratchFull has a Verify that fills its disk.
func TestScratchFull(t *testing.T) {
	dir := os.Getenv(envScratch)
	if dir == "" {
		t.Skip("it is a part of TestFullScratch")
	}
	faultfs.Run(t, faultfs.Test{Work: touch, Verify: func(s *faultfs.State) error {
		return os.WriteFile(filepath.Join(s.Dir(), "large"), make([]byte, 1<<20), 0o600)
	}}, faultfs.In(dir), faultfs.Workers(1))
}

// A full disk below the states is not the fault of the program.
func TestFullScratch(t *testing.T) {
	out := inner(t, envScratch+"="+testenv.Tmpfs(t, 256<<10), "-test.run=^TestScratchFull$")
	require.Contains(t, out, "the directory for states is full")
	require.Contains(t, out, "--- FAIL: TestScratchFull")
	require.NotContains(t, out, "lost:")
}
