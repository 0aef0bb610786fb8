//go:build amd64 || arm64

package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// run serves the program until it and its descendants are gone.
func (s *Session) run() {
	listener, err := s.accept()
	if err == nil {
		s.listener = listener
		s.lead <- struct{}{}
		s.spawn()
		<-s.gone
		s.workers.Wait()
		if rec := s.rec.Swap(nil); rec != nil {
			rec.close()
			s.deliver(rec)
		}
	}
	s.procs.closeAll()
	s.mu.Lock()
	s.ended = true
	s.failed = err
	shut(s.sock)
	shut(s.stop)
	shut(s.listener)
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	close(s.over)
}

// accept waits until the program joins, and fetches its listener. It returns io.EOF
// if the program ended without.
func (s *Session) accept() (int, error) {
	data := make([]byte, 4)
	var n int
	err := retry(func() (err error) {
		n, _, err = unix.Recvfrom(s.sock, data, 0)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("wait for listener: %w", err)
	}
	if n == 0 {
		return -1, io.EOF
	}
	listener, err := s.fetch(int(binary.LittleEndian.Uint32(data)))
	if err != nil {
		return -1, err
	}
	// Linux 6.6: wakes the other side on the same processor. Older: no such thing.
	_ = unix.IoctlSetInt(listener, ioctlSetFlags, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	if err := retry(func() error { return unix.Sendmsg(s.sock, []byte{1}, nil, nil, unix.MSG_NOSIGNAL) }); err != nil && !errors.Is(err, unix.EPIPE) {
		shut(listener)
		return -1, fmt.Errorf("answer the recorded program: %w", err)
	}
	return listener, nil
}

// fetchPause is how long to wait for a listener that is about to be made.
const fetchPause = 100 * time.Microsecond

// fetch waits until the process pid has a listener among its descriptors and
// duplicates it. It returns io.EOF if the process gives up or ends.
func (s *Session) fetch(pid int) (int, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return -1, io.EOF
	}
	if err != nil {
		return -1, fmt.Errorf("fetch listener: %w", err)
	}
	defer shut(pidfd)
	for {
		if fd, found := findListener(pid); found {
			listener, err := unix.PidfdGetfd(pidfd, fd, 0)
			if err == nil {
				s.outputs = outputsOf(pid)
				return listener, nil
			}
			if !errors.Is(err, unix.EBADF) && !errors.Is(err, unix.ESRCH) {
				return -1, fmt.Errorf("fetch listener: %w", err)
			}
		}
		n, _, err := unix.Recvfrom(s.sock, make([]byte, 1), unix.MSG_DONTWAIT)
		if n == 0 && err == nil {
			return -1, io.EOF
		}
		time.Sleep(fetchPause)
	}
}

// outputsOf returns what the standard output and error of a process are.
func outputsOf(pid int) []tree.FileID {
	var ids []tree.FileID
	for _, fd := range []int{1, 2} {
		var st unix.Stat_t
		if unix.Stat(fmt.Sprintf("/proc/%d/fd/%d", pid, fd), &st) == nil {
			ids = append(ids, idOf(&st))
		}
	}
	return ids
}

// findListener looks for a seccomp listener among the descriptors of a process.
func findListener(pid int) (fd int, found bool) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	names, err := os.ReadDir(dir)
	if err != nil {
		return 0, false // it has ended
	}
	for _, name := range names {
		if to, err := os.Readlink(dir + "/" + name.Name()); err == nil && to == "anon_inode:seccomp notify" {
			fd, err := strconv.Atoi(name.Name())
			return fd, err == nil
		}
	}
	return 0, false
}
