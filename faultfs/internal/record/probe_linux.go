//go:build amd64 || arm64

package record

import (
	"errors"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
)

// Supported returns nil if this machine can record, else an *UnsupportedError that
// says what is missing. It finds out by use, once.
func Supported() error { return supported() }

var supported = sync.OnceValue(func() error {
	// In a thread that ends with the goroutine, and takes the filter with it.
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		result <- probe()
	}()
	return <-result
})

// probe tries everything that a recorder needs on this thread.
func probe() error {
	// Flags are checked before the pointer: EFAULT means that all are known.
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, filterFlags, 0)
	if errno == unix.EINVAL {
		return &UnsupportedError{Need: "Linux 5.19", Err: errno}
	}
	if errno != unix.EFAULT {
		return &UnsupportedError{Need: "seccomp", Err: errno}
	}
	for _, p := range []struct {
		need string
		try  func() error
	}{
		{"seccomp user notification", tryListener},
		{"pidfd_getfd, which takes the right to trace one's own children", tryGetfd},
		{"process_vm_readv, which takes the right to trace one's own children", tryMemory},
		{"unshare(CLONE_FS)", func() error { return unix.Unshare(unix.CLONE_FS) }},
		{"openat2", tryOpenat2},
		{"/proc", func() error { _, err := os.Stat("/proc/self/syscall"); return err }},
	} {
		if err := p.try(); err != nil {
			return &UnsupportedError{Need: p.need, Err: err}
		}
	}
	return nil
}

// tryListener installs a filter that allows everything.
func tryListener() error {
	fd, err := install([]filter.Instruction{{Code: filter.Return, K: filter.Allow}}, filterFlags&^(unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH))
	shut(fd)
	return err
}

func tryGetfd() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	defer func() { _ = w.Close() }()
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return err
	}
	defer shut(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, int(r.Fd()), 0)
	shut(fd)
	return err
}

func tryMemory() error {
	want, got := []byte{42}, []byte{0}
	n, err := unix.ProcessVMReadv(os.Getpid(), []unix.Iovec{{Base: &got[0], Len: 1}}, []unix.RemoteIovec{{Base: address(want), Len: 1}}, 0)
	if err == nil && (n != 1 || got[0] != want[0]) {
		err = errors.New("read something else")
	}
	runtime.KeepAlive(want)
	return err
}

func tryOpenat2() error {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC})
	if err == nil {
		shut(fd)
	}
	return err
}
