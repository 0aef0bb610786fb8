//go:build linux && (amd64 || arm64)

package record_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

func inode(path string) uint64 {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0
	}
	return st.Ino
}

var partReuse = part("reuse", func(dir string) error {
	out := filepath.Dir(dir) + "/out"
	was := map[uint64]bool{}
	for i := range 20 {
		name := fmt.Sprintf("%s/%d", dir, i)
		if err := os.WriteFile(name, []byte("inside"), 0o600); err != nil {
			return err
		}
		was[inode(name)] = true
	}
	for i := range 20 {
		if err := os.Remove(fmt.Sprintf("%s/%d", dir, i)); err != nil {
			return err
		}
	}
	again := 0
	for i := range 60 {
		name := fmt.Sprintf("%s/%d", out, i)
		if err := os.WriteFile(name, []byte("outside"), 0o600); err != nil {
			return err
		}
		if was[inode(name)] {
			again++
		}
	}
	return first(os.WriteFile(dir+"/reused", fmt.Append(nil, again), 0o600), os.WriteFile(dir+"/last", []byte("x"), 0o600))
})

// A file outside may get the number of one that was removed inside: it is another.
func TestNumbersThatAreUsedAgain(t *testing.T) {
	outer := t.TempDir()
	require.NoError(t, first(os.Mkdir(outer+"/in", 0o755), os.Mkdir(outer+"/out", 0o755)))
	tr := run(t, partReuse, outer+"/in", record.Options{})
	require.Len(t, tr.Ops, 20*3+2*2)
	for _, op := range tr.Ops {
		require.NotEqual(t, "outside", string(op.Data))
	}
	reused, err := os.ReadFile(outer + "/in/reused")
	require.NoError(t, err)
	t.Logf("%s numbers were used again", reused)
}

// leave are the ways in which the files 0 to 19 of a directory lose their names, some
// of them in the directory out.
var leave = map[string]func(dir, out string) error{
	"removed": func(dir, _ string) error { return each(dir, os.Remove) },
	"replaced": func(dir, _ string) error {
		return each(dir, func(path string) error {
			return first(os.WriteFile(path+"new", nil, 0o600), os.Rename(path+"new", path))
		})
	},
	"removed outside": func(dir, out string) error {
		return each(dir, func(path string) error { return first(os.Rename(path, out+"/x"), os.Remove(out+"/x")) })
	},
	"replaced outside": func(dir, out string) error {
		return each(dir, func(path string) error {
			return first(os.Rename(path, out+"/x"), os.WriteFile(out+"/y", nil, 0o600), os.Rename(out+"/y", out+"/x"))
		})
	},
	"replaced by each other": func(dir, out string) error {
		return each(dir, func(path string) error { return os.Rename(path, out+"/x") })
	},
	"linked outside": func(dir, out string) error {
		return each(dir, func(path string) error { return first(os.Link(path, out+"/x"), os.Remove(path), os.Remove(out+"/x")) })
	},
	"moved and linked": func(dir, out string) error {
		return each(dir, func(path string) error {
			return first(os.Rename(path, out+"/x"), os.Link(out+"/x", out+"/y"), os.Remove(out+"/x"), os.Remove(out+"/y"))
		})
	},
	"a directory": func(dir, out string) error {
		return each(dir, func(path string) error {
			return first(os.Remove(path), os.Mkdir(path, 0o700), os.Rename(path, out+"/d"), os.Remove(out+"/d"))
		})
	},
}

func each(dir string, do func(path string) error) error {
	var errs []error
	for i := range 20 {
		errs = append(errs, do(fmt.Sprintf("%s/%d", dir, i)))
	}
	return first(errs...)
}

func init() {
	for name, leave := range leave {
		part("return after "+name, func(dir string) error {
			out := filepath.Dir(dir) + "/out"
			was := map[uint64]bool{}
			note := func(path string) error { was[inode(path)] = true; return nil }
			if err := first(each(dir, note), leave(dir, out)); err != nil {
				return err
			}
			again := 0
			for i := range 60 {
				name := fmt.Sprintf("/new%d", i)
				if err := os.WriteFile(out+name, []byte("same"), 0o600); err != nil {
					return err
				}
				if was[inode(out+name)] {
					again++
				}
				if err := os.Rename(out+name, dir+name); err != nil {
					return err
				}
			}
			return os.WriteFile(out+"/again", fmt.Append(nil, again), 0o600)
		})
	}
}

