package iocount

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrUnavailable is returned when strace is not there, or may not trace.
var ErrUnavailable = errors.New("strace is not usable here")

// flushes and writes are the calls that are counted. Stores through a writable map
// pass them by, as do io_uring and copies inside the kernel: who uses these cannot
// be measured so.
const (
	flushes = "fsync,fdatasync,syncfs,sync,sync_file_range,msync"
	writes  = "write,writev,pwrite64,pwritev,pwritev2"
)

// A Call is one kind of system call on one file. Path is as the kernel names the
// file, absolute; it is empty for a call that names no file.
type Call struct{ Name, Path string }

// Count is how often a call was made, and the bytes that the kernel accepted in it.
type Count struct {
	Calls int
	Bytes int64
}

// Counts are the calls that a program made.
type Counts map[Call]Count

// Options of Run.
type Options struct {
	// FlushTime is by how much each flush is made to take longer. It stands in for
	// a medium slower than the one at hand; flushes of several threads overlap.
	FlushTime time.Duration
}

// Run runs cmd, which is not started yet, under strace, and returns the calls of it
// and of all its children. It returns ErrUnavailable where that cannot be done, and
// otherwise an error that wraps the one of cmd. When ctx ends, cmd is killed.
func Run(ctx context.Context, cmd *exec.Cmd, opts Options) (Counts, error) {
	strace, err := usable(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "iocount-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary directory: nothing depends on it

	// One file for each thread, so that no line is cut in two by another thread's.
	args := []string{
		"-ff", "--seccomp-bpf", "-I", "2", "-qq", "-y", "-s", "0", "-e", "signal=none",
		"-e", "trace=" + flushes + "," + writes, "-o", filepath.Join(dir, "thread"),
	}
	if opts.FlushTime > 0 {
		args = append(args, "-e", fmt.Sprintf("inject=%s:delay_exit=%d", flushes, opts.FlushTime.Microseconds()))
	}
	traced := exec.CommandContext(ctx, strace, append(append(args, "--", cmd.Path), cmd.Args[1:]...)...)
	traced.Dir, traced.Env, traced.Stdin, traced.Stdout = cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout
	// On SIGTERM strace takes the program with it, with -I 2; if it were killed, the
	// program would go on.
	traced.Cancel = func() error { return traced.Process.Signal(syscall.SIGTERM) }
	traced.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	traced.Stderr = &stderr
	if cmd.Stderr != nil {
		traced.Stderr = io.MultiWriter(&stderr, cmd.Stderr)
	}
	if err := traced.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("trace %s: %w\n%s", cmd.Path, err, stderr.Bytes())
	}
	return readTraces(dir)
}

// usable returns the path of a strace that works. Containers often refuse tracing.
func usable(ctx context.Context) (string, error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	probe := exec.CommandContext(ctx, strace, "-f", "--seccomp-bpf", "-qq", "-e", "trace=none", "-o", os.DevNull, "--", "true")
	if out, err := probe.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("%w: %w: %s", ErrUnavailable, err, bytes.TrimSpace(out))
	}
	return strace, nil
}

func readTraces(dir string) (Counts, error) {
	files, err := filepath.Glob(filepath.Join(dir, "thread.*"))
	if err != nil {
		return nil, err
	}
	counts := Counts{}
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		err = counts.read(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("read trace: %w", err)
		}
	}
	return counts, nil
}

// line matches a finished call: its name, the file of its first argument if that is
// a descriptor, and its result.
var line = regexp.MustCompile(`^(\w+)\((?:\d+<([^>]*)>)?.*\) += (-?\d+)`)

// read adds the calls of one thread. What is not a finished call, such as the one
// that a killed thread was in, is passed over.
func (c Counts) read(trace io.Reader) error {
	lines := bufio.NewScanner(trace)
	for lines.Scan() {
		m := line.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		result, err := strconv.ParseInt(m[3], 10, 64)
		if err != nil {
			return err
		}
		call := Call{m[1], m[2]}
		count := c[call]
		count.Calls++
		if isWrite(call.Name) {
			count.Bytes += max(result, 0)
		}
		c[call] = count
	}
	return lines.Err()
}

func isWrite(name string) bool {
	return strings.HasPrefix(name, "write") || strings.HasPrefix(name, "pwrite")
}
