//go:build amd64 || arm64

package record

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// target is what a path or a descriptor leads to.
type target struct {
	fd    int
	st    unix.Stat_t
	inode *inode // nil if it is not watched
}

func (t *target) shut() {
	if t != nil {
		shut(t.fd)
	}
}

// path leads to the target in this process, whatever kind of descriptor there is.
func (t *target) path() string { return "/proc/self/fd/" + strconv.Itoa(t.fd) }

// byPath resolves the path at addr to the end; the descriptor is an O_PATH one. An
// empty path is the directory itself with AT_EMPTY_PATH.
func (q *request) byPath(dirfd int, addr uint64, flags int) (*target, syscall.Errno) {
	path, errno := q.text(addr)
	if errno != 0 {
		return nil, errno
	}
	if path == "" && flags&unix.AT_EMPTY_PATH == 0 {
		return nil, unix.ENOENT
	}
	base, path, errno := q.base(dirfd, path, 0)
	if errno != 0 {
		return nil, errno
	}
	if path == "" {
		return q.target(base)
	}
	defer shutBase(base)
	open := unix.O_PATH | unix.O_CLOEXEC
	if flags&unix.AT_SYMLINK_NOFOLLOW != 0 {
		open |= unix.O_NOFOLLOW
	}
	fd, err := unix.Openat(base, path, open, 0)
	if err != nil {
		return nil, errnoOf(err)
	}
	return q.target(fd)
}

// byFD is the open file fd of the program.
func (q *request) byFD(fd int) (*target, syscall.Errno) {
	n, errno := q.dup(fd)
	if errno != 0 {
		return nil, errno
	}
	return q.target(n)
}

// target takes over fd.
func (q *request) target(fd int) (*target, syscall.Errno) {
	t := &target{fd: fd}
	if err := unix.Fstat(fd, &t.st); err != nil {
		shut(fd)
		return nil, errnoOf(err)
	}
	t.inode = q.rec.lookup(fd, &t.st)
	return t, 0
}

// elsewhere reports whether it is a regular file that is not watched and could be
// moved into the watched directory.
func (t *target) elsewhere(r *recording) bool {
	return t.inode == nil && t.st.Dev == r.dev && t.st.Mode&unix.S_IFMT == unix.S_IFREG
}

// regular reports whether it is a watched regular file.
func (t *target) regular() bool {
	return t.inode != nil && t.st.Mode&unix.S_IFMT == unix.S_IFREG
}

// entry returns the number of what is at p, a watched place, or 0 if there is
// nothing. The caller holds the lock of names.
func (q *request) entry(p *place, st *unix.Stat_t) tree.Ino {
	if err := p.stat(st); err != nil {
		*st = unix.Stat_t{}
		return 0
	}
	if n := q.rec.at(st); n != nil {
		return n.ino
	}
	// Something that came by a call that we do not serve. It must have come into
	// being in the trace before an operation can be about it.
	by := trace.Op{PID: q.t.proc.tgid, Site: q.where()}
	q.rec.note(BlindUnknown, pathOf(p.dir)+"/"+p.plain(), by.Site)
	q.rec.during(func() { q.adoptAlso(&by, p, 0, true) })
	if n := q.rec.at(st); n != nil {
		return n.ino
	}
	return 0 // it has gone, or the recording has ended
}

// made completes op, which made an inode at p.
func (q *request) made(op *trace.Op, p *place) {
	var st unix.Stat_t
	if err := p.stat(&st); err != nil {
		return
	}
	q.madeAs(op, &st)
}

func (q *request) madeAs(op *trace.Op, st *unix.Stat_t) {
	q.rec.bind(op.Ino, st, op.Kind == trace.Tmpfile)
	op.Mode, op.UID, op.GID = uint32(st.Mode), st.Uid, st.Gid
}

// masked calls f with the umask of the program.
func (q *request) masked(f func() error) syscall.Errno {
	if q.w.own {
		unix.Umask(q.t.proc.mask())
	}
	err := retry(f)
	return errnoOf(err)
}