// A file that comes from outside is a new one, even with the number and the content
// of one that has gone.
func TestNumbersThatComeBack(t *testing.T) {
	for name := range leave {
		t.Run(name, func(t *testing.T) {
			outer := t.TempDir()
			require.NoError(t, first(os.Mkdir(outer+"/in", 0o755), os.Mkdir(outer+"/out", 0o755)))
			require.NoError(t, each(outer+"/in", func(path string) error { return os.WriteFile(path, []byte("same"), 0o600) }))
			tr := run(t, "return after "+name, outer+"/in", record.Options{})
			require.Empty(t, tr.Blind)
			came := map[tree.Ino]bool{}
			for _, op := range tr.Ops {
				if op.Kind == trace.Tmpfile {
					came[op.Ino] = true
				}
				require.True(t, op.Kind != trace.Link || came[op.Ino], "%s is not of one that came", show(&op))
				require.NotEqual(t, trace.Fsync, op.Kind, "nobody synced")
			}
			require.Len(t, came, 60)
			again, err := os.ReadFile(outer + "/out/again")
			require.NoError(t, err)
			t.Logf("%s numbers were used again", again)
		})
	}
}

var partTmpfileOutside = part("tmpfile outside", func(dir string) error {
	out := filepath.Dir(dir) + "/out"
	return openThen(dir, unix.O_TMPFILE|unix.O_WRONLY, func(fd int) error {
		return first(
			ignore(unix.Write(fd, []byte("one"))), unix.Linkat(at, "/proc/self/fd/"+itoa(fd), at, out+"/f", unix.AT_SYMLINK_FOLLOW),
			openThen(out+"/f", unix.O_WRONLY, func(fd int) error { return first(ignore(unix.Pwrite(fd, []byte("two"), 3)), unix.Fsync(fd)) }),
			os.Rename(out+"/f", dir+"/f"),
		)
	})
})

// A file without a name that gets one elsewhere is the same when it comes from there.
func TestTmpfileFromOutside(t *testing.T) {
	outer := shm(t)
	require.NoError(t, first(os.Mkdir(outer+"/in", 0o755), os.Mkdir(outer+"/out", 0o755)))
	tr := run(t, partTmpfileOutside, outer+"/in", record.Options{})
	require.Empty(t, tr.Blind)
	require.Equal(t, []string{"tmpfile =2 644", `write 2 @0 "one"`, `write 2 @3 "two"`, "fsync 2 full", "link 1/f =2"}, showAll(tr.Ops))
}

var partWaitingSplice = part("waiting splice", func(dir string) error {
	return openThen(dir+"/f", unix.O_CREAT|unix.O_RDWR, func(fd int) error {
		var p [2]int
		if err := unix.Pipe(p[:]); err != nil {
			return err
		}
		done := make(chan error)
		go func() { done <- ignore(unix.Splice(p[0], nil, fd, new(int64), 100, 0)) }()
		time.Sleep(50 * time.Millisecond)
		return first(ignore(unix.Pwrite(fd, []byte("before"), 10)), ignore(unix.Write(p[1], []byte("after"))), <-done)
	})
})

// A splice that waits for its pipe keeps nobody from writing.
func TestWaitingSplice(t *testing.T) {
	tr := run(t, partWaitingSplice, shm(t), record.Options{})
	require.Equal(t, []string{"create 1/f =2 644", `write 2 @10 "before"`, `write 2 @0 "after"`}, showAll(tr.Ops))
}

var partManyProcesses = part("many processes", func(dir string) error {
	for i := range 300 {
		f, err := os.OpenFile(fmt.Sprintf("%s/%d", dir, i%7), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", "echo x >&3; umask 022"}, &os.ProcAttr{Files: []*os.File{nil, nil, nil, f}})
		if err != nil {
			return err
		}
		_, err = p.Wait()
		if err := first(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
})

// Any number of processes may come and go.
func TestManyProcesses(t *testing.T) {
	check := leaks(t)
	fds, _, _ := resources(t)
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	few := unix.Rlimit{Cur: uint64(fds) + 560, Max: limit.Max}
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &few))
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) }()
	tr := run(t, partManyProcesses, shm(t), record.Options{})
	require.Len(t, tr.Ops, 7+300)
	require.Empty(t, tr.Blind)
	pids := map[int]bool{}
	for _, op := range tr.Ops {
		pids[op.PID] = true
	}
	require.Len(t, pids, 301)
	check()
}
