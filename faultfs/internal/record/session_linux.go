//go:build amd64 || arm64

package record

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// Session is a program that runs under a recorder. Its methods may be called from
// any goroutine. It holds descriptors and threads until the program and all its
// descendants are gone, or Kill.
type Session struct {
	cmd   *exec.Cmd
	o     Options
	calls map[int32]filter.Call
	procs *processes
	self  uint64 // RLIMIT_FSIZE of this process

	sock     int // the socket that the listener comes through
	listener int // -1: the program has not joined
	stop     int // an eventfd that makes the leader go

	lead    chan struct{} // holds the right to receive
	idle    atomic.Int32  // workers that wait for it
	workers sync.WaitGroup

	rec       atomic.Pointer[recording] // the open recording
	finishing sync.Mutex                // keeps finished recordings in order
	injecting sync.Mutex                // serialises o.Inject
	lines     lines
	outputs   []tree.FileID // standard output and error of the process that joined

	gone     chan struct{} // closed when nobody is left to serve
	over     chan struct{} // closed when everything is released
	reaped   chan struct{} // closed when waited is set
	killed   chan struct{}
	dying    atomic.Bool // killed is closed
	killOnce sync.Once
	waited   error

	mu       sync.Mutex // guards what follows, and that fds are open while it is not ended
	ended    bool
	finished []*trace.Trace
	failed   error
	changed  chan struct{} // closed and replaced when finished or ended changes
}

// killPatience is how long Kill waits for processes that it does not know.
const killPatience = 2 * time.Second

// Start starts cmd under a recorder. The program is to call Join. It gets a process
// group of its own unless cmd.SysProcAttr says something about that. The caller
// must call Wait or Kill.
func Start(cmd *exec.Cmd, o Options) (*Session, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("start recorder: make socket: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "recorder")
	defer func() { _ = theirs.Close() }()
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		shut(pair[0])
		return nil, fmt.Errorf("start recorder: make eventfd: %w", err)
	}
	cmd.Env = append(cmd.Environ(), envSocket+"="+strconv.Itoa(3+len(cmd.ExtraFiles)))
	cmd.ExtraFiles = append(slices.Clip(cmd.ExtraFiles), theirs)
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	if err := cmd.Start(); err != nil {
		shut(pair[0])
		shut(stop)
		return nil, fmt.Errorf("start recorded program: %w", err)
	}
	s := newSession(cmd, o, pair[0], stop)
	go s.reap()
	go s.run()
	return s, nil
}

func newSession(cmd *exec.Cmd, o Options, sock, stop int) *Session {
	s := &Session{
		cmd: cmd, o: o, calls: byNumber(ownTable()), procs: newProcesses(), sock: sock, stop: stop, listener: -1, lead: make(chan struct{}, 1),
		gone: make(chan struct{}), over: make(chan struct{}), reaped: make(chan struct{}), killed: make(chan struct{}), changed: make(chan struct{}),
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err == nil {
		s.self = limit.Cur
	}
	return s
}

// Next returns the next finished recording: one that the program ended, or that was
// open when the last of its processes was gone. It returns io.EOF when there can be
// no more.
func (s *Session) Next(ctx context.Context) (*trace.Trace, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		if len(s.finished) > 0 {
			t := s.finished[0]
			s.finished = s.finished[1:]
			s.mu.Unlock()
			return t, nil
		}
		ended, err := s.ended, s.failed
		s.mu.Unlock()
		if ended {
			return nil, cmpErr(err, io.EOF)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for recording: %w", ctx.Err())
		}
	}
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// Wait waits until the program has exited and returns what its exec.Cmd.Wait does.
func (s *Session) Wait() error {
	<-s.reaped
	return s.waited
}

// Kill kills the program and its descendants, and waits until everything is
// released. What was recorded stays for Next. It may be called at any time, several
// times.
func (s *Session) Kill() {
	s.killOnce.Do(func() {
		s.dying.Store(true)
		close(s.killed)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ended {
			return // the numbers may belong to others by now
		}
		_ = unix.Shutdown(s.sock, unix.SHUT_RDWR)
		if attr := s.cmd.SysProcAttr; attr.Setpgid && attr.Pgid == 0 || attr.Setsid {
			_ = unix.Kill(-s.cmd.Process.Pid, unix.SIGKILL)
		}
		_ = s.cmd.Process.Kill()
		s.procs.killAll()
	})
	select {
	case <-s.over:
	case <-time.After(killPatience):
		s.halt()
		<-s.over
	}
	select {
	case <-s.reaped:
	case <-time.After(killPatience): // somebody holds the pipe of its output
	}
}

// halt makes the leader go even though there are processes to serve. Their calls
// fail with ENOSYS from then on.
func (s *Session) halt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		_, _ = unix.Write(s.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// reap waits for the program.
func (s *Session) reap() {
	s.waited = s.cmd.Wait()
	// If it has not joined, nobody will.
	s.mu.Lock()
	if !s.ended {
		_ = unix.Shutdown(s.sock, unix.SHUT_RDWR)
	}
	s.mu.Unlock()
	close(s.reaped)
}

// deliver hands a closed recording to Next.
func (s *Session) deliver(rec *recording) {
	t := rec.trace()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = append(s.finished, t)
	close(s.changed)
	s.changed = make(chan struct{})
}
