//go:build amd64 || arm64

package record

import (
	"encoding/binary"
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// Opening a file that is to be made, or emptied, is done here, and the program gets
// the descriptor. Others never come here, but for those of openat2, whose flags the
// filter cannot see.

// maxLinks is how many symbolic links the kernel follows.
const maxLinks = 40

// openKnown are the flags that open knows. It ignores others; openat2 does not.
const openKnown = 0x7fffc3

func (q *request) openFlags(flags, mode int) unix.OpenHow {
	return unix.OpenHow{Flags: q.n.args[flags] & openKnown, Mode: q.n.args[mode] & 0o7777}
}

func (q *request) creatFlags() unix.OpenHow {
	return unix.OpenHow{Flags: unix.O_CREAT | unix.O_WRONLY | unix.O_TRUNC, Mode: q.n.args[1] & 0o7777}
}

func (q *request) openat2() reply {
	var how unix.OpenHow
	raw := q.w.scratch[:unsafe.Sizeof(how)]
	if q.n.args[3] < uint64(len(raw)) || readMemory(q.tid(), q.n.args[2], raw) != len(raw) {
		return goOn
	}
	how.Flags = binary.LittleEndian.Uint64(raw)
	how.Mode = binary.LittleEndian.Uint64(raw[8:])
	how.Resolve = binary.LittleEndian.Uint64(raw[16:])
	return q.open(q.fd(0), q.n.args[1], how)
}

// opening is an open that is served.
type opening struct {
	base  int // where the path starts
	path  string
	how   unix.OpenHow
	links int
}

func (q *request) open(dirfd int, addr uint64, how unix.OpenHow) reply {
	if how.Flags&unix.O_PATH != 0 || how.Flags&(filter.OpenCreate|filter.OpenEmpty|filter.OpenTmpfile) == 0 {
		return goOn
	}
	path, errno := q.text(addr)
	if errno == 0 && path == "" {
		errno = unix.ENOENT
	}
	if errno != 0 {
		return q.cannot(errno)
	}
	base, path, errno := q.base(dirfd, path, how.Resolve)
	if errno != 0 {
		return q.cannot(errno)
	}
	defer shutBase(base)
	o := opening{base: base, path: path, how: how}
	if q.call != filter.Openat2 {
		o.how.Flags |= unix.O_LARGEFILE
	}
	if how.Flags&filter.OpenTmpfile != 0 {
		return q.tmpfile(o)
	}
	// From the first look on, so that nobody changes what is there.
	q.lock(&q.rec.names)
	defer q.rec.names.Unlock()
	return q.openNamed(o)
}

// give gives the program a descriptor for our fd, which is shut before the program
// goes on: a lock that it takes must be its own alone.
func (q *request) give(fd int, flags uint64) (int, syscall.Errno) {
	defer shut(fd)
	a := addfd{id: q.n.id, srcfd: uint32(fd), newfdFlags: uint32(flags) & unix.O_CLOEXEC}
	return ioctl(q.w.s.listener, ioctlAddfd, unsafe.Pointer(&a))
}

// found returns what is at the path of o.
func (q *request) found(o opening, flags uint64) (*target, syscall.Errno) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC | flags, Resolve: o.how.Resolve}
	fd, err := unix.Openat2(o.base, o.path, &how)
	if err != nil {
		return nil, errnoOf(err)
	}
	return q.target(fd)
}

// tmpfile serves O_TMPFILE.
func (q *request) tmpfile(o opening) reply {
	t, errno := q.found(o, unix.O_DIRECTORY|o.how.Flags&unix.O_NOFOLLOW)
	if errno != 0 {
		return q.cannot(errno)
	}
	defer t.shut()
	if t.inode == nil {
		return goOn
	}
	q.lock(&q.rec.names)
	defer q.rec.names.Unlock()
	op := trace.Op{Kind: trace.Tmpfile, Ino: q.rec.number(), Mode: unix.S_IFREG | uint32(o.how.Mode)}
	how := unix.OpenHow{Flags: o.how.Flags | unix.O_CLOEXEC, Mode: o.how.Mode}
	return q.do(&op, func(Fault) syscall.Errno { return q.openAt(t.fd, ".", how, o.how.Flags, &op) })
}

// openAt opens and hands the descriptor over. If it makes the file, op is completed.
func (q *request) openAt(dir int, name string, how unix.OpenHow, given uint64, op *trace.Op) syscall.Errno {
	var fd int
	errno := q.masked(func() (err error) { fd, err = unix.Openat2(dir, name, &how); return err })
	if errno != 0 {
		return errno
	}
	if op != nil && op.Kind != trace.Truncate {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err == nil {
			q.madeAs(op, &st)
		}
	}
	n, errno := q.give(fd, given)
	if errno != 0 {
		// The file is there all the same, so that the trace must not say it failed.
		q.val, q.noFD = 0, errno
		return 0
	}
	q.val = int64(n)
	return 0
}

