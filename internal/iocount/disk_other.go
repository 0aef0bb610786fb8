//go:build !linux

package iocount

import (
	"errors"
	"fmt"
)

// DiskOf returns errors.ErrUnsupported: it reads statistics that only Linux keeps.
func DiskOf(dir string) (Disk, error) {
	return Disk{}, fmt.Errorf("read statistics of the disk of %s: %w", dir, errors.ErrUnsupported)
}
