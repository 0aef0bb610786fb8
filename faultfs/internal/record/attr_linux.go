//go:build amd64 || arm64

package record

import (
	"encoding/binary"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// attribute serves a call that changes an attribute of t, with the inode locked.
func (q *request) attribute(t *target, op trace.Op, perform func(op *trace.Op) syscall.Errno) reply {
	if t.inode == nil {
		return goOn
	}
	q.lock(&t.inode.mu)
	defer t.inode.mu.Unlock()
	op.Ino = t.inode.ino
	return q.do(&op, func(Fault) syscall.Errno { return perform(&op) })
}

// chmod serves the family. Its result takes the mode.
func (q *request) chmod(t *target, errno syscall.Errno) func(mode uint64) reply {
	return func(mode uint64) reply {
		if errno != 0 {
			return q.cannot(errno)
		}
		defer t.shut()
		op := trace.Op{Kind: trace.Chmod, Mode: uint32(mode & 0o7777)}
		return q.attribute(t, op, func(op *trace.Op) syscall.Errno {
			var err error
			if q.call == filter.Fchmod {
				err = unix.Fchmod(t.fd, op.Mode)
			} else {
				err = unix.Chmod(t.path(), op.Mode)
			}
			if err == nil {
				modeNow(t, op) // the kernel may have left out a bit
			}
			return errnoOf(err)
		})
	}
}

// chown serves the family. Its result takes which arguments hold the user and, next
// to it, the group.
func (q *request) chown(t *target, errno syscall.Errno) func(arg int) reply {
	return func(arg int) reply {
		if errno != 0 {
			return q.cannot(errno)
		}
		defer t.shut()
		uid, gid := q.flags(arg), q.flags(arg+1)
		op := trace.Op{Kind: trace.Chown, UID: uint32(uid), GID: uint32(gid)}
		return q.attribute(t, op, func(op *trace.Op) syscall.Errno {
			var err error
			if q.call == filter.Fchown {
				err = unix.Fchown(t.fd, uid, gid)
			} else {
				err = unix.Fchownat(t.fd, "", uid, gid, unix.AT_EMPTY_PATH)
			}
			if err != nil {
				return errnoOf(err)
			}
			var st unix.Stat_t
			if unix.Fstat(t.fd, &st) == nil { // -1 leaves one as it is
				op.UID, op.GID = st.Uid, st.Gid
			}
			q.modeChanged(t, op)
			return 0
		})
	}
}

// timeUnit says what the second half of a time counts.
type timeUnit int64

const (
	wholeSeconds timeUnit = 0 // there is no second half
	microseconds timeUnit = 1000
	nanoseconds  timeUnit = 1
)

// utimes serves the family. Its result takes where the times are.
func (q *request) utimes(t *target, errno syscall.Errno) func(addr uint64, unit timeUnit) reply {
	return func(addr uint64, unit timeUnit) reply {
		if errno != 0 {
			return q.cannot(errno)
		}
		defer t.shut()
		times, errno := q.times(addr, unit)
		if errno != 0 {
			return q.cannot(errno)
		}
		return q.attribute(t, trace.Op{Kind: trace.Utimes}, func(*trace.Op) syscall.Errno {
			var empty [1]byte
			_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(t.fd), uintptr(unsafe.Pointer(&empty[0])), uintptr(unsafe.Pointer(times)), unix.AT_EMPTY_PATH, 0, 0)
			return errno
		})
	}
}

// times reads access and modification time; nil means now.
func (q *request) times(addr uint64, unit timeUnit) (*[2]unix.Timespec, syscall.Errno) {
	if addr == 0 {
		return nil, 0
	}
	raw := q.w.scratch[:32]
	step := 16
	if unit == wholeSeconds {
		raw, step = raw[:16], 8
	}
	if readMemory(q.tid(), addr, raw) != len(raw) {
		return nil, unix.EFAULT
	}
	var times [2]unix.Timespec
	for i := range times {
		times[i].Sec = int64(binary.LittleEndian.Uint64(raw[i*step:]))
		if unit == wholeSeconds {
			continue
		}
		times[i].Nsec = int64(binary.LittleEndian.Uint64(raw[i*step+8:]))
		if unit == microseconds {
			if times[i].Nsec < 0 || times[i].Nsec >= 1e6 {
				return nil, unix.EINVAL
			}
			times[i].Nsec *= int64(unit)
		}
	}
	return &times, 0
}

func (q *request) setxattr(t *target, errno syscall.Errno) reply {
	if errno != 0 {
		return q.cannot(errno)
	}
	defer t.shut()
	name, errno := q.text(q.n.args[1])
	if errno != 0 || q.n.args[3] > maxXattr {
		return goOn
	}
	value, errno := q.bytes(q.n.args[2], q.n.args[3], false)
	if errno != 0 || uint64(len(value)) != q.n.args[3] {
		return goOn
	}
	return q.xattr(t, trace.Op{Kind: trace.Setxattr, Attr: name, Data: value}, func() error {
		if q.call == filter.Fsetxattr {
			return unix.Fsetxattr(t.fd, name, value, q.flags(4))
		}
		return unix.Setxattr(t.path(), name, value, q.flags(4))
	})
}

// maxXattr is the kernel's limit of a value.
const maxXattr = 65536

// xattr serves op, which is about an extended attribute. Trees keep those of users.
// Of an access control list they keep what it does to the mode.
func (q *request) xattr(t *target, op trace.Op, perform func() error) reply {
	if op.Attr == "system.posix_acl_access" {
		op = trace.Op{Kind: trace.Chmod, Mode: uint32(t.st.Mode) & 0o7777}
	} else if !strings.HasPrefix(op.Attr, "user.") {
		return goOn
	}
	return q.attribute(t, op, func(op *trace.Op) syscall.Errno {
		err := perform()
		if op.Kind == trace.Chmod {
			modeNow(t, op)
		}
		return errnoOf(err)
	})
}

// modeNow completes op with the mode that t has.
func modeNow(t *target, op *trace.Op) {
	var st unix.Stat_t
	if unix.Fstat(t.fd, &st) == nil {
		op.Mode = uint32(st.Mode) & 0o7777
	}
}

func (q *request) removexattr(t *target, errno syscall.Errno) reply {
	if errno != 0 {
		return q.cannot(errno)
	}
	defer t.shut()
	name, errno := q.text(q.n.args[1])
	if errno != 0 {
		return goOn
	}
	return q.xattr(t, trace.Op{Kind: trace.Removexattr, Attr: name}, func() error {
		if q.call == filter.Fremovexattr {
			return unix.Fremovexattr(t.fd, name)
		}
		return unix.Removexattr(t.path(), name)
	})
}
