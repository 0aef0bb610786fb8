//go:build amd64 || arm64

package record

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// Calls that move data from one descriptor to another are done here on duplicates
// of both, and recorded as a write of what the file holds afterwards.

// copying is such a call.
type copying struct {
	in, out int    // the program's descriptors
	inOff   uint64 // addresses of the offsets; 0: the position is used, and moved
	outOff  uint64
	size    uint64
	run     func(in, out int, inOff, outOff *int64, size int) (int, error)
}

func (q *request) copyFileRange() reply {
	return q.transfer(copying{
		in: q.fd(0), inOff: q.n.args[1], out: q.fd(2), outOff: q.n.args[3], size: q.n.args[4],
		run: func(in, out int, inOff, outOff *int64, size int) (int, error) {
			return unix.CopyFileRange(in, inOff, out, outOff, size, q.flags(5))
		},
	})
}

func (q *request) sendfile() reply {
	return q.transfer(copying{
		out: q.fd(0), in: q.fd(1), inOff: q.n.args[2], size: q.n.args[3],
		run: func(in, out int, inOff, _ *int64, size int) (int, error) {
			return unix.Sendfile(out, in, inOff, size)
		},
	})
}

func (q *request) splice() reply {
	return q.transfer(copying{
		in: q.fd(0), inOff: q.n.args[1], out: q.fd(2), outOff: q.n.args[3], size: q.n.args[4],
		run: func(in, out int, inOff, outOff *int64, size int) (int, error) {
			n, err := unix.Splice(in, inOff, out, outOff, size, q.flags(5))
			return int(n), err
		},
	})
}

func (q *request) transfer(c copying) reply {
	t, errno := q.byFD(c.out)
	if errno != 0 {
		return q.cannot(errno)
	}
	defer t.shut()
	if !t.regular() {
		q.changesElsewhere(t, 0)
		return goOn
	}
	in, errno := q.dup(c.in)
	if errno != 0 {
		return q.cannot(errno)
	}
	defer shut(in)
	inOff, okIn := q.pointed(c.inOff)
	outOff, okOut := q.pointed(c.outOff)
	if !okIn || !okOut {
		return goOn
	}
	q.w.follow()
	if !q.awaitPipe(in) {
		return never
	}
	q.lock(&t.inode.mu)
	defer t.inode.mu.Unlock()
	r := q.transferLocked(t, in, inOff, outOff, c)
	if r.verdict == answer && r.errno == 0 && r.val > 0 {
		if inOff != nil {
			q.setNumber(c.inOff, *inOff)
		}
		if outOff != nil {
			q.setNumber(c.outOff, *outOff)
		}
	}
	return r
}

// transferLocked does it, with the inode locked.
func (q *request) transferLocked(t *target, in int, inOff, outOff *int64, c copying) reply {
	status, errno := statusFlags(t.fd)
	if errno != 0 {
		return fail(errno)
	}
	op := trace.Op{Kind: trace.Write, Ino: t.inode.ino, Sync: durability(status, 0)}
	if outOff != nil {
		op.Off = *outOff
	} else if op.Off, errno = position(t.fd); errno != 0 {
		return goOn
	}
	room := min(c.size, maxTransfer)
	if c.size > 0 && room > 0 {
		if room = uint64(q.fileSize(op.Off, int64(room))); room == 0 {
			return q.tooLarge()
		}
	}
	op.Len = int64(room)
	return q.do(&op, func(f Fault) syscall.Errno {
		if f.Short > 0 && uint64(f.Short) < room {
			room, op.Injected = uint64(f.Short), true
		}
		n, err := c.run(in, t.fd, inOff, outOff, int(room))
		if err != nil {
			return errnoOf(err)
		}
		q.val = int64(n)
		q.written(t, &op, int64(n))
		q.modeChanged(t, &op)
		return 0
	})
}

// written completes op with what is now in the file.
func (q *request) written(t *target, op *trace.Op, n int64) {
	if n == 0 {
		op.Kind = 0 // the end of the source: nothing happened
		return
	}
	op.Data = q.readBack(t.fd, op.Off, n)
	op.Len = int64(len(op.Data))
}

// pointed reads the offset at addr; nil if there is none.
func (q *request) pointed(addr uint64) (*int64, bool) {
	if addr == 0 {
		return nil, true
	}
	n, ok := q.number(addr)
	return &n, ok
}

func position(fd int) (int64, syscall.Errno) {
	pos, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	return pos, errnoOf(err)
}

// awaitPipe waits until a pipe has something to read: with the lock of the inode
// held that would keep others from writing. False: there is nobody left to wait for.
func (q *request) awaitPipe(fd int) bool {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return true
	}
	status, errno := statusFlags(fd)
	if errno != 0 || status&unix.O_NONBLOCK != 0 || q.call == filter.Splice && q.flags(5)&unix.SPLICE_F_NONBLOCK != 0 {
		return true
	}
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		if n, err := unix.Poll(fds[:], 100); err == nil && n > 0 {
			return true
		}
		select {
		case <-q.w.s.gone:
			return false
		case <-q.w.s.killed:
			return false
		default:
		}
	}
}

// ioctl serves those that change files.
func (q *request) ioctl() reply {
	t, errno := q.byFD(q.fd(0))
	if errno != 0 {
		return q.cannot(errno)
	}
	defer t.shut()
	if !t.regular() {
		q.changesElsewhere(t, 0)
		return goOn
	}
	switch uint32(q.n.args[1]) {
	case filter.CloneFile, filter.CloneRange:
		return q.clone(t)
	}
	return fail(unix.EOPNOTSUPP) // as file systems without them; fallocate does the same
}

// clone serves FICLONE and FICLONERANGE.
func (q *request) clone(t *target) reply {
	r := unix.FileCloneRange{Src_fd: int64(q.fd(2))}
	if uint32(q.n.args[1]) == filter.CloneRange {
		raw := q.w.scratch[:32]
		if readMemory(q.tid(), q.n.args[2], raw) != len(raw) {
			return goOn
		}
		r.Src_fd = int64(binary.LittleEndian.Uint64(raw))
		r.Src_offset = binary.LittleEndian.Uint64(raw[8:])
		r.Src_length = binary.LittleEndian.Uint64(raw[16:])
		r.Dest_offset = binary.LittleEndian.Uint64(raw[24:])
	}
	src, errno := q.byFD(int(r.Src_fd))
	if errno != 0 {
		return q.cannot(errno)
	}
	defer src.shut()
	r.Src_fd = int64(src.fd)
	size := int64(r.Src_length)
	if size == 0 {
		size = max(src.st.Size-int64(r.Src_offset), 0)
	}
	q.w.follow()
	q.lock(&t.inode.mu)
	defer t.inode.mu.Unlock()
	op := trace.Op{Kind: trace.Write, Ino: t.inode.ino, Off: int64(r.Dest_offset), Len: size}
	return q.do(&op, func(Fault) syscall.Errno {
		if _, errno := ioctl(t.fd, unix.FICLONERANGE, unsafe.Pointer(&r)); errno != 0 {
			return errno
		}
		q.written(t, &op, size)
		return 0
	})
}
