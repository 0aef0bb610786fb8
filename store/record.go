package store

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"
)

// The stored form of a record: a version byte, then the fields in order. Numbers
// are unsigned varints, stamps 16 bytes big endian, strings a length and bytes, maps
// a count and pairs in key order, times Unix microseconds. The id is the key.
const recordVersion = 1

const (
	maxRecord  = 64 << 10 // bytes, stored form
	maxAttrs   = 16 << 10 // bytes, stored form
	maxHistory = 8
	maxText    = 1 << 10 // bytes of a reason or event
)

const flagClaimed = 1

func (r *Record) encode() []byte {
	b := make([]byte, 0, 128)
	var flags uint64
	if r.Claimed {
		flags |= flagClaimed
	}
	b = append(b, recordVersion, byte(r.State), byte(r.Phase))
	b = binary.AppendUvarint(b, flags)
	b = appendStamp(b, r.Stamp)
	b = binary.AppendUvarint(b, uint64(r.Parent.ID))
	b = appendStamp(b, r.Parent.Stamp)
	b = appendString(b, r.Name)
	b = binary.AppendUvarint(b, uint64(r.Attempts))
	b = appendString(b, r.Reason)
	b = appendTime(b, r.Since)
	b = appendMap(b, r.Labels)
	b = appendMap(b, r.Attrs)
	b = appendString(b, string(r.Meta))
	b = binary.AppendUvarint(b, uint64(len(r.History)))
	for _, e := range r.History {
		b = appendTime(b, e.Time)
		b = appendString(b, e.Text)
	}
	return b
}

// decodeRecord is the inverse of encode. It accepts what encode writes and nothing
// else; the error is plain text for a CorruptError.
func decodeRecord(id DeviceID, b []byte) (Record, error) {
	d := decoder{b: b}
	var r Record
	r.ID = id
	if v := d.byte(); v != recordVersion && d.err == nil {
		return r, fmt.Errorf("record version %d, want %d", v, recordVersion)
	}
	r.State, r.Phase = State(d.byte()), Phase(d.byte())
	flags := d.uvarint(flagClaimed)
	r.Claimed = flags&flagClaimed != 0
	r.Stamp = d.stamp()
	r.Parent.ID = DeviceID(d.uvarint(1<<32 - 1))
	r.Parent.Stamp = d.stamp()
	r.Name = d.string()
	r.Attempts = int(d.uvarint(1<<31 - 1))
	r.Reason = d.string()
	r.Since = d.time()
	r.Labels = d.stringMap()
	r.Attrs = d.stringMap()
	if meta := d.string(); meta != "" {
		r.Meta = []byte(meta)
	}
	for n := d.uvarint(maxHistory); n > 0 && d.err == nil; n-- {
		r.History = append(r.History, Event{d.time(), d.string()})
	}
	if d.err == nil && len(d.b) > 0 {
		d.err = fmt.Errorf("%d bytes behind the record", len(d.b))
	}
	if d.err == nil && (r.State != Taken && r.State != Faulty || r.Phase < Creating || r.Phase > Removing) {
		d.err = fmt.Errorf("state %v, phase %v", r.State, r.Phase)
	}
	return r, d.err
}

func appendStamp(b []byte, s Stamp) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, s.Incarnation), s.Sequence)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.AppendVarint(b, t.UnixMicro())
}

func appendMap(b []byte, m map[string]string) []byte {
	b = binary.AppendUvarint(b, uint64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b = appendString(appendString(b, k), m[k])
	}
	return b
}

// A decoder takes fields off the front of b. After its first error it yields zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("bad %s", what)
	}
	d.b = nil
}

func (d *decoder) take(n int, what string) []byte {
	if d.err != nil || n > len(d.b) {
		d.fail(what)
		return nil
	}
	head := d.b[:n]
	d.b = d.b[n:]
	return head
}

func (d *decoder) byte() byte {
	if b := d.take(1, "byte"); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > most || len(binary.AppendUvarint(nil, v)) != n {
		d.fail("number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) stamp() Stamp {
	if b := d.take(16, "stamp"); b != nil {
		return Stamp{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
	}
	return Stamp{}
}

func (d *decoder) string() string { return string(d.take(int(d.uvarint(maxRecord)), "string")) }

func (d *decoder) time() time.Time {
	v, n := binary.Varint(d.b)
	if n <= 0 || len(binary.AppendVarint(nil, v)) != n {
		d.fail("time")
		return time.Time{}
	}
	d.b = d.b[n:]
	return time.UnixMicro(v).UTC()
}

func (d *decoder) stringMap() map[string]string {
	n := d.uvarint(maxRecord)
	if n == 0 {
		return nil
	}
	m := map[string]string{}
	last := ""
	for ; n > 0 && d.err == nil; n-- {
		k, v := d.string(), d.string()
		if len(m) > 0 && k <= last {
			d.fail("map order")
			return nil
		}
		m[k], last = v, k
	}
	return m
}

// note records a failure: it becomes the reason and the latest event.
func (r *Record) note(text string) {
	if len(text) > maxText {
		text = text[:maxText]
		for !utf8.ValidString(text) && len(text) > maxText-utf8.UTFMax {
			text = text[:len(text)-1]
		}
	}
	r.Reason = text
	r.History = append(slices.Clone(r.History), Event{now(), text})
	if len(r.History) > maxHistory {
		r.History = r.History[len(r.History)-maxHistory:]
	}
}

// now is the time as records keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
