//go:build amd64 || arm64

package record

import (
	"math"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// writing is what distinguishes the calls of the write family.
type writing struct {
	vector  bool // the data is in several pieces
	at      bool // there is an offset
	flagged bool // there are flags
	flags   int  // RWF_*
}

// Flags of pwritev2.
const (
	rwfDsync    = 0x2
	rwfSync     = 0x4
	rwfAppend   = 0x10
	rwfNoappend = 0x20
)

func (q *request) write(w writing) reply {
	if q.rec == nil {
		return goOn
	}
	t, errno := q.byFD(q.fd(0))
	if errno != 0 {
		return q.cannot(errno)
	}
	defer t.shut()
	if !t.regular() {
		q.changesElsewhere(t, w.flags)
		q.takeLines(t, w)
		return goOn
	}
	q.lock(&t.inode.mu)
	defer t.inode.mu.Unlock()
	status, errno := statusFlags(t.fd)
	if errno != 0 {
		return fail(errno)
	}
	data, errno := q.data(w, status&unix.O_DIRECT != 0)
	if errno != 0 {
		return fail(errno)
	}
	if len(data) == 0 {
		return goOn // an error, or nothing
	}
	op := trace.Op{Kind: trace.Write, Ino: t.inode.ino, Sync: durability(status, w.flags)}
	if op.Sync != trace.SyncNone {
		q.mayBlock()
	}
	where, errno := q.offset(t, w, status, &op)
	if errno != 0 {
		return fail(errno)
	}
	room := q.fileSize(op.Off, int64(len(data)))
	if room == 0 {
		return q.tooLarge()
	}
	return q.writeData(t, &op, data[:room], where, w.flags)
}

// writeData writes data to where (-1: at the position) and records it.
func (q *request) writeData(t *target, op *trace.Op, data []byte, where int64, flags int) reply {
	op.Data, op.Len = data, int64(len(data))
	return q.do(op, func(f Fault) syscall.Errno {
		if f.Short > 0 && f.Short < op.Len {
			data, op.Injected = data[:f.Short], true
		}
		n, errno := writeAt(t.fd, data, where, flags)
		if errno == 0 {
			op.Data, op.Len = data[:n], int64(n)
			q.val = int64(n)
			q.modeChanged(t, op)
		}
		return errno
	})
}

// statusFlags returns what F_GETFL does: how the file was opened.
func statusFlags(fd int) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_GETFL, 0)
	return int(n), errno
}

// durability returns what a write makes durable by the flags of the open file and
// of the call.
func durability(status, flags int) trace.Durability {
	switch {
	case status&unix.O_SYNC == unix.O_SYNC, flags&rwfSync != 0:
		return trace.SyncFull
	case status&unix.O_DSYNC != 0, flags&rwfDsync != 0:
		return trace.SyncData
	}
	return trace.SyncNone
}

// data reads what is to be written.
func (q *request) data(w writing, align bool) ([]byte, syscall.Errno) {
	if w.vector {
		return q.vectors(q.n.args[1], q.n.args[2], align)
	}
	return q.bytes(q.n.args[1], q.n.args[2], align)
}

// offset returns the offset to write at, -1 for the position of the open file, and
// puts into op where that is.
func (q *request) offset(t *target, w writing, status int, op *trace.Op) (int64, syscall.Errno) {
	where := int64(-1)
	if w.at {
		where = int64(q.n.args[3])
		if where < 0 && (!w.flagged || where != -1) {
			return 0, unix.EINVAL
		}
	}
	op.Off = where
	appends := status&unix.O_APPEND != 0 && w.flags&rwfNoappend == 0 || w.flags&rwfAppend != 0
	switch {
	case appends: // Linux ignores the offset then
		var st unix.Stat_t
		if err := unix.Fstat(t.fd, &st); err != nil {
			return 0, errnoOf(err)
		}
		op.Off = st.Size
	case where < 0:
		pos, err := unix.Seek(t.fd, 0, unix.SEEK_CUR)
		if err != nil {
			return 0, errnoOf(err)
		}
		op.Off = pos
	}
	return where, 0
}

// writeAt is write, or pwritev2 if that is needed.
func writeAt(fd int, data []byte, where int64, flags int) (int, syscall.Errno) {
	for {
		var n uintptr
		var errno syscall.Errno
		switch {
		case flags != 0:
			iov := unix.Iovec{Base: &data[0], Len: uint64(len(data))}
			n, _, errno = unix.Syscall6(unix.SYS_PWRITEV2, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, uintptr(where), 0, uintptr(flags))
		case where < 0:
			n, _, errno = unix.Syscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)))
		default:
			n, _, errno = unix.Syscall6(unix.SYS_PWRITE64, uintptr(fd), uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)), uintptr(where), 0, 0)
		}
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// fileSize returns how many of size bytes at off the limits of file sizes leave
// room for: the program's own, and ours, which must not raise a signal here.
func (q *request) fileSize(off, size int64) int64 {
	limit := min(q.t.proc.fileSizeLimit(), q.w.s.self)
	if limit > math.MaxInt64 || off > math.MaxInt64-size || uint64(off+size) <= limit {
		return size
	}
	return max(int64(limit)-off, 0)
}

// tooLarge answers when there is no room. The kernel has a signal for that.
func (q *request) tooLarge() reply {
	if q.t.proc.fileSizeLimit() > q.w.s.self {
		return fail(unix.EFBIG)
	}
	return goOn
}

// fileSizeLimit returns the RLIMIT_FSIZE of the process. It is asked for again
// after the process may have changed it.
func (p *process) fileSizeLimit() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limitKnown {
		return p.limit
	}
	var limit unix.Rlimit
	if err := unix.Prlimit(p.tgid, unix.RLIMIT_FSIZE, nil, &limit); err != nil {
		return math.MaxUint64
	}
	p.limit, p.limitKnown = limit.Cur, !p.limitMoves
	return p.limit
}

// setrlimit notes that limits change, a moment from now.
func (q *request) setrlimit() reply {
	q.t.proc.mu.Lock()
	defer q.t.proc.mu.Unlock()
	q.t.proc.limitMoves, q.t.proc.limitKnown = true, false
	return goOn
}

// modeChanged records that the kernel took away the set-user-ID and set-group-ID
// bits of what was written to, or given away.
func (q *request) modeChanged(t *target, by *trace.Op) {
	if t.st.Mode&(unix.S_ISUID|unix.S_ISGID) == 0 {
		return
	}
	var st unix.Stat_t
	if err := unix.Fstat(t.fd, &st); err != nil || st.Mode == t.st.Mode {
		return
	}
	q.rec.add(trace.Op{Kind: trace.Chmod, Ino: by.Ino, Mode: uint32(st.Mode), PID: by.PID, Site: by.Site})
}
