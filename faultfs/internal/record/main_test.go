//go:build linux && (amd64 || arm64)

package record_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// A copy of the test binary plays the part that its environment names, in a
// directory.
const (
	envPart = "RECORD_TEST_PART"
	envDir  = "RECORD_TEST_DIR"
)

// parts are what a recorded copy can play. Those in plain begin and end their
// recordings themselves.
var (
	parts = map[string]func(dir string) error{}
	plain = map[string]bool{}
)

// part registers something to play, in a recording.
func part(name string, play func(dir string) error) string {
	parts[name] = play
	return name
}

func plainPart(name string, play func(dir string) error) string {
	plain[name] = true
	return part(name, play)
}

func TestMain(m *testing.M) {
	name := os.Getenv(envPart)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := play(name, os.Getenv(envDir)); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func play(name, dir string) error {
	if err := record.Join(); err != nil {
		return err
	}
	if plain[name] {
		return parts[name](dir)
	}
	if err := record.Begin(dir); err != nil {
		return err
	}
	if err := parts[name](dir); err != nil {
		return err
	}
	return record.End()
}

// shm makes a directory in memory, where syncs are quick.
func shm(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "record-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func command(t testing.TB, name, dir string) *exec.Cmd {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	// A race detector would sleep for a second before each exit.
	cmd.Env = append(os.Environ(), envPart+"="+name, envDir+"="+dir, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	cmd.Stderr = os.Stderr
	return cmd
}

// start starts a part.
func start(t testing.TB, name, dir string, o record.Options) *record.Session {
	s, err := record.Start(command(t, name, dir), o)
	require.NoError(t, err)
	t.Cleanup(s.Kill)
	return s
}

// next returns the next recording, soon.
func next(t testing.TB, s *record.Session) *trace.Trace {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tr, err := s.Next(ctx)
	require.NoError(t, err)
	return tr
}

// play records one part to its end, and checks that the trace is sound and that
// what it says is what is on the disk.
func run(t testing.TB, name, dir string, o record.Options) *trace.Trace {
	s := start(t, name, dir, o)
	tr := next(t, s)
	require.NoError(t, s.Wait())
	_, err := s.Next(t.Context())
	require.ErrorIs(t, err, io.EOF)
	sound(t, tr)
	same(t, tr, dir)
	return tr
}

// sound checks the promises of package trace.
func sound(t testing.TB, tr *trace.Trace) {
	seen := map[int64]bool{}
	take := func(moment int64) bool {
		fresh := !seen[moment] && moment > 0
		seen[moment] = true
		return fresh
	}
	last := int64(0)
	for i, op := range tr.Ops {
		ok := take(op.Start) && take(op.End) && op.Start > last && op.End > op.Start && op.Kind != 0 && op.PID != 0 && op.Site < len(tr.Sites)
		last = op.Start
		if !ok {
			require.Fail(t, "operation is not sound", "%d: %+v", i, op)
		}
	}
	last = 0
	for i, m := range tr.Marks {
		if !take(m.At) || m.At < last || m.Site >= len(tr.Sites) {
			require.Fail(t, "mark is not sound", "%d: %+v", i, m)
		}
		last = m.At
	}
	require.Equal(t, record.Backend, tr.Backend)
	require.Equal(t, trace.Site{}, tr.Sites[0])
}

// same checks that the operations, applied to the base, give what is on the disk.
func same(t testing.TB, tr *trace.Trace, dir string) {
	now, _, err := tree.Scan(dir)
	require.NoError(t, err)
	got := tr.Base.Clone()
	for i := range tr.Ops {
		apply(got, &tr.Ops[i])
	}
	if diff := tree.Diff(now, got); diff != nil {
		for i, op := range tr.Ops {
			op.Data = op.Data[:min(len(op.Data), 16)]
			t.Logf("%3d %+v", i, op)
		}
		require.Empty(t, diff, "how the trace differs from the disk")
	}
}

// apply does op, unless it failed.
func apply(to *tree.Tree, op *trace.Op) {
	if op.Err != 0 {
		return
	}
	switch op.Kind {
	case trace.Write:
		to.WriteAt(op.Ino, op.Off, op.Data)
	case trace.Truncate:
		to.Resize(op.Ino, op.Len)
	case trace.Fallocate:
		if op.Len > to.Size(op.Ino) {
			to.Resize(op.Ino, op.Len)
		}
	case trace.Punch:
		to.Punch(op.Ino, op.Off, op.Len)
	case trace.Create, trace.Tmpfile, trace.Mkdir, trace.Symlink, trace.Mknod:
		n := tree.Inode{Mode: op.Mode, UID: op.UID, GID: op.GID, Rdev: op.Rdev}
		if op.Kind == trace.Symlink {
			n.Target = string(op.Data)
		}
		to.Make(op.Ino, n)
		if op.Kind != trace.Tmpfile {
			to.Enter(op.Dir, op.Name, op.Ino)
		}
	case trace.Link:
		to.Enter(op.Dir, op.Name, op.Ino)
	case trace.Unlink, trace.Rmdir:
		to.Remove(op.Dir, op.Name)
	case trace.Rename:
		to.Remove(op.Dir, op.Name)
		to.Enter(op.To, op.New, op.Ino)
		if op.Exchange {
			to.Enter(op.Dir, op.Name, op.Over)
		}
	case trace.Chmod:
		to.Chmod(op.Ino, op.Mode)
	case trace.Chown:
		to.Chown(op.Ino, op.UID, op.GID)
	case trace.Setxattr:
		if len(op.Attr) > 5 && op.Attr[:5] == "user." {
			to.SetXattr(op.Ino, op.Attr, op.Data)
		}
	case trace.Removexattr:
		to.RemoveXattr(op.Ino, op.Attr)
	case trace.Utimes, trace.Fsync, trace.SyncRange, trace.Msync, trace.Syncfs:
	}
}

// want makes an error of an expectation that a part has.
func want(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// first returns the first error of those that are not nil.
func first(errs ...error) error { return errors.Join(errs...) }
