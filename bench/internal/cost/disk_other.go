//go:build !linux

package cost

import (
	"context"
	"errors"
)

func ownDisk(context.Context) (dir string, remove func() error, err error) {
	return "", nil, errors.ErrUnsupported
}
