//go:build amd64 || arm64

package record

import (
	"bytes"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// process is a process under the filter, as long as it runs the same program.
type process struct {
	tgid    int
	pidfd   int
	threads int // how many are in the table; guarded by its mutex

	mu    sync.Mutex
	umask int // -1: not known

	limit      uint64 // RLIMIT_FSIZE
	limitKnown bool
	limitMoves bool     // it may change at any moment
	program    *program // nil: not looked at
}

// thread is a thread that made a notified call.
type thread struct {
	tid   int
	proc  *process
	alien bool // it has other credentials than this process
	call  int  // /proc/TID/syscall; -1 if that could not be opened

	refs int  // guarded by the table's mutex
	gone bool // no longer in the table: closed when refs is 0
}

// processes finds threads and their processes. Looking them up costs a dozen
// system calls, so that they are kept, up to maxThreads.
type processes struct {
	mu      sync.Mutex
	threads map[int]*thread
	procs   map[int]*process
}

const maxThreads = 256

func newProcesses() *processes {
	return &processes{threads: map[int]*thread{}, procs: map[int]*process{}}
}

// acquire returns the thread tid, which is blocked in a call. It must be released.
func (p *processes) acquire(tid int) (*thread, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.threads[tid]; t != nil {
		// The number may be that of a new thread of another process.
		if unix.Tgkill(t.proc.tgid, tid, 0) == nil {
			t.refs++
			return t, nil
		}
		p.drop(t)
	}
	t, err := p.look(tid)
	if err != nil {
		return nil, err
	}
	if len(p.threads) >= maxThreads {
		for _, old := range p.threads {
			p.drop(old)
		}
	}
	t.proc.threads++
	t.refs = 1
	p.procs[t.proc.tgid] = t.proc
	p.threads[tid] = t
	return t, nil
}

// look reads what /proc says about tid.
func (p *processes) look(tid int) (*thread, error) {
	dir := "/proc/" + strconv.Itoa(tid)
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return nil, err
	}
	tgid := statusField(status, "Tgid:", 10)
	t := &thread{tid: tid, proc: p.procs[tgid], alien: otherCredentials(status)}
	// A pidfd of a process that is gone says so; the number can be in use again.
	if t.proc == nil || unix.PidfdSendSignal(t.proc.pidfd, 0, nil, 0) != nil {
		pidfd, err := unix.PidfdOpen(tgid, 0)
		if err != nil {
			return nil, err
		}
		t.proc = &process{tgid: tgid, pidfd: pidfd, umask: statusField(status, "Umask:", 8)}
	}
	if t.call, err = unix.Open(dir+"/syscall", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		t.call = -1
	}
	return t, nil
}

// statusField returns a number from /proc/PID/status, or -1.
func statusField(status []byte, name string, base int) int {
	_, rest, found := bytes.Cut(status, []byte("\n"+name))
	if !found {
		return -1
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), base, 32)
	if err != nil {
		return -1
	}
	return int(n)
}

func (p *processes) release(t *thread) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.refs--
	if t.gone && t.refs == 0 {
		p.close(t)
	}
}

// drop takes t out of the table.
func (p *processes) drop(t *thread) {
	delete(p.threads, t.tid)
	t.gone = true
	if t.refs == 0 {
		p.close(t)
	}
}

func (p *processes) close(t *thread) {
	shut(t.call)
	t.proc.threads--
	if t.proc.threads > 0 {
		return
	}
	shut(t.proc.pidfd)
	if p.procs[t.proc.tgid] == t.proc {
		delete(p.procs, t.proc.tgid)
	}
}

// forgetThread makes what is known about t be looked up again: it is about to get
// other credentials. Each thread has its own.
func (p *processes) forgetThread(t *thread) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !t.gone {
		p.drop(t)
	}
}

// forget makes what is known about the process be looked up again: it is about to
// run another program.
func (p *processes) forget(proc *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.threads {
		if t.proc == proc {
			p.drop(t)
		}
	}
	if p.procs[proc.tgid] == proc {
		delete(p.procs, proc.tgid)
	}
}

// killAll sends SIGKILL to every process that is known.
func (p *processes) killAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, proc := range p.procs {
		_ = unix.PidfdSendSignal(proc.pidfd, unix.SIGKILL, nil, 0)
	}
}

// closeAll forgets everything.
func (p *processes) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.threads {
		p.drop(t)
	}
}

// setUmask notes the umask that the process is about to set.
func (p *process) setUmask(mask int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.umask = mask & 0o777
}

// mask returns the umask, as far as it is known.
func (p *process) mask() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.umask, 0)
}
