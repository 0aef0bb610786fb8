//go:build amd64 || arm64

package record

import (
	"io"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// Modes of fallocate that package unix does not have on all versions.
const (
	fallocKeep     = unix.FALLOC_FL_KEEP_SIZE
	fallocPunch    = unix.FALLOC_FL_PUNCH_HOLE
	fallocCollapse = unix.FALLOC_FL_COLLAPSE_RANGE
	fallocZero     = unix.FALLOC_FL_ZERO_RANGE
	fallocInsert   = unix.FALLOC_FL_INSERT_RANGE
	fallocZeroes   = 0x80 // FALLOC_FL_WRITE_ZEROES, Linux 6.17
)

func (q *request) truncate(t *target, errno syscall.Errno) reply {
	if errno != 0 {
		return q.cannot(errno)
	}
	defer t.shut()
	size := int64(q.n.args[1])
	if !t.regular() || size < 0 {
		q.changesElsewhere(t, 0)
		return goOn
	}
	if q.fileSize(0, size) < size {
		return q.tooLarge()
	}
	q.lock(&t.inode.mu)
	defer t.inode.mu.Unlock()
	q.mayBlock()
	op := trace.Op{Kind: trace.Truncate, Ino: t.inode.ino, Len: size}
	return q.do(&op, func(Fault) syscall.Errno {
		defer q.modeChanged(t, &op)
		if q.call == filter.Truncate {
			return errnoOf(retry(func() error { return unix.Truncate(t.path(), size) }))
		}
		return errnoOf(retry(func() error { return unix.Ftruncate(t.fd, size) }))
	})
}

func (q *request) fallocate() reply {
	t, errno := q.byFD(q.fd(0))
	if errno != 0 {
		return q.cannot(errno)
	}
	defer t.shut()
	mode, off, size := q.flags(1), int64(q.n.args[2]), int64(q.n.args[3])
	if !t.regular() || off < 0 || size <= 0 || off+size < 0 {
		q.changesElsewhere(t, 0)
		return goOn
	}
	if q.fileSize(off, size) < size {
		return q.tooLarge()
	}
	q.lock(&t.inode.mu)
	defer t.inode.mu.Unlock()
	q.mayBlock()
	if err := unix.Fstat(t.fd, &t.st); err != nil {
		return fail(errnoOf(err))
	}
	op := trace.Op{Kind: trace.Fallocate, Ino: t.inode.ino}
	switch {
	case mode&fallocPunch != 0:
		op.Kind, op.Off, op.Len = trace.Punch, off, size
	case mode&(fallocZero|fallocZeroes) != 0: // a hole, for all that can be seen of it
		op.Kind, op.Off, op.Len = trace.Punch, off, size
	case mode&(fallocCollapse|fallocInsert) != 0:
		op.Kind, op.Off = trace.Write, off
	case mode&fallocKeep == 0 && off+size > t.st.Size:
		op.Len = off + size
	}
	return q.do(&op, func(Fault) syscall.Errno {
		errno := errnoOf(retry(func() error { return unix.Fallocate(t.fd, uint32(mode), off, size) }))
		if errno == 0 {
			q.reallocated(t, &op, mode, off+size)
			q.modeChanged(t, &op)
		}
		return errno
	})
}

// reallocated records what one operation cannot say of a call of fallocate that is
// done. end is where its range ended.
func (q *request) reallocated(t *target, op *trace.Op, mode int, end int64) {
	part := trace.Op{Ino: op.Ino, PID: op.PID, Site: op.Site}
	switch {
	case mode&(fallocZero|fallocZeroes) != 0 && mode&fallocKeep == 0 && end > t.st.Size:
		part.Kind, part.Len = trace.Truncate, end
		q.rec.add(part)
	case mode&(fallocCollapse|fallocInsert) != 0:
		op.Data = q.readBack(t.fd, op.Off, 1<<62)
		op.Len = int64(len(op.Data))
		if mode&fallocCollapse != 0 {
			part.Kind, part.Len = trace.Truncate, op.Off+op.Len
			q.rec.add(part)
		}
	}
}

// readBack returns what the file behind fd, which may be open for writing only, or
// an O_PATH one, holds: at most size bytes from off on. If it may not be read, that
// is noted: the operation has been done and cannot fail any more.
func (q *request) readBack(fd int, off, size int64) []byte {
	f, err := os.Open("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		q.rec.note(BlindContent, pathOf(fd), q.where())
		return nil
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.NewSectionReader(f, off, size))
	if err != nil {
		q.rec.note(BlindContent, pathOf(fd), q.where())
	}
	return data
}
