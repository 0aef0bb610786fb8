//go:build amd64 || arm64

package record

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// What gets a name in the watched directory and was made elsewhere comes into being
// there, for the trace, with what it holds.

// linkIn makes a watched name for a file that was not watched.
func (q *request) linkIn(t *target, p *place) reply {
	op := trace.Op{Kind: trace.Create, Dir: p.ino, Name: p.plain(), Ino: q.rec.number(), Mode: uint32(t.st.Mode)}
	return q.do(&op, func(Fault) syscall.Errno {
		errno := linkTarget(t, p)
		if errno == 0 {
			q.adopt(&op, p)
			q.adoptContent(&op, p)
		}
		return errno
	})
}

// adopt completes op, which put something at p.
func (q *request) adopt(op *trace.Op, p *place) {
	var st unix.Stat_t
	if p.stat(&st) != nil {
		return
	}
	if n := q.rec.at(&st); n != nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		op.Kind, op.Ino = trace.Link, n.ino // it had gone only for a while
		q.rec.setNameless(n, false)
		return
	}
	q.madeAs(op, &st)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		op.Kind = trace.Create
	case unix.S_IFLNK:
		op.Kind = trace.Symlink
		buf := make([]byte, unix.PathMax)
		if n, err := unix.Readlinkat(p.dir, p.plain(), buf); err == nil {
			op.Data = buf[:n]
		}
	case unix.S_IFDIR:
		op.Kind = trace.Mkdir
		q.rec.note(BlindMoved, pathOf(p.dir)+"/"+p.plain(), op.Site)
	default:
		op.Kind, op.Rdev = trace.Mknod, st.Rdev
	}
}

// adoptContent records what op, which put a regular file at p, brought along.
func (q *request) adoptContent(op *trace.Op, p *place) {
	if op.Kind != trace.Create {
		return
	}
	fd, err := unix.Openat(p.dir, p.plain(), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer shut(fd)
	if data := q.readBack(fd, 0, 1<<62); len(data) > 0 {
		q.rec.add(trace.Op{Kind: trace.Write, Ino: op.Ino, Data: data, Len: int64(len(data)), PID: op.PID, Site: op.Site})
	}
}

// adoptAlso records as an operation of its own that something is at p, as a part of
// by.
func (q *request) adoptAlso(by *trace.Op, p *place) {
	op := trace.Op{Dir: p.ino, Name: p.plain(), Ino: q.rec.number(), PID: by.PID, Site: by.Site}
	q.adopt(&op, p)
	q.rec.add(op)
	q.adoptContent(&op, p)
}
