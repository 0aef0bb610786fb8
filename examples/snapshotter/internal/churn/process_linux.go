package churn

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the child when the parent ends in whatever way.
// The child is in a process group of its own, so that the terminal's interrupt
// reaches the parent alone, which then cleans up.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

func wasKilled(exit *exec.ExitError) bool {
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}
