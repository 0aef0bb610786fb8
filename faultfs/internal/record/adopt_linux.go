//go:build amd64 || arm64

package record

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// What gets a name in the watched directory and was made elsewhere comes into being
// there, for the trace, with what it holds. A regular file does so without a name
// first, which it then gets: a sync that it had elsewhere says nothing about the
// name.

// linkIn makes a watched name for a file that was not watched.
func (q *request) linkIn(t *target, p *place) reply {
	op := trace.Op{Kind: trace.Link, Dir: p.ino, Name: p.plain(), Ino: q.bring(t, p)}
	if op.Ino == 0 {
		op.Kind, op.Ino, op.Mode = trace.Create, q.rec.number(), uint32(t.st.Mode)
	}
	return q.do(&op, func(Fault) syscall.Errno {
		errno := linkTarget(t, p)
		if errno == 0 {
			q.arrived(&op, p)
		}
		return errno
	})
}

// bring records what t holds, which is about to get a name at p, as a file without a
// name, and returns its number; 0 if that is not what will happen.
func (q *request) bring(t *target, p *place) (ino tree.Ino) {
	if t.st.Dev != q.rec.dev {
		return 0 // EXDEV
	}
	by := trace.Op{PID: q.t.proc.tgid, Site: q.where()}
	q.rec.during(func() { ino = q.content(&by, t, p, false) })
	return ino
}

// bringFrom is bring for what is at the place from.
func (q *request) bringFrom(from, p *place) tree.Ino {
	t := q.look(from)
	defer t.shut()
	if t == nil {
		return 0
	}
	return q.bring(t, p)
}

// look opens what is at p, without following it; nil if that fails.
func (q *request) look(p *place) *target {
	fd, err := unix.Openat(p.dir, p.plain(), unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	t, _ := q.target(fd)
	return t
}

// content records the regular file t, which is or will be at p, without a name, as a
// part of by; noted tells that it is known not to be known whether it was synced. It
// returns its number, or 0 if it is something else or has a number already.
func (q *request) content(by *trace.Op, t *target, p *place, noted bool) tree.Ino {
	if t.st.Mode&unix.S_IFMT != unix.S_IFREG || q.rec.at(&t.st) != nil {
		return 0
	}
	op := trace.Op{Kind: trace.Tmpfile, Ino: q.rec.number(), Mode: uint32(t.st.Mode), UID: t.st.Uid, GID: t.st.Gid, PID: by.PID, Site: by.Site}
	q.rec.add(op)
	part := trace.Op{Ino: op.Ino, PID: by.PID, Site: by.Site}
	if data := q.readBack(t.fd, 0, 1<<62); len(data) > 0 {
		part.Kind, part.Data, part.Len = trace.Write, data, int64(len(data))
		q.rec.add(part)
		part.Data, part.Len = nil, 0
	}
	switch q.rec.others.fate(idOf(&t.st)) {
	case fateWritten:
		return op.Ino
	case fateUnknown:
		if !noted && t.st.Size > 0 {
			q.rec.note(BlindElsewhere, pathOf(p.dir)+"/"+p.plain(), by.Site)
		}
	case fateSynced:
	}
	part.Kind, part.Sync = trace.Fsync, trace.SyncFull
	q.rec.add(part)
	return op.Ino
}

// arrived completes op, which put something at p. If it is a Link, that is of a file
// whose content is in the trace.
func (q *request) arrived(op *trace.Op, p *place) {
	if op.Kind != trace.Link {
		q.adopt(op, p)
		return
	}
	var st unix.Stat_t
	if p.stat(&st) == nil {
		q.rec.bind(op.Ino, &st, false)
	}
}

// adopt completes op, which put something else than a regular file at p, or one that
// has a number.
func (q *request) adopt(op *trace.Op, p *place) {
	var st unix.Stat_t
	if p.stat(&st) != nil {
		return
	}
	if n := q.rec.at(&st); n != nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		op.Kind, op.Ino = trace.Link, n.ino // it had gone only for a while
		return
	}
	q.madeAs(op, &st)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		op.Kind = trace.Create // nobody could look at it before
	case unix.S_IFLNK:
		op.Kind = trace.Symlink
		buf := make([]byte, unix.PathMax)
		if n, err := unix.Readlinkat(p.dir, p.plain(), buf); err == nil {
			op.Data = buf[:n]
		}
	case unix.S_IFDIR:
		op.Kind = trace.Mkdir
	default:
		op.Kind, op.Rdev = trace.Mknod, st.Rdev
	}
}

// adoptAlso records as an operation of its own, which is a part of by, that something
// is at p. ino is what bring returned for it. noted is as in content.
func (q *request) adoptAlso(by *trace.Op, p *place, ino tree.Ino, noted bool) {
	if ino == 0 {
		if t := q.look(p); t != nil {
			ino = q.content(by, t, p, noted)
			t.shut()
		}
	}
	op := trace.Op{Kind: trace.Link, Dir: p.ino, Name: p.plain(), Ino: ino, PID: by.PID, Site: by.Site}
	if ino == 0 {
		op.Kind, op.Ino = trace.Create, q.rec.number()
	}
	q.arrived(&op, p)
	q.rec.add(op)
	q.adoptBelow(&op, p, noted)
}

// adoptBelow records what is in the directory that op put at p. noted is as in
// content, for all of it.
func (q *request) adoptBelow(op *trace.Op, p *place, noted bool) {
	if op.Kind != trace.Mkdir {
		return
	}
	if !noted {
		q.rec.note(BlindMoved, pathOf(p.dir)+"/"+p.plain(), op.Site)
	}
	fd, err := unix.Openat(p.dir, p.plain(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		q.rec.note(BlindContent, pathOf(p.dir)+"/"+p.plain(), op.Site)
		return
	}
	d := os.NewFile(uintptr(fd), p.plain())
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(-1)
	if err != nil {
		q.rec.note(BlindContent, pathOf(fd), op.Site)
	}
	for _, name := range names {
		q.adoptAlso(op, &place{dir: fd, name: name, ino: op.Ino}, 0, true)
	}
}
