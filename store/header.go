package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync"
)

// The format that this package writes, and the oldest reader that understands it.
const (
	formatVersion = 1
	formatReader  = 1
)

// A header is what the meta bucket says about the whole store.
type header struct {
	Version     uint64
	Reader      uint64 // the oldest version that can read this store
	UUID        [16]byte
	Incarnation uint64
}

// headerKey is the meta bucket's key of the header: version, reader, incarnation
// as 8 bytes each, big endian, then the uuid. Later versions may append.
const (
	headerKey  = "header"
	headerSize = 3*8 + 16
)

func newHeader() (header, error) {
	h := header{Version: formatVersion, Reader: formatReader}
	var raw [24]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return h, fmt.Errorf("draw identity: %w", err)
	}
	copy(h.UUID[:], raw[:16])
	h.UUID[6] = h.UUID[6]&0x0f | 0x40 // RFC 9562: version 4, variant 10
	h.UUID[8] = h.UUID[8]&0x3f | 0x80
	h.Incarnation = binary.BigEndian.Uint64(raw[16:])
	return h, nil
}

func (h header) identity() string {
	text := hex.EncodeToString(h.UUID[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

func (h header) encode() []byte {
	b := make([]byte, 0, headerSize)
	b = binary.BigEndian.AppendUint64(b, h.Version)
	b = binary.BigEndian.AppendUint64(b, h.Reader)
	b = binary.BigEndian.AppendUint64(b, h.Incarnation)
	return append(b, h.UUID[:]...)
}

func decodeHeader(b []byte) (header, error) {
	if len(b) < headerSize {
		return header{}, &CorruptError{metaBucket, []byte(headerKey), "too short"}
	}
	h := header{
		Version:     binary.BigEndian.Uint64(b),
		Reader:      binary.BigEndian.Uint64(b[8:]),
		Incarnation: binary.BigEndian.Uint64(b[16:]),
	}
	copy(h.UUID[:], b[24:])
	return h, nil
}

// usable returns ErrVersion when this package must not open the store: to write
// one of a newer format, or to read one that says it takes a newer reader.
func (h header) usable(readOnly bool) error {
	if h.Version <= formatVersion || readOnly && h.Reader <= formatVersion {
		return nil
	}
	return fmt.Errorf("format version %d, this package writes %d: %w", h.Version, formatVersion, ErrVersion)
}

// A sequence hands out the numbers of stamps. They are reserved on disk in blocks,
// in the transaction of the intent that needs a new one; what a crash leaves of a
// block is never used. A number may be lost, none is used twice. Keeps (5).
type sequence struct {
	mu    sync.Mutex
	next  uint64 // the number to hand out
	limit uint64 // the first number that is not reserved
}

const (
	sequenceKey   = "sequence" // of the meta bucket: limit, 8 bytes, big endian
	sequenceBlock = 1024
)

// take returns the next number, reserving a block in tx when needed. The caller
// is in an Update, so takers do not run at once; an abort gives nothing back.
func (s *sequence) take(tx *Tx) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.next
	s.next++
	if n >= s.limit {
		was := s.limit
		s.limit = n + sequenceBlock
		tx.aborts = append(tx.aborts, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.limit = was
		})
		tx.put(metaBucket, sequenceKey, binary.BigEndian.AppendUint64(nil, s.limit))
	}
	return n
}

// loadSequence reads where the numbers of stamps go on. When that is lost, a new
// incarnation begins: its stamps differ from all earlier ones.
func (db *DB) loadSequence(r *reader) error {
	s := &db.sequence
	b, err := r.value(metaBucket, sequenceKey)
	if err == nil && len(b) == 8 {
		s.next = binary.BigEndian.Uint64(b)
		s.limit = s.next
		return nil
	}
	s.next, s.limit = 1, 1
	if db.opts.ReadOnly {
		return nil
	}
	fresh, err := newHeader()
	if err != nil {
		return err
	}
	db.head.Incarnation = fresh.Incarnation
	return db.update(context.Background(), func(tx *Tx) error {
		tx.put(metaBucket, headerKey, db.head.encode())
		if err := tx.quarantine(&CorruptError{Bucket: metaBucket, Key: []byte(sequenceKey)}, nil); err != nil {
			return err
		}
		tx.put(metaBucket, sequenceKey, binary.BigEndian.AppendUint64(nil, s.limit))
		return nil
	})
}

// bound returns a number that is above all that were handed out.
func (s *sequence) bound() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}
