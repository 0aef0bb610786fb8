// Package careful is a snapshotter on driftless. Its own records are in one
// database, the devices in another, the content in directories, and no transaction
// spans any two of them. What keeps them the same is the order of the calls:
//
//	making:   Prepare -> fill -> the owner's transaction -> Claim
//	deleting: Unclaim -> the owner's transaction -> Remove
//
// Wherever a crash falls, the owner's records then tell recovery.Open whether a
// device that is not claimed is to be kept or to be removed.
package careful

import (
	"context"
	"errors"
	"fmt"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// Names of the parts of a snapshotter's directory, of its table, and of the bucket
// that holds the owner's records, one a key, as JSON.
const (
	OwnerDir   = "owner"
	DevicesDir = "devices"
	VolumesDir = "volumes"
	Table      = "snapshots"
	Bucket     = "snapshots"
)

// A Snapshotter is a snapshot.Snapshotter that survives any crash.
type Snapshotter struct {
	owner   owner    // the records, in a database of their own
	pool    database // the database of devices
	devices table
	volumes *backing.Dir
	backing store.Backing // volumes, as the table sees them
}

var _ snapshot.Snapshotter = (*Snapshotter)(nil)

// Prepare implements snapshot.Snapshotter.
func (s *Snapshotter) Prepare(ctx context.Context, key, parent, archive string) (string, error) {
	if record, err := s.owner.record(key); err == nil {
		return record.Digest, errors.Join(record.Check(parent, archive), s.claim(ctx, key))
	} else if !errors.Is(err, snapshot.ErrNotFound) {
		return "", err
	}
	if err := s.checkParent(parent); err != nil {
		return "", err
	}
	dev, err := s.devices.prepare(ctx, key, store.Spec{Parent: parent})
	if err != nil {
		return "", err
	}
	digest, err := layer.Fill(ctx, s.volumes.Path(dev.ID), key, archive)
	if err != nil {
		return "", errors.Join(err, s.devices.remove(context.WithoutCancel(ctx), dev))
	}
	record := snapshot.NewRecord(parent, archive, digest)
	if err := s.owner.put(ctx, key, record); err != nil {
		return "", err
	}
	return digest, s.devices.claim(ctx, dev)
}

// claim completes a Prepare that was interrupted after the owner's transaction.
func (s *Snapshotter) claim(ctx context.Context, key string) error {
	dev, err := s.devices.get(key)
	if err != nil || dev.Claimed {
		return err
	}
	return s.devices.claim(ctx, dev)
}

func (s *Snapshotter) checkParent(parent string) error {
	if parent == "" {
		return nil
	}
	record, err := s.owner.record(parent)
	if err != nil {
		return err
	}
	if record.Kind != snapshot.Committed {
		return fmt.Errorf("parent %q: %w", parent, snapshot.ErrNotCommitted)
	}
	return nil
}

// Commit implements snapshot.Snapshotter. It concerns the owner's records alone.
func (s *Snapshotter) Commit(ctx context.Context, key string) error {
	return s.owner.commit(ctx, key)
}

// View implements snapshot.Snapshotter.
func (s *Snapshotter) View(ctx context.Context, key string) (string, error) {
	record, err := s.owner.record(key)
	if err != nil {
		return "", err
	}
	dev, err := s.devices.get(key)
	if err != nil {
		return "", err
	}
	if err := s.check(ctx, dev); err != nil {
		return "", err
	}
	content, err := tree.Scan(s.volumes.Path(dev.ID))
	if err != nil {
		return "", err
	}
	if content.Digest() != record.Digest {
		return "", fmt.Errorf("view %q: %w", key, snapshot.ErrContent)
	}
	return record.Digest, nil
}

// check returns nil if the directory bears the stamp of the device. Another one may
// have the id if somebody has restored an older copy of the database.
func (s *Snapshotter) check(ctx context.Context, dev store.Device) error {
	presence, stamp, err := s.backing.Probe(ctx, dev.ID)
	if err == nil && (presence != store.Present || stamp != dev.Stamp) {
		err = fmt.Errorf("directory of %q is %v under stamp %v: %w", dev.Name, presence, stamp, store.ErrStale)
	}
	return err
}

// Remove implements snapshot.Snapshotter.
func (s *Snapshotter) Remove(ctx context.Context, key string) error {
	dev, err := s.devices.get(key)
	if errors.Is(err, store.ErrNotFound) {
		return s.owner.forget(ctx, key) // removed already
	}
	if err != nil {
		return err
	}
	err = s.devices.unclaim(ctx, dev)
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("%w: %w", snapshot.ErrInUse, err)
	}
	if err != nil {
		return err
	}
	if err := s.owner.forget(ctx, key); err != nil {
		return err
	}
	return s.devices.remove(ctx, dev)
}

// Close implements snapshot.Snapshotter.
func (s *Snapshotter) Close() error {
	return errors.Join(s.pool.close(), s.owner.close(), s.volumes.Close())
}
