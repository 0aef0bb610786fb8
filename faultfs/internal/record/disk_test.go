//go:build linux && (amd64 || arm64)

package record_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// unless passes an error on, but for what the file system does not have.
func unless(err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

var partReallocate = part("reallocate", func(dir string) error {
	content := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	if err := os.WriteFile(dir+"/f", content, 0o600); err != nil {
		return err
	}
	return openThen(dir+"/f", unix.O_WRONLY, func(fd int) error {
		return first(
			unless(unix.Fallocate(fd, unix.FALLOC_FL_ZERO_RANGE, 100, 5000)), unless(unix.Fallocate(fd, unix.FALLOC_FL_ZERO_RANGE|unix.FALLOC_FL_KEEP_SIZE, 60000, 50000)),
			ignore(unix.Pwrite(fd, []byte("end"), 70000)),
			unless(unix.Fallocate(fd, unix.FALLOC_FL_COLLAPSE_RANGE, 8192, 4096)), unless(unix.Fallocate(fd, unix.FALLOC_FL_INSERT_RANGE, 16384, 8192)),
			unless(unix.Fallocate(fd, unix.FALLOC_FL_ZERO_RANGE, 70000, 50000)),
		)
	})
})

// The rarer modes of fallocate, which memory file systems do not have.
func TestReallocate(t *testing.T) {
	tr := run(t, partReallocate, t.TempDir(), record.Options{})
	require.GreaterOrEqual(t, len(tr.Ops), 8)
}

var partClone = part("clone", func(dir string) error {
	if err := os.WriteFile(dir+"/from", bytes.Repeat([]byte("x"), 8192), 0o600); err != nil {
		return err
	}
	return openThen(dir+"/from", unix.O_RDONLY, func(from int) error {
		return openThen(dir+"/to", unix.O_CREAT|unix.O_WRONLY, func(to int) error {
			r := unix.FileCloneRange{Src_fd: int64(from), Src_length: 4096, Dest_offset: 4096}
			return first(unless(unix.IoctlFileClone(to, from)), unless(unix.IoctlFileCloneRange(to, &r)))
		})
	})
})

// A clone is a write of what it shares, or fails.
func TestClone(t *testing.T) {
	tr := run(t, partClone, t.TempDir(), record.Options{})
	require.Len(t, tr.Ops, 5)
	for _, op := range tr.Ops[3:] {
		require.Equal(t, trace.Write, op.Kind)
		if op.Err == 0 {
			require.NotEmpty(t, op.Data)
		}
	}
	require.EqualValues(t, 4096, tr.Ops[4].Off)
	require.EqualValues(t, 4096, tr.Ops[4].Len)
}

var partReserve = part("reserve", func(dir string) error {
	content := bytes.Repeat([]byte("x"), 8192)
	if err := os.WriteFile(dir+"/f", content, 0o600); err != nil {
		return err
	}
	return openThen(dir+"/f", unix.O_RDWR, func(fd int) error {
		someBytes = [256]byte{16: 255} // struct space_resv: 0 to 255
		var errs []error
		for _, request := range []uintptr{filter.Reserve, filter.Unreserve, filter.Reserve64, filter.Unreserve64, filter.ZeroRange} {
			errs = append(errs, fails(raw(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&someBytes))), unix.EOPNOTSUPP))
		}
		return first(errs...)
	})
})

// The forerunners of fallocate are what this file system does not have.
func TestReserve(t *testing.T) {
	tr := run(t, partReserve, shm(t), record.Options{})
	require.Len(t, tr.Ops, 2)
}

