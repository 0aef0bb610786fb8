//go:build unix

package faultfs

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup gives a process a group of its own, which the processes that it starts
// are in, so that they can be killed together.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// killGroup kills the group that pid leads; 0 is the one of this process.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

func closeOnExec(fds ...int) {
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
	}
}

// tryLock takes the lock of a file, which the kernel gives back when the process
// ends. It fails if another has it.
func tryLock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// isOurs reports whether a file belongs to this user.
func isOurs(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}
