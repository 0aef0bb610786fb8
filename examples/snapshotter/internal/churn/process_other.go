//go:build !linux

package churn

import (
	"os/exec"
	"syscall"
)

// dieWithParent has no counterpart here: the example runs on Linux.
func dieWithParent() *syscall.SysProcAttr { return nil }

func wasKilled(exit *exec.ExitError) bool { return !exit.Exited() }
