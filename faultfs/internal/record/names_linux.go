//go:build amd64 || arm64

package record

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// inPlace serves, with serve, a call that changes a name in a directory, which may be
// elsewhere.
func (q *request) inPlace(dirfd int, addr uint64, serve func(p *place) reply) reply {
	p, errno := q.place(dirfd, addr)
	if errno != 0 {
		return q.cannot(errno)
	}
	defer p.shut()
	return serve(p)
}

// named serves a call that makes something at a path: op is recorded there, with the
// lock of names held.
func (q *request) named(dirfd int, addr uint64, op trace.Op, perform func(p *place) error) reply {
	return q.inPlace(dirfd, addr, func(p *place) reply {
		if p.ino == 0 {
			return goOn
		}
		q.lock(&q.rec.names)
		defer q.rec.names.Unlock()
		op.Dir, op.Name = p.ino, p.plain()
		var st unix.Stat_t
		if p.stat(&st) != nil {
			op.Ino = q.rec.number()
		}
		return q.do(&op, func(Fault) syscall.Errno {
			errno := q.masked(func() error { return perform(p) })
			if errno == 0 {
				q.made(&op, p)
			}
			return errno
		})
	})
}

func (q *request) mkdir(dirfd int, addr, mode uint64) reply {
	op := trace.Op{Kind: trace.Mkdir, Mode: unix.S_IFDIR | uint32(mode&0o7777)}
	return q.named(dirfd, addr, op, func(p *place) error { return unix.Mkdirat(p.dir, p.name, uint32(mode)) })
}

func (q *request) mknod(dirfd int, addr, mode, dev uint64) reply {
	op := trace.Op{Kind: trace.Mknod, Mode: uint32(mode)}
	switch mode & unix.S_IFMT {
	case 0, unix.S_IFREG:
		op.Kind, op.Mode = trace.Create, op.Mode|unix.S_IFREG
	case unix.S_IFCHR, unix.S_IFBLK:
		op.Rdev = uint64(uint32(dev))
	}
	return q.named(dirfd, addr, op, func(p *place) error { return unix.Mknodat(p.dir, p.name, uint32(mode), int(uint32(dev))) })
}

func (q *request) symlink(text uint64, dirfd int, addr uint64) reply {
	to, errno := q.text(text)
	if errno != 0 {
		return q.cannot(errno)
	}
	op := trace.Op{Kind: trace.Symlink, Mode: unix.S_IFLNK | 0o777, Data: []byte(to)}
	return q.named(dirfd, addr, op, func(p *place) error { return unix.Symlinkat(to, p.dir, p.name) })
}

func (q *request) unlink(dirfd int, addr uint64, flags int) reply {
	return q.inPlace(dirfd, addr, func(p *place) reply {
		if p.ino == 0 && !q.rec.holds(p) {
			return goOn
		}
		q.lock(&q.rec.names)
		defer q.rec.names.Unlock()
		var st unix.Stat_t
		perform := func(Fault) syscall.Errno {
			errno := errnoOf(retry(func() error { return unix.Unlinkat(p.dir, p.name, flags) }))
			if errno == 0 {
				q.dropped(&st)
			}
			return errno
		}
		if p.ino == 0 {
			_ = p.stat(&st)
			return q.elsewhere(perform)
		}
		op := trace.Op{Kind: trace.Unlink, Dir: p.ino, Name: p.plain(), Ino: q.entry(p, &st)}
		if flags&unix.AT_REMOVEDIR != 0 {
			op.Kind = trace.Rmdir
		}
		return q.do(&op, perform)
	})
}

// holds reports whether what is at p is watched.
func (r *recording) holds(p *place) bool {
	var st unix.Stat_t
	return p.stat(&st) == nil && r.at(&st) != nil
}

// elsewhere does what changes a name elsewhere of a watched inode. It is no operation
// of the trace, but which inodes have names must be known.
func (q *request) elsewhere(perform func(Fault) syscall.Errno) reply {
	q.alien()
	return reply{errno: perform(Fault{})}
}

// dropped notes that an entry of what st was of, if anything, is gone.
func (q *request) dropped(st *unix.Stat_t) {
	if st.Nlink == 1 || st.Mode&unix.S_IFMT == unix.S_IFDIR {
		q.rec.setNameless(q.rec.at(st), true)
	}
}

func (q *request) link(fromfd int, from uint64, dirfd int, addr uint64, flags int) reply {
	// linkat does not follow unless it is told to.
	follow := flags & unix.AT_EMPTY_PATH
	if flags&unix.AT_SYMLINK_FOLLOW == 0 {
		follow |= unix.AT_SYMLINK_NOFOLLOW
	}
	return q.inPlace(dirfd, addr, func(p *place) reply {
		t, errno := q.byPath(fromfd, from, follow)
		if errno != 0 {
			return q.cannot(errno)
		}
		defer t.shut()
		if p.ino == 0 && t.inode == nil {
			return goOn
		}
		q.lock(&q.rec.names)
		defer q.rec.names.Unlock()
		if t.inode == nil {
			return q.linkIn(t, p)
		}
		perform := func(Fault) syscall.Errno {
			errno := linkTarget(t, p)
			if errno == 0 {
				q.rec.setNameless(t.inode, false)
			}
			return errno
		}
		if p.ino == 0 {
			return q.elsewhere(perform)
		}
		op := trace.Op{Kind: trace.Link, Dir: p.ino, Name: p.plain(), Ino: t.inode.ino}
		return q.do(&op, perform)
	})
}

// linkTarget makes a name for t, which AT_EMPTY_PATH would take privileges for.
func linkTarget(t *target, p *place) syscall.Errno {
	return errnoOf(retry(func() error {
		return unix.Linkat(unix.AT_FDCWD, t.path(), p.dir, p.name, unix.AT_SYMLINK_FOLLOW)
	}))
}
