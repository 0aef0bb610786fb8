//go:build linux && (amd64 || arm64)

package record_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

var partSmall = part("small", func(dir string) error {
	f, err := os.Create(filepath.Join(dir, "a"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	err = first(record.Mark(false, "put", []byte("[1]")), ignore(f.WriteString("hello")), f.Sync())
	return first(err, os.Rename(dir+"/a", dir+"/b"), record.Mark(true, "put", []byte("[1]")))
})

func TestSmall(t *testing.T) {
	dir := shm(t)
	tr := run(t, partSmall, dir, record.Options{})
	require.Equal(t, []string{"create 1/a =2 644", `write 2 @0 "hello"`, "fsync 2 full", "rename 1/a > 1/b =2"}, showAll(tr.Ops))
	require.Equal(t, dir, tr.Dir)
	require.Empty(t, tr.Blind)

	require.Len(t, tr.Marks, 2)
	begin, ack := tr.Marks[0], tr.Marks[1]
	require.Equal(t, trace.Mark{At: begin.At, Op: "put", Args: []byte("[1]"), Site: begin.Site}, begin)
	require.Equal(t, trace.Mark{At: ack.At, Ack: true, Op: "put", Args: []byte("[1]"), Site: ack.Site}, ack)
	require.Less(t, tr.Ops[0].End, begin.At)
	require.Less(t, begin.At, tr.Ops[1].Start)
	require.Less(t, tr.Ops[3].End, ack.At)
}

var partTwice = plainPart("twice", func(dir string) error {
	for i := range 3 {
		err := first(
			os.WriteFile(fmt.Sprintf("%s/before%d", dir, i), []byte("unseen"), 0o600),
			fails(record.Mark(true, "none is open", nil), errENODATA), fails(record.End(), errENODATA),
			record.Begin(dir), fails(record.Begin(dir), errEBUSY), os.WriteFile(fmt.Sprintf("%s/%d", dir, i), nil, 0o600), record.End(),
		)
		if err != nil {
			return err
		}
	}
	return fails(record.Begin(dir+"/nothing"), os.ErrNotExist)
})

func TestSeveralRecordings(t *testing.T) {
	s := start(t, partTwice, shm(t), record.Options{})
	for i := range 3 {
		tr := next(t, s)
		sound(t, tr)
		require.Len(t, tr.Ops, 1)
		require.Equal(t, fmt.Sprint(i), tr.Ops[0].Name)
		require.Equal(t, tree.Ino(2*i+3), tr.Ops[0].Ino)
	}
	require.NoError(t, s.Wait())
	_, err := s.Next(t.Context())
	require.ErrorIs(t, err, io.EOF)
}

func TestNextHonoursTheContext(t *testing.T) {
	s := start(t, partForever, shm(t), record.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := s.Next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestNotRecorded(t *testing.T) {
	require.ErrorIs(t, record.Join(), record.ErrNotRecorded)
	require.ErrorIs(t, record.Begin(t.TempDir()), record.ErrNotRecorded)
	require.ErrorIs(t, record.End(), record.ErrNotRecorded)
	require.ErrorIs(t, record.Mark(true, "x", nil), record.ErrNotRecorded)
}

func TestSupported(t *testing.T) {
	require.NoError(t, record.Supported())
	err := error(&record.UnsupportedError{Need: "Linux 5.19", Err: os.ErrInvalid})
	require.ErrorIs(t, err, record.ErrUnsupported)
	require.ErrorIs(t, err, os.ErrInvalid)
	require.EqualError(t, err, "recording is not supported here: it takes Linux 5.19: invalid argument")
}

// A program that does not join ends the session, with nothing recorded.
func TestProgramThatDoesNotJoin(t *testing.T) {
	s, err := record.Start(exec.Command("true"), record.Options{})
	require.NoError(t, err)
	_, err = s.Next(t.Context())
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, s.Wait())
	s.Kill()

	_, err = record.Start(exec.Command("/nowhere"), record.Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestExitStatus(t *testing.T) {
	s := start(t, partFails, shm(t), record.Options{})
	require.Len(t, next(t, s).Ops, 1)
	var exit *exec.ExitError
	require.ErrorAs(t, s.Wait(), &exit)
	require.Equal(t, 7, exit.ExitCode())
}

var partFails = part("exits", func(dir string) error {
	if err := os.WriteFile(dir+"/f", nil, 0o600); err != nil {
		return err
	}
	os.Exit(7)
	return nil
})

var partSites = part("sites", func(dir string) error {
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	line := 0
	for range 10 {
		line = here() + 1
		err = first(err, inlined(f))
	}
	return first(err, f.Sync(), deep(f, 40), record.Mark(false, "line", fmt.Append(nil, line)))
})

// here returns the line of its caller.
func here() int {
	_, _, line, _ := runtime.Caller(1)
	return line
}

// inlined is a frame that the compiler folds into its caller.
func inlined(f *os.File) error { _, err := f.WriteString("x"); return err }

//go:noinline
func deep(f *os.File, n int) error {
	if n > 0 {
		return deep(f, n-1)
	}
	return f.Truncate(3)
}

// Each operation names the line that made it, each place once.
func TestSites(t *testing.T) {
	tr := run(t, partSites, shm(t), record.Options{})
	require.Len(t, tr.Ops, 13)
	sites := map[int]bool{}
	for _, op := range tr.Ops {
		site := tr.Sites[op.Site]
		sites[op.Site] = true
		own := site.Own()
		require.Equal(t, "session_test.go", filepath.Base(own.File))
		require.Positive(t, own.Line)
		require.True(t, strings.HasPrefix(site.Frames[0].Func, "syscall."), "%v", site)
		for _, f := range site.Frames[1:4] {
			require.False(t, strings.HasPrefix(f.Func, "runtime."), "%v", site)
		}
	}
	require.Len(t, sites, 4)
	require.Len(t, tr.Sites, 6, "with that of the mark")
	write := tr.Sites[tr.Ops[1].Site]
	require.True(t, strings.HasSuffix(write.Own().Func, ".inlined"), "%v", write)
	var lines []int
	for _, f := range write.Frames {
		if strings.Contains(f.Func, "record_test.init") {
			lines = append(lines, f.Line)
		}
	}
	require.Equal(t, string(tr.Marks[0].Args), fmt.Sprint(lines[0]), "%v", write)
	require.True(t, strings.HasSuffix(tr.Sites[tr.Ops[12].Site].Own().Func, ".deep"))
}
