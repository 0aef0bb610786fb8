//go:build linux && (amd64 || arm64)

package record_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// envErrno is the number that every call of the failing part is to return.
const envErrno = "RECORD_TEST_ERRNO"

// everything makes one call of each kind, whose error is the result.
var everything = map[trace.Kind]func(fd int) error{
	trace.Write:     func(fd int) error { return ignore(unix.Write(fd, []byte("x"))) },
	trace.Truncate:  func(fd int) error { return unix.Ftruncate(fd, 3) },
	trace.Fallocate: func(fd int) error { return unix.Fallocate(fd, 0, 0, 100) },
	trace.Punch: func(fd int) error {
		return unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE|unix.FALLOC_FL_PUNCH_HOLE, 0, 3)
	},
	trace.Create:      func(int) error { return openThen("new", creating, nil) },
	trace.Tmpfile:     func(int) error { return openThen(".", unix.O_TMPFILE|unix.O_RDWR, nil) },
	trace.Mkdir:       func(int) error { return unix.Mkdir("newdir", 0o755) },
	trace.Symlink:     func(int) error { return unix.Symlink("to", "newlink") },
	trace.Mknod:       func(int) error { return unix.Mkfifo("fifo", 0o600) },
	trace.Link:        func(int) error { return unix.Link("f", "g") },
	trace.Unlink:      func(int) error { return unix.Unlink("f") },
	trace.Rmdir:       func(int) error { return unix.Rmdir("d") },
	trace.Rename:      func(int) error { return unix.Rename("f", "g") },
	trace.Chmod:       func(fd int) error { return unix.Fchmod(fd, 0o600) },
	trace.Chown:       func(fd int) error { return unix.Fchown(fd, -1, os.Getgid()) },
	trace.Utimes:      func(fd int) error { return unix.Futimes(fd, []unix.Timeval{{Sec: 1}, {Sec: 1}}) },
	trace.Setxattr:    func(fd int) error { return unix.Fsetxattr(fd, "user.a", []byte("1"), 0) },
	trace.Removexattr: func(fd int) error { return unix.Fremovexattr(fd, "user.a") },
	trace.Fsync:       unix.Fsync,
	trace.SyncRange:   func(fd int) error { return unix.SyncFileRange(fd, 0, 3, 0) },
	trace.Syncfs:      unix.Syncfs,
	trace.Msync: func(fd int) error {
		m, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		return unix.Msync(m, unix.MS_SYNC)
	},
}

var partFailing = part("failing", func(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	errno := syscall.EIO
	if os.Getenv(envErrno) == "ENOSPC" {
		errno = syscall.ENOSPC
	}
	var errs []error
	for kind, do := range everything {
		err := openThen("f", unix.O_RDWR, func(fd int) error { return fails(do(fd), errno) })
		if err != nil {
			errs = append(errs, want(false, "%s: %w", kind, err))
		}
	}
	return first(errs...)
})

// A fault surfaces as the error of the call, and has no effect.
func TestFaultsSurface(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		t.Run(errno.Error(), func(t *testing.T) {
			dir := shm(t)
			require.NoError(t, first(os.WriteFile(dir+"/f", []byte("0123456789"), 0o644), os.Mkdir(dir+"/d", 0o755)))
			if errno == syscall.ENOSPC {
				t.Setenv(envErrno, "ENOSPC")
			}
			asked := map[trace.Kind]bool{}
			tr := run(t, partFailing, dir, record.Options{Inject: func(op *trace.Op) record.Fault {
				asked[op.Kind] = true
				return record.Fault{Err: errno}
			}})
			require.Len(t, tr.Ops, len(everything))
			for _, op := range tr.Ops {
				require.True(t, op.Injected)
				require.Equal(t, errno, op.Err)
			}
			for kind := range everything {
				require.True(t, asked[kind], kind)
			}
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, entries, 2)
		})
	}
}

var partLongWrite = part("long write", func(dir string) error {
	f, err := os.Create(dir + "/f")
	if err != nil {
		return err
	}
	n, err := unix.Write(int(f.Fd()), []byte(strings.Repeat("x", 100)))
	return first(err, want(n == 7, "wrote %d", n), ignore(f.WriteString("rest")), f.Close())
})

func TestShortWrite(t *testing.T) {
	tr := run(t, partLongWrite, shm(t), record.Options{Inject: func(op *trace.Op) record.Fault {
		if op.Kind == trace.Write && op.Len == 100 {
			return record.Fault{Short: 7}
		}
		return record.Fault{Short: 50}
	}})
	require.Equal(t, []string{"create 1/f =2 644", `write 2 @0 "xxxxxxx"`, `write 2 @7 "rest"`}, showAll(tr.Ops))
	require.True(t, tr.Ops[1].Injected)
	require.EqualValues(t, 7, tr.Ops[1].Len)
	require.False(t, tr.Ops[2].Injected)
}

