//go:build amd64 || arm64

package record

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

func (q *request) rename(fromfd int, from uint64, tofd int, to uint64, flags int) reply {
	old, errno := q.place(fromfd, from)
	if errno != 0 {
		return q.cannot(errno)
	}
	defer old.shut()
	new, errno := q.place(tofd, to)
	if errno != 0 {
		return q.cannot(errno)
	}
	defer new.shut()
	if old.ino == 0 && new.ino == 0 && !q.rec.holds(new) {
		return goOn
	}
	q.lock(&q.rec.names)
	defer q.rec.names.Unlock()
	m := move{old: old, new: new, flags: flags}
	if old.stat(&m.from) != nil {
		m.from = unix.Stat_t{}
	}
	if new.stat(&m.to) != nil {
		m.to = unix.Stat_t{}
	}
	if m.from.Ino != 0 && idOf(&m.from) == idOf(&m.to) {
		return goOn // two names of one inode: nothing happens
	}
	switch {
	case old.ino == 0 && new.ino == 0:
		return q.elsewhere(func(Fault) syscall.Errno { return q.rearrange(m) })
	case old.ino == 0:
		return q.moveIn(m)
	case new.ino == 0:
		return q.moveOut(m)
	}
	return q.move(m)
}

// move is a rename, and what was at its names before.
type move struct {
	old, new *place
	flags    int
	from, to unix.Stat_t // zero if there was nothing
}

func (m *move) exchange() bool { return m.flags&unix.RENAME_EXCHANGE != 0 }

// refused reports whether the flags forbid it, as there is something at the new name
// or nothing.
func (m *move) refused(over bool) bool {
	return over && m.flags&unix.RENAME_NOREPLACE != 0 || !over && m.exchange()
}

// rearrange does m, by which what was at the new name may lose it.
func (q *request) rearrange(m move) syscall.Errno {
	errno := errnoOf(retry(func() error {
		return unix.Renameat2(m.old.dir, m.old.name, m.new.dir, m.new.name, uint(m.flags))
	}))
	if errno == 0 && !m.exchange() {
		q.dropped(&m.to)
	}
	return errno
}

// move renames within the watched directory.
func (q *request) move(m move) reply {
	op := trace.Op{
		Kind: trace.Rename, Dir: m.old.ino, Name: m.old.plain(), To: m.new.ino, New: m.new.plain(),
		Ino: q.entry(m.old, &m.from), Over: q.entry(m.new, &m.to), Exchange: m.exchange(),
	}
	return q.do(&op, func(Fault) syscall.Errno {
		errno := q.rearrange(m)
		if errno == 0 && m.flags&unix.RENAME_WHITEOUT != 0 {
			q.whiteout(m, &op)
		}
		return errno
	})
}

// whiteout records the device that a rename left at the old name.
func (q *request) whiteout(m move, by *trace.Op) {
	op := trace.Op{Kind: trace.Mknod, Dir: m.old.ino, Name: m.old.plain(), Ino: q.rec.number(), PID: by.PID, Site: by.Site}
	q.made(&op, m.old)
	q.rec.add(op)
}

// moveIn renames something into the watched directory. What it replaces is removed
// first, as an operation of its own.
func (q *request) moveIn(m move) reply {
	op := trace.Op{Kind: trace.Create, Dir: m.new.ino, Name: m.new.plain(), Mode: uint32(m.from.Mode)}
	over := q.entry(m.new, &m.to)
	refused := m.refused(over != 0)
	replaces := over != 0 && !refused
	var came tree.Ino
	if !refused {
		came = q.bringFrom(m.old, m.new)
	}
	switch {
	case replaces:
		op.Kind, op.Ino = trace.Unlink, over
		if m.to.Mode&unix.S_IFMT == unix.S_IFDIR {
			op.Kind = trace.Rmdir
		}
	case came != 0:
		op.Kind, op.Ino = trace.Link, came
	default:
		op.Ino = q.rec.number()
	}
	return q.do(&op, func(Fault) syscall.Errno {
		errno := q.rearrange(m)
		if errno != 0 {
			return errno
		}
		if !replaces {
			q.arrived(&op, m.new)
			q.adoptBelow(&op, m.new, false)
			return 0
		}
		q.adoptAlso(&op, m.new, came, false)
		return 0
	})
}

// moveOut renames something out of the watched directory, or exchanges it with
// something outside.
func (q *request) moveOut(m move) reply {
	op := trace.Op{Kind: trace.Unlink, Dir: m.old.ino, Name: m.old.plain(), Ino: q.entry(m.old, &m.from)}
	if m.from.Mode&unix.S_IFMT == unix.S_IFDIR {
		op.Kind = trace.Rmdir
	}
	var came tree.Ino
	if m.exchange() && op.Ino != 0 && m.to.Ino != 0 {
		came = q.bringFrom(m.new, m.old)
	}
	return q.do(&op, func(Fault) syscall.Errno {
		errno := q.rearrange(m)
		if errno != 0 {
			return errno
		}
		switch {
		case m.exchange():
			q.adoptAlso(&op, m.old, came, false)
		case m.flags&unix.RENAME_WHITEOUT != 0:
			q.whiteout(m, &op)
		}
		return 0
	})
}
