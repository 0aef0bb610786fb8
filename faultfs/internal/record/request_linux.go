//go:build amd64 || arm64

package record

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// request is a call that is being served.
type request struct {
	w    *worker
	n    notification
	call filter.Call
	rec  *recording // nil if none is open
	t    *thread
	site int           // 0: not looked at
	val  int64         // the result, if not 0
	noFD syscall.Errno // why the program did not get a descriptor
	// after is what is to be done once the call is answered.
	after func()
}

func (q *request) tid() int { return int(q.n.tid) }

// fd returns an argument that is a descriptor.
func (q *request) fd(arg int) int { return int(int32(q.n.args[arg])) }

// flags returns an argument that is an int.
func (q *request) flags(arg int) int { return int(int32(q.n.args[arg])) }

// where returns the number of the place where the call comes from.
func (q *request) where() int {
	if q.site == 0 {
		q.site = q.rec.sites.of(q.w, q.t)
	}
	return q.site
}

// dup returns a descriptor of our own for the same open file. It must be shut
// before the call is answered: locks last as long as any of them.
func (q *request) dup(fd int) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_PIDFD_GETFD, uintptr(q.t.proc.pidfd), uintptr(fd), 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), 0
}

// mayBlock lets others be served by somebody else, because this call waits for a
// medium. In memory there is none to wait for, and waking another thread is what
// costs most.
func (q *request) mayBlock() {
	if !q.rec.memory {
		q.w.follow()
	}
}

// do records op and does it, unless a fault is to hit it. Its order among others of
// the same inode or of names is that of its Start: the caller holds the lock.
// perform may complete op, and sets q.val if the result is not 0.
func (q *request) do(op *trace.Op, perform func(f Fault) syscall.Errno) reply {
	op.PID, op.Site = q.t.proc.tgid, q.where()
	q.alien()
	at := q.rec.start(op)
	f := q.fault(op)
	if f.Delay > 0 {
		q.w.follow()
		if !q.w.s.sleep(f.Delay) {
			return never
		}
	}
	if f.Hang {
		return never
	}
	recorded := at >= 0 && q.rec.enter()
	switch {
	case f.Err != 0:
		op.Err, op.Injected = f.Err, true
	default:
		op.Err = perform(f)
	}
	if recorded {
		q.rec.finish(at, op)
	}
	return reply{val: q.val, errno: op.Err}
}

// alien notes that what is done here would be done by somebody else.
func (q *request) alien() {
	if q.t.alien {
		q.rec.note(BlindCredentials, "", q.where())
	}
}

// fault asks what goes wrong with op.
func (q *request) fault(op *trace.Op) Fault {
	if q.w.s.o.Inject == nil {
		return Fault{}
	}
	q.w.s.injecting.Lock()
	defer q.w.s.injecting.Unlock()
	return q.w.s.o.Inject(op)
}
