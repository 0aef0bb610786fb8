package store

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// A DeviceID is the number under which a backing knows a resource. 0 is never one.
type DeviceID uint32

// String returns the id in decimal.
func (id DeviceID) String() string { return strconv.FormatUint(uint64(id), 10) }

// A Stamp identifies one intent to create a device: no two intents ever bear the
// same one, not even across a restore of the database. The resource carries it
// too, so a stale holder of a reused id is found out. Keeps (5).
type Stamp struct {
	Incarnation uint64 // random, drawn whenever a store is opened
	Sequence    uint64 // number of the intent in that incarnation, from 1
}

// IsZero reports whether s is no stamp at all.
func (s Stamp) IsZero() bool { return s == Stamp{} }

// String returns s as 16 hexadecimal digits, a dash, and 16 more.
func (s Stamp) String() string { return fmt.Sprintf("%016x-%016x", s.Incarnation, s.Sequence) }

// ParseStamp is the inverse of Stamp.String. It returns ErrInvalid for anything else.
func ParseStamp(text string) (Stamp, error) {
	if len(text) != 33 || text[16] != '-' {
		return Stamp{}, fmt.Errorf("parse stamp %q: %w", text, ErrInvalid)
	}
	var raw [16]byte
	if _, err := hex.Decode(raw[:], []byte(text[:16]+text[17:])); err != nil {
		return Stamp{}, fmt.Errorf("parse stamp %q: %w", text, ErrInvalid)
	}
	return Stamp{binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])}, nil
}

// A Ref names one device for ever: the id alone may be reused.
type Ref struct {
	ID    DeviceID
	Stamp Stamp
}

// IsZero reports whether r refers to nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// A Spec says what device Prepare and Create shall make. The zero Spec is an
// empty device without a parent.
type Spec struct {
	Parent string            // name of a present, claimed device to clone; empty: none
	Labels map[string]string // for the owner's use; kept by the backing too, where it can
	Meta   []byte            // the owner's metadata, kept in the record only
}

// A Device is a handle to a usable device: a value, not changed by later operations.
type Device struct {
	ID      DeviceID
	Name    string
	Stamp   Stamp
	Parent  Ref
	Claimed bool
	Labels  map[string]string
	Attrs   Attrs
	Meta    []byte
}

// Ref returns the reference that identifies d.
func (d Device) Ref() Ref { return Ref{d.ID, d.Stamp} }

// State is the state of an id, with containerd's numbers. An id without a record is Free.
type State uint8

const (
	Free   State = 0 // no resource, may be allocated
	Taken  State = 1 // held by a device
	Faulty State = 2 // held by something that could not be settled; see Record.Reason
)

// String returns the state in lower case.
func (s State) String() string {
	switch s {
	case Free:
		return "free"
	case Taken:
		return "taken"
	case Faulty:
		return "faulty"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Phase is how far the device of a taken id has come.
type Phase uint8

const (
	Creating Phase = 1 // intent durable, resource absent, partial or present
	Ready    Phase = 2 // resource present and complete
	Removing Phase = 3 // name released, resource present, partial or absent
)

// String returns the phase in lower case.
func (p Phase) String() string {
	switch p {
	case Creating:
		return "creating"
	case Ready:
		return "present"
	case Removing:
		return "removing"
	}
	return fmt.Sprintf("phase(%d)", uint8(p))
}

// A Record is everything the table knows about one id that is not free.
type Record struct {
	Device
	State    State
	Phase    Phase
	Attempts int       // settling steps that failed; Unknown and ErrBusy are none
	Reason   string    // why the id is faulty, or the last failure of a step
	Since    time.Time // when State and Phase became what they are
	History  []Event   // the latest failures, oldest first, at most 8
}

// An Event is one entry of a record's history.
type Event struct {
	Time time.Time
	Text string
}
