//go:build !linux

package store

import (
	"context"
	"errors"
	"os"
)

// Only Linux gives the promises that this package is built on. Elsewhere it
// compiles, so that programs for several systems can import it, and Open fails.

type fileLock struct{ clean bool }

func lockDir(context.Context, *os.File, Options) (*fileLock, error) {
	return nil, errors.ErrUnsupported
}

func (*fileLock) release(bool) error { return nil }

func openAt(*os.File, string, int, os.FileMode) (*os.File, error) {
	return nil, errors.ErrUnsupported
}

func removeAt(*os.File, string) error { return errors.ErrUnsupported }

func renameAt(*os.File, string, string) error { return errors.ErrUnsupported }

func dropCache(*os.File) error { return errors.ErrUnsupported }
