//go:build amd64 || arm64

package record

import (
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
)

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

// setCredentials makes the thread one that we know nothing about.
func (q *request) setCredentials() reply {
	q.w.s.procs.forgetThread(q.t)
	return goOn
}

// execve makes the process one that we know nothing about.
func (q *request) execve() reply {
	q.w.s.procs.forget(q.t.proc)
	return goOn
}

// changeRoot notes that paths come to mean something else.
func (q *request) changeRoot() reply {
	q.rec.note(BlindRoot, "", q.where())
	return goOn
}

// clone3 has its flags in memory.
func (q *request) clone3() reply {
	if flags, ok := q.number(q.n.args[0]); ok && flags&filter.CloneMounts != 0 {
		return q.changeRoot()
	}
	return goOn
}
