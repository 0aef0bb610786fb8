//go:build amd64 || arm64

package record

import (
	"bytes"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// offPath is where the path is in struct sockaddr_un.
const offPath = 2

// bind serves a socket that gets a name, which makes it an inode.
func (q *request) bind() reply {
	size := q.n.args[2]
	if size <= offPath || size > unix.SizeofSockaddrUnix {
		return goOn
	}
	addr := make([]byte, size)
	if readMemory(q.tid(), q.n.args[1], addr) != len(addr) || addr[0] != unix.AF_UNIX || addr[1] != 0 || addr[offPath] == 0 {
		return goOn
	}
	path, _, _ := bytes.Cut(addr[offPath:], []byte{0})
	base, rest, errno := q.base(cwd, string(path), 0)
	if errno != 0 {
		return q.cannot(errno)
	}
	defer shutBase(base)
	p, errno := q.rec.place(base, rest, 0)
	if errno != 0 {
		return goOn // the errors of bind are others
	}
	defer p.shut()
	if p.ino == 0 {
		return goOn
	}
	if !q.w.own { // it would change the directory of all threads
		q.rec.note(BlindUnknown, pathOf(p.dir)+"/"+p.plain(), q.where())
		return goOn
	}
	return q.bindAt(p, addr)
}

// bindAt binds the socket to addr, which is the place p.
func (q *request) bindAt(p *place, addr []byte) reply {
	sock, errno := q.dup(q.fd(0))
	if errno != 0 {
		return q.cannot(errno)
	}
	defer shut(sock)
	q.lock(&q.rec.names)
	defer q.rec.names.Unlock()
	op := trace.Op{Kind: trace.Mknod, Dir: p.ino, Name: p.plain(), Mode: unix.S_IFSOCK | 0o777}
	var st unix.Stat_t
	if p.stat(&st) != nil {
		op.Ino = q.rec.number()
	}
	return q.do(&op, func(Fault) syscall.Errno {
		errno := q.masked(func() error { return q.bindThere(sock, addr) })
		if errno == 0 {
			q.made(&op, p)
		}
		return errno
	})
}

// bindThere is bind in the working directory of the program: the socket keeps the
// path as it is given, for everybody to ask for.
func (q *request) bindThere(sock int, addr []byte) error {
	own, err := unix.Open(".", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer shut(own)
	if err := unix.Chdir("/proc/" + strconv.Itoa(q.tid()) + "/cwd"); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(sock), uintptr(unsafe.Pointer(&addr[0])), uintptr(len(addr)))
	if err := unix.Fchdir(own); err != nil {
		return err
	}
	if errno != 0 {
		return errno
	}
	return nil
}
