//go:build linux

package atomicfile_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/atomicfile"
	"github.com/driftlesskv/driftless/internal/testenv"
)

func init() { children["call"] = callChild }

// result is what callChild prints.
type result struct {
	Text      string
	Committed bool
}

// callChild makes one call in the directory args[0], on one thread so that strace
// can count its system calls.
func callChild(args []string) int {
	runtime.LockOSThread()
	name := filepath.Join(args[0], "f")
	calls := map[string]func() error{
		"write": func() error { return atomicfile.WriteFile(name, []byte("new"), atomicfile.Options{}) },
		"exclusive": func() error {
			return atomicfile.WriteFile(name, []byte("new"), atomicfile.Options{Exclusive: true})
		},
		"mkdir":  func() error { return atomicfile.MkdirAll(filepath.Join(args[0], "a", "b"), 0o700) },
		"remove": func() error { return onDir(args[0], func(d *atomicfile.Dir) error { return d.Remove("f") }) },
		"rename": func() error { return onDir(args[0], func(d *atomicfile.Dir) error { return d.Rename("f", "g") }) },
	}
	err := calls[args[1]]()
	var got result
	if err != nil {
		got.Text = err.Error()
	}
	var e *atomicfile.Error
	if errors.As(err, &e) {
		got.Committed = e.Committed
	}
	text, err := json.Marshal(got)
	fmt.Println(string(text), err)
	return 0
}

func onDir(path string, call func(*atomicfile.Dir) error) error {
	d, err := atomicfile.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(call(d), d.Close())
}

// trace runs call in dir under strace and returns its result and the lines of the
// trace. inject is an -e inject expression, or empty.
func trace(t *testing.T, dir, call, inject string) (result, []string) {
	t.Helper()
	strace := testenv.NeedTool(t, "strace")
	if out, err := exec.CommandContext(t.Context(), strace, "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		testenv.Skip(t, "needs the right to trace: "+string(out))
	}
	log := filepath.Join(t.TempDir(), "log")
	args := []string{
		"-f", "-y", "-o", log,
		"-e", "trace=openat,write,fchmod,fsync,close,renameat,renameat2,linkat,unlinkat,mkdirat",
	}
	if inject != "" {
		args = append(args, "-e", "inject="+inject)
	}
	cmd := exec.CommandContext(t.Context(), strace, append(args, os.Args[0], dir, call)...)
	cmd.Env = append(os.Environ(), childEnv+"=call")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	var got result
	require.NoError(t, json.NewDecoder(strings.NewReader(string(out))).Decode(&got), "%s", out)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	return got, strings.Split(string(text), "\n")
}

// order returns the calls of the trace that touch dir, each as its name and the
// base names of what it works on.
func order(lines []string, dir string) []string {
	call := regexp.MustCompile(`^\d+ +(\w+)\((.*)\) += `)
	random := regexp.MustCompile(`(\.atomicfile-)\d+`)
	name := regexp.MustCompile(`<([^<>]*)>|"([^"]*)"`)
	var calls []string
	for _, line := range lines {
		m := call.FindStringSubmatch(line)
		if m == nil || !strings.Contains(line, dir) || strings.Contains(line, "close") && !strings.Contains(line, "atomicfile-") {
			continue
		}
		if strings.HasPrefix(m[1], "open") && !strings.Contains(line, "O_CREAT") {
			continue
		}
		text := m[1]
		for _, n := range name.FindAllStringSubmatch(m[2], -1) {
			text += " " + random.ReplaceAllString(filepath.Base(n[1]+n[2]), "${1}N")
		}
		calls = append(calls, text)
	}
	return calls
}

func TestOrderOfSystemCalls(t *testing.T) {
	temp := []string{"openat D .atomicfile-N", "write .atomicfile-N new", "fchmod .atomicfile-N", "fsync .atomicfile-N", "close .atomicfile-N"}
	for _, tt := range []struct {
		call   string
		exists bool
		want   []string
	}{
		{"write", true, append(temp[:5:5], "renameat D .atomicfile-N D f", "fsync D")},
		{"write", false, append(temp[:5:5], "renameat D .atomicfile-N D f", "fsync D")},
		{"exclusive", false, append(temp[:5:5], "renameat2 D .atomicfile-N D f", "fsync D")},
		{"exclusive", true, nil},
		{"rename", true, []string{"renameat D f D g", "fsync D"}},
		{"remove", true, []string{"unlinkat D f", "fsync D"}},
		{"remove", false, []string{"unlinkat D f", "unlinkat D f", "fsync D"}},
		{"mkdir", false, []string{
			"fsync P", "mkdirat D a", "fchmod a", "fsync a", "fsync D", "mkdirat a b", "fchmod b", "fsync b", "fsync a",
		}},
	} {
		t.Run(fmt.Sprintf("%s exists=%t", tt.call, tt.exists), func(t *testing.T) {
			parent := filepath.Join(t.TempDir(), "P")
			dir := filepath.Join(parent, "D")
			require.NoError(t, os.MkdirAll(dir, 0o700))
			if tt.exists {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("old"), 0o600))
			}
			_, lines := trace(t, dir, tt.call, "")
			require.Equal(t, tt.want, order(lines, parent), "%s", strings.Join(lines, "\n"))
		})
	}
}