// overlap makes two calls at the same time, the second one a while after the first.
func overlap(one, two func() error) error {
	done := make(chan error)
	go func() { done <- one() }()
	time.Sleep(100 * time.Millisecond)
	err := two()
	return first(err, <-done)
}

var partOverlap = part("overlap", func(dir string) error {
	f, err := os.Create(dir + "/f")
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return first(
		overlap(f.Sync, func() error { return ignore(f.WriteString("during the sync")) }),
		overlap(f.Sync, func() error { return os.Rename(dir+"/f", dir+"/g") }),
		overlap(f.Sync, f.Sync),
	)
})

// What happens during a slow sync is not covered by it, and the trace shows that.
func TestSyncsOverlap(t *testing.T) {
	slow := record.Options{Inject: func(op *trace.Op) record.Fault {
		if op.Kind == trace.Fsync {
			return record.Fault{Delay: 300 * time.Millisecond}
		}
		return record.Fault{}
	}}
	tr := run(t, partOverlap, shm(t), slow)
	ops := tr.Ops[1:]
	require.Len(t, ops, 6)
	for i := 0; i < 6; i += 2 {
		require.Equal(t, trace.Fsync, ops[i].Kind)
		require.Less(t, ops[i+1].Start, ops[i].End, "%s starts during the sync", show(&ops[i+1]))
	}
	require.Less(t, ops[1].End, ops[0].End)
	require.Less(t, ops[3].End, ops[2].End)
}

var partSlowWrites = part("slow writes", func(dir string) error {
	f, err := os.Create(dir + "/f")
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	write := func(p string) func() error { return func() error { return ignore(f.WriteAt([]byte(p), 0)) } }
	return overlap(write("slow"), write("next"))
})

// Two writes to one file take effect one after the other, in the order of the trace.
func TestWritesOfOneFileDoNotOverlap(t *testing.T) {
	tr := run(t, partSlowWrites, shm(t), record.Options{Inject: func(op *trace.Op) record.Fault {
		if string(op.Data) == "slow" {
			return record.Fault{Delay: 300 * time.Millisecond}
		}
		return record.Fault{}
	}})
	require.Equal(t, []string{"create 1/f =2 644", `write 2 @0 "slow"`, `write 2 @0 "next"`}, showAll(tr.Ops))
	require.Less(t, tr.Ops[1].End, tr.Ops[2].Start)
}

var partSlowRename = part("slow rename", func(dir string) error {
	return first(
		os.WriteFile(dir+"/a", nil, 0o600),
		overlap(func() error { return os.Rename(dir+"/a", dir+"/b") }, func() error { return openThen(dir+"/b", unix.O_WRONLY, nil) }),
		openThen(dir+"/b", unix.O_WRONLY, func(fd int) error {
			return overlap(func() error { return os.Rename(dir+"/b", dir+"/c") }, func() error { return ignore(unix.Write(fd, []byte("during"))) })
		}),
	)
})

// A slow rename holds up nothing but other names.
func TestSlowRename(t *testing.T) {
	slow := record.Options{Inject: func(op *trace.Op) record.Fault {
		if op.Kind == trace.Rename && op.New == "c" {
			return record.Fault{Delay: 300 * time.Millisecond}
		}
		return record.Fault{}
	}}
	tr := run(t, partSlowRename, shm(t), slow)
	require.Equal(t, []string{"create 1/a =2 600", "rename 1/a > 1/b =2", "rename 1/b > 1/c =2", `write 2 @0 "during"`}, showAll(tr.Ops))
	require.Less(t, tr.Ops[3].End, tr.Ops[2].End)
}

var partHang = part("hang", func(dir string) error {
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		return err
	}
	go func() { _ = f.Sync() }()
	go func() { _, _ = f.WriteString("hangs") }()
	time.Sleep(50 * time.Millisecond)
	if err := os.WriteFile(dir+"/other", nil, 0o600); err != nil {
		return err
	}
	select {}
})

// A call that hangs holds up nobody else, until the program is killed.
func TestHang(t *testing.T) {
	dir := shm(t)
	s := start(t, partHang, dir, record.Options{Inject: func(op *trace.Op) record.Fault {
		return record.Fault{Hang: op.Kind == trace.Fsync || op.Kind == trace.Write}
	}})
	require.Eventually(t, func() bool { _, err := os.Stat(dir + "/other"); return err == nil }, 10*time.Second, time.Millisecond)
	time.Sleep(10 * time.Millisecond)
	s.Kill()
	tr := next(t, s)
	sound(t, tr)
	same(t, tr, dir)
	require.ElementsMatch(t, []string{
		"create 1/f =2 644", "fsync 2 full failed: interrupted system call", `write 2 @0 "hangs" failed: interrupted system call`, "create 1/other =3 600",
	}, showAll(tr.Ops))
	require.Error(t, s.Wait())
}
