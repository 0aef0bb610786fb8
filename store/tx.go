package store

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	bolt "go.etcd.io/bbolt"
)

// Limits of what a bucket holds.
const (
	MaxBucketName = 255       // bytes
	MaxKey        = 16 << 10  // bytes
	MaxValue      = 256 << 20 // bytes
)

// Physical bucket names: the caller's buckets and ours never meet.
const (
	userPrefix = "b/"
	metaBucket = "m"
)

// A Tx is one transaction. It is valid until the function it was passed to
// returns, and only in that function's goroutine.
type Tx struct {
	db      *DB
	read    reader
	own     *layer   // the write set; nil in a View
	aborts  []func() // undo changes in memory if the transaction does not become durable
	durable []func() // run once it is
	ended   bool
}

// begin starts a transaction over the given layers. The caller holds db.mu, so
// that layers and file belong together.
func (db *DB) begin(layers ...*layer) (*Tx, error) {
	tx := &Tx{db: db}
	err := guard(func() (err error) {
		tx.read.file, err = db.file.Begin(false)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("begin transaction: %w", err)
	}
	for _, l := range layers {
		if l != nil {
			tx.read.layers = append(tx.read.layers, l)
		}
	}
	return tx, nil
}

// end releases the state that tx reads. It is safe to call twice.
func (tx *Tx) end() {
	if !tx.ended {
		tx.ended = true
		rollback(tx.read.file)
	}
}

// snapshot returns the state as it is now, unmoved by later writes of tx.
func (tx *Tx) snapshot() *reader {
	r := tx.read
	if tx.own != nil {
		r.layers = slices.Clone(r.layers)
		r.layers[0] = tx.own.snapshot()
	}
	return &r
}

// rollback ends a transaction of the file. bbolt reports an error only when it has
// ended already, which is what is wanted.
func rollback(tx *bolt.Tx) { _ = tx.Rollback() }

// abort undoes what tx did in memory, latest first.
func (tx *Tx) abort() {
	for _, undo := range slices.Backward(tx.aborts) {
		undo()
	}
	tx.aborts = nil
}

// writable returns the error of a mutation that is not possible.
func (tx *Tx) writable() error {
	switch {
	case tx.ended:
		return fmt.Errorf("write in an ended transaction: %w", ErrClosed)
	case tx.own == nil:
		return fmt.Errorf("write in a view: %w", ErrReadOnly)
	}
	return nil
}

// put seals and stores a value in a physical bucket.
func (tx *Tx) put(bucket, key string, value []byte) {
	tx.own.put(bucket, key, seal(bucket, key, value))
}

// delete removes a key of a physical bucket; absent keys cost nothing.
func (tx *Tx) delete(bucket, key string) error {
	stored, err := tx.read.get(bucket, key)
	if err == nil && stored != nil {
		tx.own.put(bucket, key, nil)
	}
	return err
}

// Bucket returns the bucket of that name. A bucket needs no creation: it exists
// while it holds a key. A name that is empty, longer than MaxBucketName bytes, not
// UTF-8 or contains NUL makes every use of the bucket return ErrInvalid.
func (tx *Tx) Bucket(name string) *Bucket {
	b := &Bucket{tx: tx, name: userPrefix + name}
	if name == "" || len(name) > MaxBucketName || !utf8.ValidString(name) || strings.Contains(name, "\x00") {
		b.err = fmt.Errorf("bucket name %.40q: %w", name, ErrInvalid)
	}
	return b
}

// Buckets yields the names of the buckets that hold at least one key, in order.
func (tx *Tx) Buckets() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if tx.ended {
			yield("", fmt.Errorf("list buckets in an ended transaction: %w", ErrClosed))
			return
		}
		names, err := tx.read.buckets()
		if err != nil {
			yield("", err)
			return
		}
		for _, name := range names {
			user, ok := strings.CutPrefix(name, userPrefix)
			if ok && tx.read.cursor(name).first() && !yield(user, nil) {
				return
			}
		}
	}
}
