//go:build unix

package faultfs

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// errnoName returns the symbol of e, such as "EIO".
func errnoName(e syscall.Errno) string {
	if name := unix.ErrnoName(e); name != "" {
		return name
	}
	return fmt.Sprintf("errno %d", int(e))
}
