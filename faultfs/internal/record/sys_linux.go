//go:build amd64 || arm64

package record

import (
	"errors"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
)

// notification is struct seccomp_notif.
type notification struct {
	id    uint64
	tid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// addfd is struct seccomp_notif_addfd.
type addfd struct {
	id         uint64
	flags      uint32
	srcfd      uint32
	newfd      uint32
	newfdFlags uint32
}

// The ioctls of a listener, which carry the sizes of the structs above.
const (
	ioctlRecv     = 0xc0502100
	ioctlSend     = 0xc0182101
	ioctlAddfd    = 0x40182103
	ioctlSetFlags = 0x40082104
)

// filterFlags make the filter apply to all threads at once, or to none; give a
// listener; and let only fatal signals interrupt a call that is being served: Linux
// 5.19. Without the last one, a signal would restart a call that was done already.
const filterFlags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_NEW_LISTENER |
	unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV

// install installs prog and returns the listener, which is closed on exec.
func install(prog []filter.Instruction, flags uintptr) (int, error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, err
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: (*unix.SockFilter)(unsafe.Pointer(&prog[0]))}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(prog)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) (int, syscall.Errno) {
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
	return int(n), errno
}

// errnoOf returns the number in an error of package unix, which returns no others.
func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}

// shut closes a descriptor that only was looked through.
func shut(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

// retry repeats f while a signal interrupts it. The signals are the supervisor's
// own, of which the program must not learn.
func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