// openNamed serves O_CREAT and O_TRUNC, with the lock of names held.
func (q *request) openNamed(o opening) reply {
	p, errno := q.rec.place(o.base, o.path, o.how.Resolve)
	if errno != 0 {
		return q.cannot(errno)
	}
	defer p.shut()
	var st unix.Stat_t
	err := p.stat(&st)
	kind := st.Mode & unix.S_IFMT // 0: nothing is there
	switch {
	case p.ino == 0 && (kind == 0 || o.exclusive()):
		return goOn
	case p.ino == 0 && kind != unix.S_IFLNK && q.rec.lookup(p.dir, &st) == nil:
		if o.how.Flags&filter.OpenEmpty != 0 {
			q.changesElsewhere(&target{fd: p.dir, st: st}, 0)
		}
		return goOn
	case err != nil && !errors.Is(err, unix.ENOENT):
		return q.cannot(errnoOf(err))
	case kind == 0 && o.how.Flags&unix.O_CREAT != 0, kind != 0 && o.exclusive():
		return q.openNew(o, p, kind != 0)
	case kind == unix.S_IFLNK && o.how.Flags&unix.O_NOFOLLOW == 0:
		return q.openLink(o, p)
	case kind == unix.S_IFREG:
		return q.openExisting(o, q.rec.at(&st), &st, p.dir, p.name)
	case kind == unix.S_IFIFO:
		return goOn // which can take for ever
	}
	// Nothing is made, and most often it fails.
	return q.handOver(reply{errno: q.openAt(p.dir, p.name, o.how, o.how.Flags, nil)})
}

func (o *opening) exclusive() bool {
	return o.how.Flags&(unix.O_CREAT|unix.O_EXCL) == unix.O_CREAT|unix.O_EXCL
}

// openLink follows a symbolic link at the end of a path.
func (q *request) openLink(o opening, p *place) reply {
	if o.links++; o.links > maxLinks {
		return fail(unix.ELOOP)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(p.dir, &fs); err != nil {
		return q.cannot(errnoOf(err))
	}
	if fs.Type == unix.PROC_SUPER_MAGIC || o.how.Resolve != 0 {
		return q.openTarget(o)
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(p.dir, p.plain(), buf)
	if err != nil {
		return q.cannot(errnoOf(err))
	}
	to := string(buf[:n]) + p.name[len(p.plain()):] // with the slash behind the link
	o.path, o.base = q.ours(to), p.dir
	return q.openNamed(o)
}

// openTarget opens what is there already, at the end of a link that only the kernel
// can follow.
func (q *request) openTarget(o opening) reply {
	t, errno := q.found(o, 0)
	if errno != 0 {
		return q.cannot(errno)
	}
	defer t.shut()
	if !t.regular() {
		return goOn
	}
	return q.openExisting(o, t.inode, &t.st, unix.AT_FDCWD, t.path())
}

// openNew makes a file at p, where nothing is unless there is.
func (q *request) openNew(o opening, p *place, there bool) reply {
	op := trace.Op{Kind: trace.Create, Dir: p.ino, Name: p.plain(), Mode: unix.S_IFREG | uint32(o.how.Mode)}
	if !there {
		op.Ino = q.rec.number()
	}
	how := unix.OpenHow{Flags: o.how.Flags | unix.O_EXCL | unix.O_CLOEXEC, Mode: o.how.Mode}
	return q.handOver(q.do(&op, func(Fault) syscall.Errno { return q.openAt(p.dir, p.name, how, o.how.Flags, &op) }))
}

// openExisting opens a regular file, and empties it.
func (q *request) openExisting(o opening, n *inode, st *unix.Stat_t, dir int, name string) reply {
	how := unix.OpenHow{Flags: o.how.Flags&^(unix.O_CREAT|unix.O_EXCL) | unix.O_CLOEXEC}
	if how.Flags&filter.OpenEmpty == 0 || st.Size == 0 || n == nil {
		errno := q.openAt(dir, name, how, o.how.Flags, nil)
		return q.handOver(reply{val: q.val, errno: errno})
	}
	q.lock(&n.mu)
	defer n.mu.Unlock()
	op := trace.Op{Kind: trace.Truncate, Ino: n.ino}
	return q.handOver(q.do(&op, func(Fault) syscall.Errno { return q.openAt(dir, name, how, o.how.Flags, &op) }))
}

// handOver is r unless the program could not get the descriptor.
func (q *request) handOver(r reply) reply {
	if r.verdict == answer && r.errno == 0 && q.noFD != 0 {
		return fail(q.noFD)
	}
	return r
}
