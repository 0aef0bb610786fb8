// Package naive is a snapshotter as one writes it without thinking of crashes, in
// the order in which containerd's devmapper snapshotter works: the owner's
// transaction stays open while the pool, which has a database of its own, creates
// or removes the device in several transactions and touches the outside world in
// between. At start-up every device that is not in a stable state becomes faulty.
//
// It is kinder than the original in two ways. Devices are named by the snapshot's
// key, whereas containerd takes a number from a sequence in the owner's database,
// which rolls back with a lost transaction, so that not only the retry but every
// later create asks for a name that is taken. And content is filled in before the
// owner's commit. Without crashes it never drifts.
package naive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/step"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

// Names of the parts of a snapshotter's directory, and of the bucket in OwnerFile
// that holds the owner's records, one a key, as JSON.
const (
	OwnerFile  = "metadata.db"
	PoolFile   = "pool.db"
	VolumesDir = "volumes"
)

// Bucket is the owner's bucket.
var Bucket = []byte("snapshots")

// Calls are the calls before and after which a process can be killed.
var Calls = []string{
	"Pool.Add", "Pool.Change", "Pool.Remove", "Volumes.Create", "Volumes.Remove", "Owner.Commit",
}

// A Snapshotter is a snapshot.Snapshotter that drifts when it crashes.
type Snapshotter struct {
	owner *bbolt.DB
	pool  pool
}

var _ snapshot.Snapshotter = (*Snapshotter)(nil)

// Open opens the snapshotter in dir, which it makes when missing. The pool works on
// what wrap makes of the directories, which is how faults come between the two.
func Open(dir string, points *step.Points, wrap func(Volumes) Volumes) (_ *Snapshotter, err error) {
	directories := filepath.Join(dir, VolumesDir)
	if err := os.MkdirAll(directories, 0o700); err != nil {
		return nil, err
	}
	s := &Snapshotter{pool: pool{points: points}}
	s.pool.volumes = stepped{wrap(Directories(directories)), points}
	if s.owner, err = openDB(filepath.Join(dir, OwnerFile), Bucket); err != nil {
		return nil, err
	}
	if s.pool.meta.db, err = openDB(filepath.Join(dir, PoolFile), DevicesBucket, IDsBucket); err != nil {
		return nil, errors.Join(err, s.owner.Close())
	}
	if err := s.pool.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("recover pool: %w", err), s.Close())
	}
	return s, nil
}

// openDB waits without end for a lock that another process holds, as containerd does.
func openDB(path string, buckets ...[]byte) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Prepare implements snapshot.Snapshotter.
func (s *Snapshotter) Prepare(ctx context.Context, key, parent, archive string) (digest string, err error) {
	err = s.transaction(func(records *bbolt.Bucket) error {
		if record, err := get(records, key); err == nil {
			digest = record.Digest
			return record.Check(parent, archive) // done already
		}
		if parent != "" {
			if base, err := get(records, parent); err != nil {
				return err
			} else if base.Kind != snapshot.Committed {
				return snapshot.ErrNotCommitted
			}
		}
		info, err := s.pool.create(key, parent)
		if err != nil {
			return err
		}
		if digest, err = layer.Fill(ctx, s.pool.volumes.Path(info.ID), key, archive); err != nil {
			return errors.Join(err, s.pool.remove(key))
		}
		return put(records, key, snapshot.NewRecord(parent, archive, digest))
	})
	return digest, err
}

// Commit implements snapshot.Snapshotter.
func (s *Snapshotter) Commit(_ context.Context, key string) error {
	return s.transaction(func(records *bbolt.Bucket) error {
		record, err := get(records, key)
		if err != nil {
			return err
		}
		record.Kind = snapshot.Committed
		return put(records, key, record)
	})
}

// View implements snapshot.Snapshotter.
func (s *Snapshotter) View(_ context.Context, key string) (string, error) {
	var record snapshot.Record
	err := s.owner.View(func(tx *bbolt.Tx) (err error) {
		record, err = get(tx.Bucket(Bucket), key)
		return err
	})
	if err != nil {
		return "", err
	}
	info, err := s.pool.usable(key)
	if err != nil {
		return "", err
	}
	content, err := tree.Scan(s.pool.volumes.Path(info.ID))
	if err != nil {
		return "", err
	}
	if content.Digest() != record.Digest {
		return "", snapshot.ErrContent
	}
	return record.Digest, nil
}

// Remove implements snapshot.Snapshotter.
func (s *Snapshotter) Remove(_ context.Context, key string) error {
	return s.transaction(func(records *bbolt.Bucket) error {
		if _, err := get(records, key); errors.Is(err, snapshot.ErrNotFound) {
			return nil // done already
		}
		err := records.ForEach(func(_, value []byte) error {
			var other snapshot.Record
			if err := json.Unmarshal(value, &other); err != nil {
				return err
			}
			if other.Parent == key {
				return snapshot.ErrInUse
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := records.Delete([]byte(key)); err != nil {
			return err
		}
		return s.pool.remove(key)
	})
}

// Close implements snapshot.Snapshotter.
func (s *Snapshotter) Close() error {
	return errors.Join(s.pool.meta.db.Close(), s.owner.Close())
}

// transaction runs fn in the owner's transaction, and commits that after the pool's
// own transactions have been committed inside it.
func (s *Snapshotter) transaction(fn func(records *bbolt.Bucket) error) error {
	tx, err := s.owner.Begin(true)
	if err != nil {
		return err
	}
	if err := fn(tx.Bucket(Bucket)); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return s.pool.points.Around("Owner.Commit", tx.Commit)
}

func get(records *bbolt.Bucket, key string) (record snapshot.Record, err error) {
	value := records.Get([]byte(key))
	if value == nil {
		return record, fmt.Errorf("%q: %w", key, snapshot.ErrNotFound)
	}
	return record, json.Unmarshal(value, &record)
}

func put(records *bbolt.Bucket, key string, record snapshot.Record) error {
	value, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return records.Put([]byte(key), value)
}
