package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A fileLock is the store's claim on its directory: an advisory lock (flock) on
// the file LOCK, exclusive for a writer, shared for readers. The kernel drops it
// when the last process that has the descriptor is gone.
type fileLock struct {
	f      *os.File // nil: read-only in a directory without a lock file
	clean  bool     // the last writer closed the store, or there was none
	writer bool
}

// While a writer runs, LOCK holds its pid; an orderly Close puts 0 there. So a pid
// found with the lock free means that the last writer crashed or failed. The length
// stays the same: a full disk must not keep a store from being opened.
const lockForm = "%10d\n"

// lockDir takes the lock, waiting as the options say.
func lockDir(ctx context.Context, dir *os.File, opts Options) (*fileLock, error) {
	l := &fileLock{writer: !opts.ReadOnly}
	flags, how := os.O_RDONLY, unix.LOCK_SH
	if l.writer {
		flags, how = os.O_RDWR|os.O_CREATE, unix.LOCK_EX
	}
	f, err := openAt(dir, lockName, flags, 0o600)
	if errors.Is(err, os.ErrNotExist) && opts.ReadOnly {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	l.f = f
	if err := l.acquire(ctx, how, opts.LockTimeout); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if l.writer {
		err = l.sign()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

func (l *fileLock) acquire(ctx context.Context, how int, timeout time.Duration) error {
	for deadline, pause := time.Now().Add(timeout), time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := unix.Flock(int(l.f.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK):
			return &os.PathError{Op: "flock", Path: l.f.Name(), Err: err}
		case time.Now().After(deadline):
			return &LockedError{Path: l.f.Name(), PID: lockHolder(l.f)}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", &LockedError{Path: l.f.Name(), PID: lockHolder(l.f)}, ctx.Err())
		}
	}
}

// sign notes whether the last writer left in order, and puts our pid there.
func (l *fileLock) sign() error {
	said, err := io.ReadAll(io.NewSectionReader(l.f, 0, 64))
	if err != nil {
		return err
	}
	pid := strings.TrimSpace(string(said))
	l.clean = pid == "" || pid == "0"
	return l.write(os.Getpid())
}

func (l *fileLock) write(pid int) error {
	_, err := l.f.WriteAt(fmt.Appendf(nil, lockForm, pid), 0)
	return err
}

// release gives the lock up, after a clean close with a note that it was one.
func (l *fileLock) release(clean bool) error {
	if l.f == nil {
		return nil
	}
	var err error
	if clean && l.writer {
		err = l.write(0)
	}
	return errors.Join(err, l.f.Close())
}

// lockHolder looks up in /proc/locks which process holds a lock on f; 0 when it is
// not told, as for a holder in another pid namespace.
func lockHolder(f *os.File) int {
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return 0
	}
	// 1: FLOCK  ADVISORY  WRITE 708 00:13:1234 0 EOF
	inode := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer func() { _ = locks.Close() }() // only read
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		field := strings.Fields(lines.Text())
		if len(field) >= 6 && field[1] == "FLOCK" && field[5] == inode {
			if pid, err := strconv.Atoi(field[4]); err == nil && pid > 0 {
				return pid
			}
		}
	}
	return 0
}
