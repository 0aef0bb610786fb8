//go:build amd64 || arm64

package record

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// Syncs hold no lock: what happens meanwhile overlaps with them in the trace.

func (q *request) fsync(d trace.Durability) reply {
	t, errno := q.byFD(q.fd(0))
	if errno != 0 {
		return q.cannot(errno)
	}
	defer t.shut()
	if t.inode == nil {
		return q.fsyncElsewhere(t, d)
	}
	q.mayBlock()
	op := trace.Op{Kind: trace.Fsync, Ino: t.inode.ino, Sync: d}
	return q.do(&op, func(Fault) syscall.Errno {
		return syncFile(t.fd, d)
	})
}

func (q *request) syncRange() reply {
	t, errno := q.byFD(q.fd(0))
	if errno != 0 {
		return q.cannot(errno)
	}
	defer t.shut()
	if !t.regular() {
		return goOn
	}
	q.mayBlock()
	off, size := int64(q.n.args[1]), int64(q.n.args[2])
	op := trace.Op{Kind: trace.SyncRange, Ino: t.inode.ino, Off: off, Len: size}
	return q.do(&op, func(Fault) syscall.Errno {
		return errnoOf(retry(func() error { return unix.SyncFileRange(t.fd, off, size, q.flags(3)) }))
	})
}

func (q *request) syncfs() reply {
	t, errno := q.byFD(q.fd(0))
	if errno != 0 {
		return q.cannot(errno)
	}
	defer t.shut()
	if t.st.Dev != q.rec.dev {
		return goOn
	}
	q.mayBlock()
	op := trace.Op{Kind: trace.Syncfs, Sync: trace.SyncFull}
	return q.do(&op, func(Fault) syscall.Errno {
		began := q.rec.others.begin()
		errno := errnoOf(retry(func() error { return unix.Syncfs(t.fd) }))
		if errno == 0 {
			q.rec.others.allSynced(began)
		}
		return errno
	})
}

func (q *request) sync() reply {
	q.mayBlock()
	op := trace.Op{Kind: trace.Syncfs, Sync: trace.SyncFull}
	r := q.do(&op, func(Fault) syscall.Errno {
		began := q.rec.others.begin()
		unix.Sync()
		q.rec.others.allSynced(began)
		return 0
	})
	r.errno = 0 // sync cannot fail
	return r
}

// msync serves MS_SYNC: each watched file in the range is synced.
func (q *request) msync() reply {
	from, to := q.n.args[0], q.n.args[0]+q.n.args[1]
	var watched []*target
	defer func() {
		for _, t := range watched {
			t.shut()
		}
	}()
	var places []mapping
	for m := range mappings(strconv.Itoa(q.tid())) {
		if !m.shared() || m.to <= from || m.from >= to {
			continue
		}
		t, found := q.mappedFile(m)
		if t == nil && found {
			q.rec.note(BlindMap, m.path, q.where())
		}
		if t != nil {
			watched, places = append(watched, t), append(places, m)
		}
	}
	q.mayBlock()
	for i, t := range watched {
		m := places[i]
		first, last := max(from, m.from), min(to, m.to)
		op := trace.Op{Kind: trace.Msync, Ino: t.inode.ino, Off: int64(m.off + first - m.from), Len: int64(last - first), Sync: trace.SyncData}
		r := q.do(&op, func(Fault) syscall.Errno {
			return errnoOf(retry(func() error { return unix.Fdatasync(t.fd) }))
		})
		if r.verdict != answer || r.errno != 0 {
			return r
		}
	}
	return goOn // for what else is in the range, and for the errors of wrong arguments
}

// mappedFile opens the file of a map, if it is watched. found tells that it is, even
// if it could not be opened.
func (q *request) mappedFile(m mapping) (t *target, found bool) {
	found = q.rec.watches(m)
	if !found {
		return nil, false
	}
	if fd, err := unix.Open(m.path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0); err == nil {
		if t, errno := q.target(fd); errno == 0 {
			if t.inode != nil && t.st.Ino == m.ino {
				return t, true
			}
			t.shut()
		}
	}
	// It has no name any more, or another one: one of the process's descriptors may
	// still lead to it.
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(q.tid()) + "/fd")
	if err != nil {
		return nil, true
	}
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		t, errno := q.byFD(n)
		if errno != 0 {
			continue
		}
		if t.inode != nil && t.st.Ino == m.ino {
			return t, true
		}
		t.shut()
	}
	return nil, true
}
