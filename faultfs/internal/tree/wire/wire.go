// Package wire reads what [encoding/binary] and the Append functions here wrote, and
// takes any bytes for it: it neither panics nor allocates more than a fixed multiple
// of its input.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrDamaged is returned when bytes are not what an encoder made.
var ErrDamaged = errors.New("damaged")

// AppendString appends s with its length.
func AppendString[T ~string | ~[]byte](p []byte, s T) []byte {
	return append(binary.AppendUvarint(p, uint64(len(s))), s...)
}

// Reader decodes. After the first failure every method returns zero values.
type Reader struct {
	rest []byte
	err  error
}

// NewReader returns a Reader of p. What it returns can share memory with p.
func NewReader(p []byte) *Reader { return &Reader{rest: p} }

// Err returns the first failure, which wraps [ErrDamaged].
func (r *Reader) Err() error { return r.err }

// Len returns how many bytes are left.
func (r *Reader) Len() int { return len(r.rest) }

// Fail makes the reader fail, because of what was read.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
	}
	r.rest = nil
}

// Uvarint reads an unsigned number.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.Fail("no number")
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Number reads an unsigned number of at most limit.
func (r *Reader) Number(limit uint64) uint64 {
	v := r.Uvarint()
	if v > limit {
		r.Fail("%d is above %d", v, limit)
		return 0
	}
	return v
}

// Count reads the length of a list whose items take at least size bytes each.
func (r *Reader) Count(size int) int {
	v := r.Uvarint()
	if v > uint64(len(r.rest)/size) {
		r.Fail("%d items in %d bytes", v, len(r.rest))
		return 0
	}
	return int(v)
}

// Raw reads n bytes.
func (r *Reader) Raw(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.Fail("%d bytes of %d", n, len(r.rest))
		return nil
	}
	p := r.rest[:n:n]
	r.rest = r.rest[n:]
	return p
}

// Bytes reads what AppendString wrote; nothing is nil.
func (r *Reader) Bytes() []byte {
	n := r.Count(1)
	if n == 0 {
		return nil
	}
	return r.Raw(n)
}

// String reads what AppendString wrote.
func (r *Reader) String() string { return string(r.Bytes()) }

// Varint reads a signed number.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.Fail("no number")
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	p := r.Raw(1)
	if p == nil {
		return 0
	}
	return p[0]
}
