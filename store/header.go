package store

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// The format that this package writes, and the oldest reader that understands it.
const (
	formatVersion = 1
	formatReader  = 1
)

// A header is what the meta bucket says about the whole store.
type header struct {
	Version uint64
	Reader  uint64 // the oldest version that can read this store
	UUID    [16]byte
}

// headerKey is the meta bucket's key of the header: version and reader, 8 bytes
// each, big endian, then the uuid. Later versions may append.
const (
	headerKey  = "header"
	headerSize = 2*8 + 16
)

func newHeader() (header, error) {
	h := header{Version: formatVersion, Reader: formatReader}
	if _, err := rand.Read(h.UUID[:]); err != nil {
		return h, fmt.Errorf("draw identity: %w", err)
	}
	h.UUID[6] = h.UUID[6]&0x0f | 0x40 // RFC 9562: version 4, variant 10
	h.UUID[8] = h.UUID[8]&0x3f | 0x80
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
	return append(b, h.UUID[:]...)
}

func decodeHeader(b []byte) (header, error) {
	if len(b) < headerSize {
		return header{}, &CorruptError{metaBucket, []byte(headerKey), "too short"}
	}
	h := header{Version: binary.BigEndian.Uint64(b), Reader: binary.BigEndian.Uint64(b[8:])}
	copy(h.UUID[:], b[16:])
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

// newIncarnation draws what tells the stamps of one opening of a store from those
// of all others. Nothing of it has to be stored: a number in the database would come
// back with an older copy of the database, and with it the stamps that were given
// since. Keeps (5).
func newIncarnation() (uint64, error) {
	var raw [8]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return 0, fmt.Errorf("draw incarnation: %w", err)
	}
	return binary.BigEndian.Uint64(raw[:]), nil
}

// newStamp returns a stamp that no resource has ever borne.
func (db *DB) newStamp() Stamp { return Stamp{db.incarnation, db.sequence.Add(1)} }
