//go:build !unix

package faultfs

import (
	"fmt"
	"syscall"
)

func errnoName(e syscall.Errno) string { return fmt.Sprintf("errno %d", int(e)) }
