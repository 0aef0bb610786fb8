//go:build !linux

package layer

import (
	"errors"
	"io/fs"
)

// Sync returns errors.ErrUnsupported: the example runs on Linux.
func Sync(dir string) error {
	return &fs.PathError{Op: "syncfs", Path: dir, Err: errors.ErrUnsupported}
}
