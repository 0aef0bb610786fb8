//go:build linux

package backing_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/internal/testenv"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

func init() { children["call"] = callChild }

// The devices of the child: a parent that is there, a copy and an independent one.
var (
	crashParent = device(1, 1)
	crashChild  = childOf(crashParent, 2, 2)
	crashSingle = device(3, 3)
)

// callChild makes one call on the backing at args[0].
func callChild(args []string) int {
	runtime.LockOSThread() // strace counts the system calls of each thread apart
	d, err := backing.OpenDir(args[0])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ctx := context.Background()
	switch args[1] {
	case "create":
		_, err = d.Create(ctx, crashSingle)
	case "copy":
		_, err = d.Create(ctx, crashChild)
	case "remove":
		err = d.Remove(ctx, crashChild)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// An ending is how a child under strace ended.
type ending struct {
	lines  []string // of the trace
	killed bool
	failed string // what it printed, when its call returned an error
}

// strace runs a call of callChild under strace with these options.
func strace(t *testing.T, root, call string, options ...string) (end ending) {
	t.Helper()
	tool := testenv.NeedTool(t, "strace")
	if out, err := exec.CommandContext(t.Context(), tool, "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		testenv.Skip(t, "needs the right to trace: "+string(out))
	}
	log := filepath.Join(t.TempDir(), "log")
	args := append([]string{"-f", "-y", "-o", log}, options...)
	cmd := exec.CommandContext(t.Context(), tool, append(args, os.Args[0], root, call)...)
	cmd.Env = append(os.Environ(), childEnv+"=call", "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
		require.True(t, ok, "%v: %s", err, out)
		end.killed = status.Signaled() && status.Signal() == unix.SIGKILL
		require.True(t, end.killed || status.ExitStatus() == 1, "%v: %s", err, out)
		end.failed = string(out)
	}
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	end.lines = strings.Split(string(text), "\n")
	return end
}

// crashRoot makes a root with the parent in it and, for a removal, its copy.
func crashRoot(t *testing.T, call string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "R")
	d, err := backing.OpenDir(root)
	require.NoError(t, err)
	create(t, d, crashParent)
	for _, name := range []string{"x/y", "z"} {
		dir := filepath.Join(d.Path(1), name)
		require.NoError(t, os.MkdirAll(dir, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte(name), 0o600))
	}
	if call == "remove" {
		create(t, d, crashChild)
	}
	require.NoError(t, d.Close())
	return root
}

// Killed before any of its system calls that change something, a call leaves what
// Probe and List can name, and what the next call completes or clears away.
func TestKilledAnywhere(t *testing.T) {
	const changes = "mkdirat,write,ioctl,copy_file_range,fchmodat,utimensat,unlinkat,fsync,syncfs,renameat2"
	for _, tt := range []struct {
		call string
		dev  store.Device
	}{{"create", crashSingle}, {"copy", crashChild}, {"remove", crashChild}} {
		t.Run(tt.call, func(t *testing.T) {
			seen := map[store.Presence]int{}
			for syscallName := range strings.SplitSeq(changes, ",") {
				for n := 1; ; n++ {
					require.Less(t, n, 200)
					root := crashRoot(t, tt.call)
					inject := fmt.Sprintf("inject=%s:signal=KILL:when=%d", syscallName, n)
					end := strace(t, root, tt.call, "-e", "trace="+syscallName, "-e", inject)
					require.Empty(t, end.failed)
					if !end.killed {
						break
					}
					seen[requireRecovers(t, root, tt.call, tt.dev)]++
				}
			}
			t.Logf("killed: %v", seen)
			require.NotZero(t, seen[store.Partial], "in the middle")
			require.NotZero(t, seen[store.Present], "before a removal, or after the rename of a creation")
		})
	}
}

// requireRecovers checks what a killed call has left, and that the same call and its
// opposite work afterwards. It returns what was left of dev.
func requireRecovers(t *testing.T, root, call string, dev store.Device) store.Presence {
	t.Helper()
	d, err := backing.OpenDir(root)
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	requireProbe(t, d, crashParent.ID, store.Present, crashParent.Stamp)
	left, stamp, err := d.Probe(t.Context(), dev.ID)
	require.NoError(t, err)
	resources := list(t, d)
	if left == store.Absent {
		require.Len(t, resources, 1)
	} else {
		require.Equal(t, dev.Stamp, stamp)
		require.Len(t, resources, 2)
	}
	if left == store.Present && !dev.Parent.IsZero() {
		require.Equal(t, treeOf(t, d.Path(1)), treeOf(t, d.Path(dev.ID)), "what is present is whole")
	}
	if call != "remove" {
		create(t, d, dev)
		requireProbe(t, d, dev.ID, store.Present, dev.Stamp)
		if !dev.Parent.IsZero() {
			require.Equal(t, treeOf(t, d.Path(1)), treeOf(t, d.Path(dev.ID)))
		}
	}
	require.NoError(t, d.Remove(t.Context(), dev))
	requireProbe(t, d, dev.ID, store.Absent, store.Stamp{})
	require.Len(t, list(t, d), 1)
	for _, place := range []string{"staging", "trash"} {
		entries, err := os.ReadDir(filepath.Join(root, place))
		require.NoError(t, err)
		require.Empty(t, entries)
	}
	return left
}

// Every system call that a call makes fails in turn. The error comes back, nothing
// is concluded from it, and the same call works afterwards.
func TestEverySystemCallFails(t *testing.T) {
	const calls = "mkdirat,fchmodat,utimensat,symlinkat,ftruncate,getdents64,statx,llistxattr,unlinkat,fsync,syncfs,renameat2"
	for _, tt := range []struct {
		call string
		dev  store.Device
	}{{"create", crashSingle}, {"copy", crashChild}, {"remove", crashChild}} {
		t.Run(tt.call, func(t *testing.T) {
			failures := 0
			for syscallName := range strings.SplitSeq(calls, ",") {
				for n := 1; ; n++ {
					require.Less(t, n, 200)
					root := crashRoot(t, tt.call)
					inject := fmt.Sprintf("inject=%s:error=EIO:when=%d", syscallName, n)
					end := strace(t, root, tt.call, "-e", "trace="+syscallName, "-e", inject)
					if !strings.Contains(strings.Join(end.lines, "\n"), "(INJECTED)") {
						require.Empty(t, end.failed)
						break
					}
					failures++
					require.Contains(t, end.failed, unix.EIO.Error(), "%s, call %d", syscallName, n)
					requireRecovers(t, root, tt.call, tt.dev)
				}
			}
			t.Logf("%d failures", failures)
			require.Greater(t, failures, 15)
		})
	}
}

// A file system that cannot rename without replacing serves as well.
func TestRenameFallback(t *testing.T) {
	for _, errno := range []string{"EINVAL", "ENOSYS"} {
		for _, tt := range []struct {
			call string
			dev  store.Device
			want store.Presence
		}{{"create", crashSingle, store.Present}, {"copy", crashChild, store.Present}, {"remove", crashChild, store.Absent}} {
			t.Run(errno+" "+tt.call, func(t *testing.T) {
				root := crashRoot(t, tt.call)
				end := strace(t, root, tt.call, "-e", "trace=renameat2", "-e", "inject=renameat2:error="+errno)
				require.Empty(t, end.failed)
				require.Contains(t, strings.Join(end.lines, "\n"), "(INJECTED)")
				require.Equal(t, tt.want, requireRecovers(t, root, "remove", tt.dev))
			})
		}
	}
}
