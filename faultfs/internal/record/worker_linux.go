//go:build amd64 || arm64

package record

import (
	"errors"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// worker receives notifications and serves them, on a thread of its own, whose
// umask it can set. At any time at most one worker, the leader, receives. One that
// is about to block lets another lead; so calls that overlap in the program are
// served at the same time, and those that do not, without waking another thread.
type worker struct {
	s        *Session
	leads    bool
	own      bool // the umask is that of this thread alone
	scratch  []byte
	runtimes runtimes
	q        request
}

const scratchBytes = 16384

// spawn starts a worker, which waits for its turn to lead.
func (s *Session) spawn() {
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		w := &worker{s: s, scratch: make([]byte, scratchBytes)}
		w.own = unix.Unshare(unix.CLONE_FS) == nil
		w.run()
	}()
}

func (w *worker) run() {
	for {
		if !w.leads {
			w.s.idle.Add(1)
			select {
			case <-w.s.lead:
				w.leads = true
				w.s.idle.Add(-1)
			case <-w.s.gone:
				return
			}
		}
		w.q = request{w: w}
		if !w.receive(&w.q.n) {
			close(w.s.gone)
			return
		}
		w.serve(&w.q)
	}
}

// follow lets another worker lead, because this one is about to block.
func (w *worker) follow() {
	if !w.leads {
		return
	}
	w.leads = false
	w.s.lead <- struct{}{}
	if w.s.idle.Load() == 0 {
		w.s.spawn()
	}
}

// receive waits for the next notification. It returns false when there can be no
// more.
func (w *worker) receive(n *notification) bool {
	fds := [2]unix.PollFd{{Fd: int32(w.s.listener), Events: unix.POLLIN}, {Fd: int32(w.s.stop), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds[:], -1)
		if err != nil {
			continue // a signal
		}
		if fds[1].Revents != 0 {
			return false
		}
		if fds[0].Revents&unix.POLLIN != 0 {
			*n = notification{}
			if _, errno := ioctl(w.s.listener, ioctlRecv, unsafe.Pointer(n)); errno == 0 {
				return true
			}
			continue // ENOENT: the caller was interrupted meanwhile
		}
		if fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
			return false
		}
	}
}

// verdict is how a call is answered.
type verdict uint8

const (
	answer  verdict = iota // with a result
	proceed                // the kernel is to do it
	silence                // not at all
)

// reply is the answer to a call.
type reply struct {
	verdict verdict
	val     int64
	errno   syscall.Errno
}

var (
	goOn  = reply{verdict: proceed}
	never = reply{verdict: silence}
)

func fail(errno syscall.Errno) reply { return reply{errno: errno} }

// serve serves one call.
func (w *worker) serve(q *request) {
	r := w.handle(q)
	switch r.verdict {
	case silence:
		// All that the program can do now is die.
		w.follow()
		<-w.s.gone
	case proceed:
		w.send(&response{id: q.n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
	case answer:
		w.send(&response{id: q.n.id, val: r.val, err: -int32(r.errno)})
	}
	if q.after != nil {
		q.after()
	}
}

// handle finds out who calls what.
func (w *worker) handle(q *request) reply {
	q.call = w.s.calls[q.n.nr]
	q.rec = w.s.rec.Load()
	h := handlers[q.call]
	dying := w.s.dying.Load()
	if !dying && (h == nil || q.rec == nil && !always[q.call]) {
		return goOn
	}
	t, err := w.s.procs.acquire(int(q.n.tid))
	if err != nil {
		if q.rec != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENOENT) { // not just killed
			q.rec.note(BlindProcess, "", 0)
		}
		return goOn
	}
	defer w.s.procs.release(t)
	q.t = t
	if dying { // one that Kill did not know
		_ = unix.PidfdSendSignal(t.proc.pidfd, unix.SIGKILL, nil, 0)
		return never
	}
	return h(q)
}

// send answers. It fails when the caller was killed meanwhile, which is fine.
func (w *worker) send(r *response) {
	_, _ = ioctl(w.s.listener, ioctlSend, unsafe.Pointer(r))
}

// sleep returns false if there is nobody left to wake for.
func (s *Session) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.gone:
	case <-s.killed:
	}
	return false
}
