//go:build !unix

package faultfs

import (
	"os"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return nil }

func killGroup(int) {}

func closeOnExec(...int) {}

func tryLock(*os.File) error { return nil }

func isOurs(os.FileInfo) bool { return false }
