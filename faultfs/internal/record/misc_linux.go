//go:build amd64 || arm64

package record

import "golang.org/x/sys/unix"

// refuse makes calls fail through which operations would go unseen. Programs have
// other ways then, for old kernels.
func (q *request) refuse(what string) reply {
	if q.rec != nil {
		q.rec.note(what, "", q.where())
	}
	return fail(unix.ENOSYS)
}

func (q *request) umask() reply {
	q.t.proc.setUmask(q.flags(0))
	return goOn
}

// execve makes the process one that we know nothing about.
func (q *request) execve() reply {
	q.w.s.procs.forget(q.t.proc)
	return goOn
}

// bind notes a socket that gets a name: nothing says what becomes of it.
func (q *request) bind() reply {
	const offPath = 2 // in struct sockaddr_un
	head := q.w.scratch[:offPath+1]
	if readMemory(q.tid(), q.n.args[1], head) != len(head) || head[0] != unix.AF_UNIX || head[1] != 0 || head[offPath] == 0 {
		return goOn
	}
	p, errno := q.place(cwd, q.n.args[1]+offPath)
	if errno != 0 {
		return goOn
	}
	defer p.shut()
	if p.ino != 0 {
		q.rec.note(BlindUnknown, pathOf(p.dir)+"/"+p.plain(), q.where())
	}
	return goOn
}

func (q *request) chroot() reply {
	q.rec.note(BlindRoot, "", q.where())
	return goOn
}
