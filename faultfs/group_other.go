//go:build !unix

package faultfs

import "syscall"

func ownGroup() *syscall.SysProcAttr { return nil }

func killGroup(int) {}
