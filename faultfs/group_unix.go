//go:build unix

package faultfs

import "syscall"

// ownGroup gives a process a group of its own, which the processes that it starts
// are in, so that they can be killed together.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// killGroup kills the group that pid leads; 0 is the one of this process.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
