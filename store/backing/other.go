//go:build !linux

package backing

import (
	"context"
	"errors"
	"os"
)

// OpenDir fails here before any of these can be reached.

func openTree(*os.File, string) (*os.File, error) { return nil, errors.ErrUnsupported }

func copyTree(context.Context, *os.File, *os.File, *os.Root) error { return errors.ErrUnsupported }

func clearTree(context.Context, *os.File, string) error { return errors.ErrUnsupported }

func renameNoReplace(*os.File, string, *os.File, string) error { return errors.ErrUnsupported }

func syncFS(*os.File) error { return errors.ErrUnsupported }

func isMount(*os.File, string) (bool, error) { return false, errors.ErrUnsupported }

func mountIn(*os.File, string) (string, error) { return "", errors.ErrUnsupported }
