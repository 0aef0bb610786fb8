package store

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
)

// A Bucket is an ordered map from keys to values within a transaction.
type Bucket struct {
	tx   *Tx
	name string // physical
	err  error  // of an invalid name
}

// An Entry is one key and its value. The slices are the receiver's to keep.
type Entry struct {
	Key, Value []byte
}

func (b *Bucket) readable() error {
	if b.tx.ended {
		return fmt.Errorf("read in an ended transaction: %w", ErrClosed)
	}
	return b.err
}

func (b *Bucket) checkKey(key []byte) error {
	if err := b.readable(); err != nil {
		return err
	}
	if len(key) == 0 || len(key) > MaxKey {
		return fmt.Errorf("key of %d bytes, want 1 to %d: %w", len(key), MaxKey, ErrInvalid)
	}
	return nil
}

// Get returns a copy of the value of key. It returns ErrNotFound when there is
// none, a CorruptError when it is damaged, ErrInvalid for a key out of range.
func (b *Bucket) Get(key []byte) ([]byte, error) {
	if err := b.checkKey(key); err != nil {
		return nil, err
	}
	value, err := b.tx.read.value(b.name, string(key))
	if err != nil {
		return nil, fmt.Errorf("get %.40q: %w", key, err)
	}
	return append([]byte{}, value...), nil
}

// Put sets the value of key; both are copied. It returns ErrInvalid for an empty
// key or sizes over MaxKey and MaxValue, ErrReadOnly in a View.
func (b *Bucket) Put(key, value []byte) error {
	if err := b.tx.writable(); err != nil {
		return err
	}
	if err := b.checkKey(key); err != nil {
		return err
	}
	if len(value) > MaxValue {
		return fmt.Errorf("value of %d bytes, want at most %d: %w", len(value), MaxValue, ErrInvalid)
	}
	b.tx.put(b.name, string(key), value)
	return nil
}

// Delete removes key. It returns nil when there is no such key.
func (b *Bucket) Delete(key []byte) error {
	if err := b.tx.writable(); err != nil {
		return err
	}
	if err := b.checkKey(key); err != nil {
		return err
	}
	return b.tx.delete(b.name, string(key))
}

// Range yields the entries with from <= key < to in order; nil leaves that end
// open. It shows the bucket as it is when the loop starts, so the loop's body may
// Put and Delete. A damaged value is yielded with its key and a CorruptError, and
// the walk goes on; any other error ends it.
func (b *Bucket) Range(from, to []byte) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		c := b.Cursor()
		ok := false
		if from == nil {
			ok = c.First()
		} else {
			ok = c.Seek(from)
		}
		for ; ok && (to == nil || bytes.Compare(c.Key(), to) < 0); ok = c.Next() {
			value, err := c.Value()
			if !yield(Entry{c.Key(), value}, err) {
				return
			}
		}
		if err := c.Err(); err != nil {
			yield(Entry{}, err)
		}
	}
}

// A Cursor walks the keys of a bucket, as they were when it was made, in both
// directions. It starts on no key.
type Cursor struct {
	b   *Bucket
	m   *mergeCursor
	key []byte // current; nil: on no key
	err error
}

// Cursor returns a cursor over the bucket.
func (b *Bucket) Cursor() *Cursor {
	c := &Cursor{b: b, err: b.readable()}
	if c.err == nil {
		c.m = b.tx.snapshot().cursor(b.name)
	}
	return c
}

// First moves to the lowest key and reports whether there is one.
func (c *Cursor) First() bool { return c.move((*mergeCursor).first) }

// Last moves to the highest key and reports whether there is one.
func (c *Cursor) Last() bool { return c.move((*mergeCursor).last) }

// Next moves to the next higher key and reports whether there is one. After it
// has reported false the cursor stands on no key.
func (c *Cursor) Next() bool { return c.move((*mergeCursor).next) }

// Prev moves to the next lower key and reports whether there is one.
func (c *Cursor) Prev() bool { return c.move((*mergeCursor).prev) }

// Seek moves to the lowest key that is not below key and reports whether there is one.
func (c *Cursor) Seek(key []byte) bool {
	return c.move(func(m *mergeCursor) bool { return m.seek(string(key)) })
}

func (c *Cursor) move(to func(*mergeCursor) bool) bool {
	c.key = nil
	if c.err == nil {
		c.err = c.b.readable() // the transaction may have ended
	}
	if c.err != nil || !to(c.m) {
		return false
	}
	c.key = []byte(c.m.key())
	return true
}

// Key returns a copy of the current key, nil when the cursor stands on none.
func (c *Cursor) Key() []byte { return slices.Clone(c.key) }

// Value returns a copy of the current value. It returns a CorruptError when that
// is damaged, ErrNotFound when the cursor stands on no key.
func (c *Cursor) Value() ([]byte, error) {
	if err := c.b.readable(); err != nil {
		return nil, err
	}
	if c.key == nil {
		return nil, fmt.Errorf("value of no key: %w", ErrNotFound)
	}
	value, err := unseal(c.b.name, string(c.key), c.m.stored())
	if err != nil {
		return nil, err
	}
	return append([]byte{}, value...), nil
}

// Err returns the error that made a move report false, nil at an ordinary end.
func (c *Cursor) Err() error {
	if c.err == nil && c.m != nil {
		return c.m.err
	}
	return c.err
}
