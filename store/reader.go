package store

import (
	"bytes"
	"fmt"
	"runtime/debug"

	"github.com/tidwall/btree"
	bolt "go.etcd.io/bbolt"
)

// A reader is one consistent state: a transaction of the database file and the
// layers over it, newest first. Within a reader nothing changes but layers[0] of
// an Update, which is its own write set.
//
// It does not matter whether the file's transaction sees a group that is being
// committed: an Update has that group's writes as a layer, a View has its undo
// layer. So bbolt's habit of showing a commit before its last flush stays unseen.
type reader struct {
	file   *bolt.Tx
	layers []*layer
}

// get returns the stored form of a key, nil when there is none.
func (r *reader) get(bucket, key string) (stored []byte, err error) {
	for _, l := range r.layers {
		if stored, ok := l.get(bucket, key); ok {
			return stored, nil
		}
	}
	err = guard(func() error {
		if b := r.file.Bucket([]byte(bucket)); b != nil {
			stored = bytes.Clone(b.Get([]byte(key))) // within guard
		}
		return nil
	})
	return stored, err
}

// value returns the checked value of a key, ErrNotFound when there is none.
func (r *reader) value(bucket, key string) ([]byte, error) {
	stored, err := r.get(bucket, key)
	if err != nil {
		return nil, err
	}
	if stored == nil {
		return nil, ErrNotFound
	}
	return unseal(bucket, key, stored)
}

// buckets returns the names of all buckets that any part of the state knows.
func (r *reader) buckets() (names []string, err error) {
	var all btree.Set[string]
	for _, l := range r.layers {
		for name := range l.buckets {
			all.Insert(name)
		}
	}
	err = guard(func() error {
		return r.file.ForEach(func(name []byte, _ *bolt.Bucket) error {
			all.Insert(string(name))
			return nil
		})
	})
	return all.Keys(), err
}

// guard runs f on pages of the database file and turns a panic, which is bbolt's
// answer to a damaged page, or a fault, which is the kernel's to a page beyond the
// end of the file, into a CorruptError.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &CorruptError{Reason: fmt.Sprint(p)}
		}
	}()
	return f()
}