var partDirect = part("direct", func(dir string) error {
	return openThen(dir+"/f", unix.O_CREAT|unix.O_WRONLY|unix.O_DIRECT|unix.O_DSYNC, func(fd int) error {
		m, err := unix.Mmap(-1, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		copy(m[4096:], "second")
		return first(err, ignore(unix.Pwrite(fd, m, 4096)))
	})
})

// The file system must find our copy of the data as aligned as the program's.
func TestDirect(t *testing.T) {
	tr := run(t, partDirect, t.TempDir(), record.Options{})
	require.Len(t, tr.Ops, 2)
	require.EqualValues(t, 8192, tr.Ops[1].Len)
	require.Equal(t, trace.SyncData, tr.Ops[1].Sync)
}

var partLimit = part("limit", func(dir string) error {
	return openThen(dir+"/f", unix.O_CREAT|unix.O_RDWR, func(fd int) error {
		err := first(ignore(unix.Pwrite(fd, make([]byte, 300), 0)), unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 200, Max: 1000}))
		n, short := unix.Pwrite(fd, []byte("0123456789"), 195)
		return first(
			err, short, want(n == 5, "wrote %d", n), fails(ignore(unix.Pwrite(fd, []byte("x"), 200)), unix.EFBIG),
			fails(unix.Ftruncate(fd, 400), unix.EFBIG), fails(unix.Fallocate(fd, 0, 0, 400), unix.EFBIG),
		)
	})
})

// The limits of the program are its own.
func TestFileSizeLimit(t *testing.T) {
	tr := run(t, partLimit, shm(t), record.Options{})
	require.Len(t, tr.Ops, 3)
	require.Equal(t, `write 2 @195 "01234"`, show(&tr.Ops[2]))
}

var partDescriptors = part("descriptors", func(dir string) error {
	limit := unix.Rlimit{Cur: 40, Max: 40}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	var fds []int
	for {
		lowest, dupErr := unix.Dup(0)
		if dupErr == nil {
			_ = unix.Close(lowest)
		}
		fd, err := unix.Open(dir+"/f", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return first(fails(err, unix.EMFILE), fails(dupErr, unix.EMFILE), want(len(fds) > 20, "%d descriptors", len(fds)))
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		fds = append(fds, fd)
		if err := first(err, want(flags == unix.FD_CLOEXEC, "flags %d", flags), want(fd == lowest, "%d is not the lowest", fd)); err != nil {
			return err
		}
	}
})

// A descriptor is the lowest that is free, and there are no more than allowed.
func TestDescriptors(t *testing.T) {
	run(t, partDescriptors, shm(t), record.Options{})
}

var partSecret = part("secret", func(dir string) error {
	if err := os.WriteFile(dir+"/from", []byte("data"), 0o600); err != nil {
		return err
	}
	return openThen(dir+"/from", unix.O_RDONLY, func(from int) error {
		to, err := unix.Open(dir+"/to", unix.O_CREAT|unix.O_WRONLY, 0o200)
		if err != nil {
			return err
		}
		return ignore(unix.CopyFileRange(from, nil, to, nil, 4, 0))
	})
})

// What cannot be read back is said to be unknown; the program does not notice.
func TestUnreadableFile(t *testing.T) {
	s := start(t, partSecret, shm(t), record.Options{})
	tr := next(t, s)
	require.NoError(t, s.Wait())
	if os.Getuid() == 0 {
		require.Empty(t, tr.Blind)
		require.Equal(t, `write 3 @0 "data"`, show(&tr.Ops[3]))
		return
	}
	require.Len(t, tr.Blind, 1)
	require.Equal(t, record.BlindContent, tr.Blind[0].What)
	require.Equal(t, "to", tr.Blind[0].Path)
}

var partSocket = part("socket", func(dir string) error {
	unix.Umask(0o077)
	l, err := net.Listen("unix", dir+"/socket")
	if err != nil {
		return err
	}
	_, again := net.Listen("unix", dir+"/socket")
	err = first(fails(again, unix.EADDRINUSE), l.Close(), ignore(net.Listen("unix", "@abstract-"+itoa(os.Getpid()))), os.Chdir(dir))
	if l, again = net.Listen("unix", "relative"); again != nil {
		return again
	}
	return first(err, want(l.Addr().String() == "relative", "%s", l.Addr()), l.Close())
})

// A socket is made by bind, and keeps the path that the program gave it.
func TestSocket(t *testing.T) {
	tr := run(t, partSocket, shm(t), record.Options{})
	require.Empty(t, tr.Blind)
	require.Equal(t, []string{
		"mknod 1/socket =2 700", "mknod 1/socket =0 777 failed: address already in use", "unlink 1/socket =2", "mknod 1/relative =3 700", "unlink 1/relative =3",
	}, showAll(tr.Ops))
	require.EqualValues(t, unix.S_IFSOCK, tr.Ops[0].Mode&unix.S_IFMT)
}