// Every system call is made to fail in turn.
func TestInjectedErrors(t *testing.T) {
	for _, tt := range []struct {
		call, inject string
		want         result // Text is part of the error
		content      string // of the file f afterwards, which was "old"
		left         []string
	}{
		{"write", "write:error=ENOSPC:when=1", result{Text: "no space left"}, "old", []string{"f"}},
		{"write", "write:error=EIO:when=1", result{Text: "input/output error"}, "old", []string{"f"}},
		{"write", "fchmod:error=EPERM", result{Text: "not permitted"}, "old", []string{"f"}},
		{"write", "fsync:error=EIO:when=1", result{Text: "input/output error"}, "old", []string{"f"}},
		{"write", "fsync:error=EINVAL:when=1", result{Text: "invalid argument"}, "old", []string{"f"}},
		{"write", "renameat:error=EBUSY", result{Text: "busy"}, "old", []string{"f"}},
		{"write", "renameat:error=EINTR:when=1", result{}, "new", []string{"f"}},
		{"write", "fsync:error=EIO:when=2", result{"input/output error (done", true}, "new", []string{"f"}},
		{"write", "fsync:error=ENOSPC:when=2", result{"no space left on device (done", true}, "new", []string{"f"}},
		{"write", "fsync:error=EINVAL:when=2", result{}, "new", []string{"f"}},
		{"write", "fsync:error=EOPNOTSUPP:when=2", result{}, "new", []string{"f"}},
		{"exclusive", "renameat2:error=EINVAL", result{}, "new", []string{"f"}},
		{"exclusive", "renameat2:error=ENOSYS", result{}, "new", []string{"f"}},
		{"exclusive", "renameat2:error=EIO", result{Text: "input/output error"}, "", nil},
		{"remove", "fsync:error=EIO", result{"input/output error (done", true}, "", nil},
		{"remove", "unlinkat:error=EIO", result{Text: "input/output error"}, "old", []string{"f"}},
		{"rename", "fsync:error=EIO", result{"input/output error (done", true}, "", []string{"g"}},
		{"mkdir", "fchmod:error=EPERM", result{Text: "not permitted"}, "old", []string{"f"}},
		{"mkdir", "fsync:error=EIO:when=1", result{Text: "input/output error"}, "old", []string{"f"}},
		{"mkdir", "fsync:error=EIO:when=2", result{Text: "input/output error"}, "old", []string{"f"}},
		{"mkdir", "fsync:error=EIO:when=3", result{"input/output error (done", true}, "old", []string{"a", "f"}},
	} {
		t.Run(tt.call+" "+tt.inject, func(t *testing.T) {
			dir := t.TempDir()
			if tt.call != "exclusive" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("old"), 0o600))
			}
			got, lines := trace(t, dir, tt.call, tt.inject)
			require.Contains(t, strings.Join(lines, "\n"), "(INJECTED)")
			require.Equal(t, tt.want.Committed, got.Committed, "%s", got.Text)
			if tt.want.Text == "" {
				require.Empty(t, got.Text)
			}
			require.Contains(t, got.Text, tt.want.Text)
			requireEntries(t, dir, tt.left...)
			if tt.content != "" {
				requireContent(t, filepath.Join(dir, "f"), tt.content)
			}
		})
	}
}

// A file system without renameat2 still has exclusive writes.
func TestExclusiveFallback(t *testing.T) {
	dir := t.TempDir()
	_, lines := trace(t, dir, "exclusive", "renameat2:error=EINVAL")
	calls := strings.Join(order(lines, dir), ", ")
	require.Regexp(t, `linkat \d+ \.atomicfile-N \d+ f, unlinkat \d+ \.atomicfile-N, fsync \d+$`, calls)
}
