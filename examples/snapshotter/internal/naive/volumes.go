package naive

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/step"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

// Volumes is the naive protocol's outside world: directories named by number.
type Volumes interface {
	// Create makes the directory of id, a copy of that of parent unless this is 0.
	Create(id, parent uint32) error
	// Remove deletes the directory of id, if it is there.
	Remove(id uint32) error
	// Check returns an error unless the directory of id is there.
	Check(id uint32) error
	// Path returns where the directory of id is.
	Path(id uint32) string
}

// Directories is Volumes in the directory of that name.
type Directories string

// Path implements Volumes.
func (d Directories) Path(id uint32) string {
	return filepath.Join(string(d), strconv.FormatUint(uint64(id), 10))
}

// Create implements Volumes.
func (d Directories) Create(id, parent uint32) error {
	if err := os.Mkdir(d.Path(id), 0o700); err != nil {
		return err
	}
	if parent == 0 {
		return nil
	}
	return tree.Copy(d.Path(id), d.Path(parent))
}

// Remove implements Volumes.
func (d Directories) Remove(id uint32) error { return os.RemoveAll(d.Path(id)) }

// Check implements Volumes.
func (d Directories) Check(id uint32) error {
	info, err := os.Stat(d.Path(id))
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	return err
}

// stepped is Volumes with points around the calls that change something.
type stepped struct {
	Volumes
	points *step.Points
}

func (s stepped) Create(id, parent uint32) error {
	return s.points.Around("Volumes.Create", func() error { return s.Volumes.Create(id, parent) })
}

func (s stepped) Remove(id uint32) error {
	return s.points.Around("Volumes.Remove", func() error { return s.Volumes.Remove(id) })
}
