// Package snapshot says what a snapshotter does. The example has two of them, one
// careful and one naive, which differ in nothing but how they keep their records
// and their directories the same.
package snapshot

import (
	"context"
	"errors"
	"path/filepath"
)

// Errors that a Snapshotter returns.
var (
	ErrNotFound     = errors.New("snapshot not found")
	ErrExists       = errors.New("snapshot of another parent or layer exists")
	ErrNotCommitted = errors.New("snapshot not committed")
	ErrInUse        = errors.New("snapshot has children")
	ErrContent      = errors.New("snapshot has other content than its record says")
)

// A Kind says whether a snapshot may be a parent.
type Kind string

const (
	Absent    Kind = ""          // there is no such snapshot
	Active    Kind = "active"    // filled, not yet a parent
	Committed Kind = "committed" // may have children; unchangeable
)

// A Record is what the owner of the snapshots notes down about one of them, under
// its key, in a database of its own: what containerd calls metadata.db.
type Record struct {
	Kind   Kind              `json:"kind"`
	Parent string            `json:"parent,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Digest string            `json:"digest"` // of the content, parents' included
}

// labelLayer is the label with the path of the archive that a snapshot was made of:
// all of it, for image formats call every layer layer.tar.
const labelLayer = "layer"

// NewRecord returns the record of an active snapshot.
func NewRecord(parent, archive, digest string) Record {
	labels := map[string]string{labelLayer: absolute(archive)}
	return Record{Kind: Active, Parent: parent, Labels: labels, Digest: digest}
}

// Check returns ErrExists unless r was made of this parent and archive.
func (r Record) Check(parent, archive string) error {
	if r.Parent != parent || r.Labels[labelLayer] != absolute(archive) {
		return ErrExists
	}
	return nil
}

// absolute also takes a process without a working directory: its relative paths are
// as good as they can be.
func absolute(archive string) string {
	if path, err := filepath.Abs(archive); err == nil {
		return path
	}
	return archive
}

// A Snapshotter keeps chains of directories. What it acknowledged is durable. Each
// operation is idempotent: repeating one that was interrupted, or one that was
// done already, has the same effect as doing it once. Operations on different keys
// may run at the same time.
type Snapshotter interface {
	// Prepare makes the active snapshot key: a copy of the committed snapshot parent,
	// or an empty directory if that is "", with the archive unpacked on top. It
	// returns the digest of the content. It returns ErrExists if there is a snapshot
	// key that was made of something else.
	Prepare(ctx context.Context, key, parent, archive string) (digest string, err error)
	// Commit makes the active snapshot key a possible parent.
	Commit(ctx context.Context, key string) error
	// View reads the snapshot key, and returns the digest of its content. It returns
	// ErrContent if that is not what was prepared.
	View(ctx context.Context, key string) (digest string, err error)
	// Remove makes an end of the snapshot key. It returns ErrInUse if there are children.
	Remove(ctx context.Context, key string) error
	// Close waits for nothing: no operation may be running.
	Close() error
}
