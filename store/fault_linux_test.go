package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/internal/testenv"
	"github.com/driftlesskv/driftless/store"
)

// The kernel's answers are faked from outside the process, by strace: the store
// under test is the one that ships.

// faultDir names the store to a child process that runs faultChild.
const faultDir = "STORE_TEST_FAULT_DIR"

// TestFailNthFlush fails the n-th flush of the database file with EIO, for every
// n, and tests that the failure is sticky and hidden. Keeps (8).
func TestFailNthFlush(t *testing.T) {
	if dir := os.Getenv(faultDir); dir != "" {
		faultChild(t, dir, store.ErrFailed)
		return
	}
	sweep(t, "fdatasync", "EIO", 8)
}

// TestFailGrowth fails the flush that goes with a growing file.
func TestFailGrowth(t *testing.T) {
	if dir := os.Getenv(faultDir); dir != "" {
		faultChild(t, dir, store.ErrFailed)
		return
	}
	sweep(t, "fsync", "EIO", 1)
}

// TestFailNthWrite fails the n-th write to the database file with EIO.
func TestFailNthWrite(t *testing.T) {
	if dir := os.Getenv(faultDir); dir != "" {
		faultChild(t, dir, store.ErrFailed)
		return
	}
	sweep(t, "pwrite64", "EIO", 8)
}

// TestFullAtNthWrite fails the n-th write with ENOSPC: the store says so and goes on.
func TestFullAtNthWrite(t *testing.T) {
	if dir := os.Getenv(faultDir); dir != "" {
		faultChild(t, dir, store.ErrNoSpace)
		return
	}
	sweep(t, "pwrite64", "ENOSPC", 8)
}

// TestFailNthStepOfCreation fails the n-th call that touches a store in creation:
// there is no store then, or a whole one, and the next Open succeeds.
func TestFailNthStepOfCreation(t *testing.T) {
	if dir := os.Getenv(faultDir); dir != "" {
		runtime.LockOSThread()
		_, err := store.Open(context.Background(), t.TempDir(), store.Options{ReadOnly: true})
		require.Error(t, err) // the runtime opens descriptors of its own at the first use
		before := descriptors(t)
		db, err := store.Open(context.Background(), dir, store.Options{})
		if err != nil {
			fmt.Println("the fault surfaced:", err)
			require.ErrorContains(t, err, syscall.EIO.Error()) // bbolt keeps only the text of some
			require.Equal(t, before, descriptors(t), "a failed Open keeps nothing open")
			return
		}
		if err := db.Close(); err != nil {
			fmt.Println("the fault surfaced:", err)
			require.ErrorIs(t, err, syscall.EIO)
		}
		return
	}
	for _, call := range []string{
		"openat", "fchmod", "pwrite64", "fdatasync", "fsync", "ftruncate", "flock", "/^renameat2?$", "unlinkat", "mkdirat",
	} {
		failed := 0
		for n, failures := 1, 1; failures > 0; n++ {
			var out []byte
			dir := filepath.Join(t.TempDir(), "parent", "store")
			out, failures = inject(t, dir, call, "EIO", n, "-P", filepath.Dir(dir), "-P", dir,
				"-P", filepath.Join(dir, "data.db.new"), "-P", filepath.Join(dir, "data.db"), "-P", filepath.Join(dir, "LOCK"))
			failed += failures
			require.Equal(t, failures > 0, bytes.Contains(out, []byte("the fault surfaced")), "failing %s number %d: %s", call, n, out)
			db, err := store.Open(context.Background(), dir, store.Options{})
			require.NoError(t, err, "after failing %s number %d: %s", call, n, out)
			put(t, db, "b", "k", "the next operation works")
			check(t, db)
			require.NoError(t, db.Close())
		}
		t.Logf("failed each of %d calls of %s", failed, call)
	}
}

