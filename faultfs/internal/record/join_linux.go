//go:build amd64 || arm64

package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// envSocket holds the number of the descriptor through which the child hands over
// its listener.
const envSocket = "FAULTFS_RECORDER_FD"

// What the child tells the supervisor goes through one system call that is of no
// other use, so that it is ordered with the operations around it. The kernel would
// refuse it, for its flags, before it looks at anything else.
const (
	tellMagic = 0x66617566 // the flags of setxattr

	tellBegin     = 1 // recording starts; text: the directory
	tellEnd       = 2
	tellMarkBegin = 3 // text: the operation, a zero byte, the arguments
	tellMarkAck   = 4

	maxTrouble = unix.PathMax + 64 // the room at the address in the sixth argument
)

// Join puts this process, all its threads and all processes that it will start,
// under the recorder that started it. It must be called once, before Begin, and
// works for a program that then execs another. It returns ErrNotRecorded if no
// recorder started this process.
func Join() error {
	value, found := os.LookupEnv(envSocket)
	if !found {
		return ErrNotRecorded
	}
	sock, err := strconv.Atoi(value)
	if err != nil {
		return fmt.Errorf("join recorder: descriptor of the socket: %w", err)
	}
	// Processes that this one starts are under its filter, and cannot join again.
	if err := os.Unsetenv(envSocket); err != nil {
		return fmt.Errorf("join recorder: %w", err)
	}
	defer shut(sock)
	unix.CloseOnExec(sock)
	// Once the filter is there, nobody serves it until the supervisor has the listener,
	// and any thread of the runtime can be caught in it, with what this one waits for.
	// So the supervisor fetches the listener; nothing has to run here.
	ready := binary.LittleEndian.AppendUint32(nil, uint32(os.Getpid()))
	if err := retry(func() error { return unix.Sendmsg(sock, ready, nil, nil, unix.MSG_NOSIGNAL) }); err != nil {
		return fmt.Errorf("join recorder: %w", err)
	}
	listener, err := install(ownTable().Program(), filterFlags)
	if err != nil {
		return fmt.Errorf("join recorder: install filter: %w", err)
	}
	defer shut(listener)
	answer := make([]byte, 1)
	var n int
	err = retry(func() (err error) { n, err = unix.Read(sock, answer); return err })
	if err != nil || n == 0 {
		return fmt.Errorf("join recorder: wait for it: %w", errors.Join(err, ErrNotRecorded))
	}
	return nil
}

// Begin starts a recording of what happens below dir, which holds what is durable
// so far. Nothing may happen there meanwhile. One recording can be open at a time.
func Begin(dir string) error {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return fmt.Errorf("begin recording: %w", err)
	}
	trouble, err := tell(tellBegin, abs)
	if op, path, found := strings.Cut(trouble, "\x00"); found && err != nil {
		err = &fs.PathError{Op: op, Path: path, Err: err}
	}
	if err != nil {
		return fmt.Errorf("begin recording: %w", err)
	}
	return nil
}

// End ends the recording that Begin started; the parent gets it from Next.
func End() error {
	if _, err := tell(tellEnd, ""); err != nil {
		return fmt.Errorf("end recording: %w", err)
	}
	return nil
}

// Mark puts a mark into the recording that is open. args is a JSON array.
func Mark(ack bool, op string, args []byte) error {
	what := uintptr(tellMarkBegin)
	if ack {
		what = tellMarkAck
	}
	if _, err := tell(what, op+"\x00"+string(args)); err != nil {
		return fmt.Errorf("mark %s: %w", op, err)
	}
	return nil
}

// tell returns with an error what the supervisor says about that: what it did to
// which path, with a zero byte between, or nothing.
func tell(what uintptr, text string) (trouble string, err error) {
	buf := append([]byte(text), 0) // never empty
	answer := make([]byte, maxTrouble)
	_, _, errno := unix.Syscall6(unix.SYS_SETXATTR, 0, what, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(text)), tellMagic, uintptr(unsafe.Pointer(&answer[0])))
	if errno == unix.EINVAL || errno == unix.ENOSYS { // the kernel itself; a recorder that has gone
		return "", ErrNotRecorded
	}
	if errno != 0 {
		return strings.TrimRight(string(answer), "\x00"), errno
	}
	return "", nil
}
