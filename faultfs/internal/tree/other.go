//go:build !linux

package tree

import (
	"errors"
	"fmt"
)

// Scan works on Linux only.
func Scan(dir string) (*Tree, map[FileID]Ino, error) {
	return nil, nil, fmt.Errorf("scan directory: %w", errors.ErrUnsupported)
}

// Write works on Linux only.
func (t *Tree) Write(dir string) error {
	return fmt.Errorf("write tree: %w", errors.ErrUnsupported)
}