// inject runs the calling test in a child in which the n-th of the given calls
// fails, and returns what the child printed and how many calls failed.
func inject(t *testing.T, dir, calls, errno string, n int, filter ...string) (out []byte, failures int) {
	t.Helper()
	strace := testenv.NeedTool(t, "strace")
	trace := filepath.Join(t.TempDir(), "trace")
	args := append([]string{
		"-f", "-o", trace, "-e", "trace=" + calls,
		"-e", fmt.Sprintf("inject=%s:error=%s:when=%d", calls, errno, n),
	}, filter...)
	cmd := exec.Command(strace, append(args, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")...)
	cmd.Env = append(os.Environ(), faultDir+"="+dir)
	out, err := cmd.CombinedOutput()
	log, rerr := os.ReadFile(trace)
	require.NoError(t, rerr)
	if bytes.Contains(out, []byte("PTRACE")) && len(log) == 0 {
		testenv.Skip(t, "ptrace is not permitted: "+string(out))
	}
	require.NoError(t, err, "failing call %d of %s: %s", n, calls, out)
	return out, len(regexp.MustCompile(`\(INJECTED\)`).FindAll(log, -1))
}

// sweep runs the calling test in children in which the n-th call fails, for all n
// up to the first child in which none did. There must be at least so many.
func sweep(t *testing.T, call, errno string, least int) {
	t.Helper()
	for n := 1; ; n++ {
		dir := t.TempDir()
		out, failures := inject(t, dir, call, errno, n, "-P", filepath.Join(dir, "data.db"))
		require.Equal(t, failures > 0, bytes.Contains(out, []byte("the fault surfaced")), "failing %s number %d: %s", call, n, out)
		said := regexp.MustCompile(`acknowledged: (\d)`).FindSubmatch(out)
		require.NotNil(t, said, "%s", out)
		afterFault(t, dir, int(said[1][0]-'0'))
		if failures == 0 {
			require.Greater(t, n, least)
			t.Logf("failed each of %d calls of %s", n-1, call)
			return
		}
	}
}

// faultChild commits a run of values until one fails with want, and checks what
// must hold then.
func faultChild(t *testing.T, dir string, want error) {
	runtime.LockOSThread() // strace counts the calls of each thread apart
	ctx := context.Background()
	db, err := store.Open(ctx, dir, store.Options{})
	require.NoError(t, err) // its creation works on another file name
	full := errors.Is(want, store.ErrNoSpace)
	var failed int
	for i := 1; i <= 4; i++ {
		err := db.Update(ctx, func(tx *store.Tx) error {
			grow := tx.Bucket("big").Put([]byte{byte(i)}, make([]byte, 500<<10))
			return errors.Join(grow, increment(tx, "n"), increment(tx, "m"))
		})
		if err == nil {
			continue
		}
		fmt.Println("the fault surfaced:", err)
		require.Zero(t, failed, "only one call was made to fail")
		failed = i
		require.ErrorIs(t, err, want)
		requireCounters(t, db, i-1)
		if full {
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.NotErrorIs(t, err, store.ErrFailed)
			i-- // the same once more
			continue
		}
		err = db.Update(ctx, func(tx *store.Tx) error { return increment(tx, "n") })
		require.ErrorIs(t, err, store.ErrFailed, "failure is sticky")
		requireCounters(t, db, i-1)
		_, err = db.WriteTo(&bytes.Buffer{})
		require.ErrorIs(t, err, store.ErrFailed)
		before, err := os.ReadFile(filepath.Join(dir, "data.db"))
		require.NoError(t, err)
		require.ErrorIs(t, db.Close(), store.ErrFailed)
		after, err := os.ReadFile(filepath.Join(dir, "data.db"))
		require.NoError(t, err)
		require.True(t, bytes.Equal(before, after), "closing a failed store wrote to it")
		break
	}
	if failed == 0 || full {
		requireCounters(t, db, 4)
		require.NoError(t, db.Close())
		failed = 5
	}
	fmt.Println("acknowledged:", failed-1)
}

// afterFault checks, without faults, the store that a child has left.
func afterFault(t *testing.T, dir string, acknowledged int) {
	t.Helper()
	db, err := store.Open(context.Background(), dir, store.Options{})
	require.NoError(t, err)
	check(t, db)
	n := 0
	if value, err := get(t, db, "counters", "n"); !errors.Is(err, store.ErrNotFound) {
		require.NoError(t, err)
		n, err = strconv.Atoi(value)
		require.NoError(t, err)
	}
	require.GreaterOrEqual(t, n, acknowledged, "an acknowledged value is lost")
	require.LessOrEqual(t, n, acknowledged+1)
	requireCounters(t, db, n)
	put(t, db, "b", "k", "the next operation works")
	require.NoError(t, db.Close())
}

// requireCounters requires that both counters stand at n.
func requireCounters(t *testing.T, db *store.DB, n int) {
	t.Helper()
	for _, key := range []string{"n", "m"} {
		value, err := get(t, db, "counters", key)
		if n == 0 {
			require.ErrorIs(t, err, store.ErrNotFound)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(n), value)
	}
}

// TestUncleanCloseDistrustsTheCache: after a crash or a failure the database file is
// flushed and dropped from the page cache before it is read, so that a page whose
// flush had failed cannot pass for written. A clean close spares that.
func TestUncleanCloseDistrustsTheCache(t *testing.T) {
	if dir := os.Getenv(faultDir); dir != "" {
		if _, err := store.Open(context.Background(), dir, store.Options{}); err != nil {
			fmt.Println("the fault surfaced:", err)
		}
		return
	}
	for _, tt := range []struct {
		lock string
		want bool
	}{{"       123\n", true}, {"         0\n", false}, {"", false}} {
		for _, call := range []string{"fsync", "fadvise64"} {
			dir := t.TempDir()
			db, err := store.Open(context.Background(), dir, store.Options{})
			require.NoError(t, err)
			require.NoError(t, db.Close())
			require.NoError(t, os.WriteFile(filepath.Join(dir, "LOCK"), []byte(tt.lock), 0o600))
			out, failures := inject(t, dir, call, "EIO", 1, "-P", filepath.Join(dir, "data.db"))
			require.Equal(t, tt.want, failures > 0, "%s with LOCK %q: %s", call, tt.lock, out)
			require.Equal(t, tt.want, bytes.Contains(out, []byte("the fault surfaced")), "%s", out)
		}
	}
}
