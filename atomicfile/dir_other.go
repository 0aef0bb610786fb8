//go:build !linux

package atomicfile

import (
	"errors"
	"io/fs"
)

// No Dir can be opened here, so the methods below are never reached.

func openDir(string) (*Dir, error) { return nil, errors.ErrUnsupported }

func (d *Dir) openSub(string) (*Dir, error) { return nil, errors.ErrUnsupported }

func (d *Dir) write(string, []byte, Options) (bool, error) { return false, errors.ErrUnsupported }

func (d *Dir) publish(string, string, bool) (bool, error) { return false, errors.ErrUnsupported }

func (d *Dir) mkdir(string, fs.FileMode) (bool, error) { return false, errors.ErrUnsupported }
