package store

import (
	"context"
	"fmt"
	"iter"
)

// A Backing is the outside world of one device table: a thin pool, a directory,
// an address range. driftless calls it with no lock of the database held, any
// number of calls at once, but never two at once for the same id.
//
// A Backing is idempotent per (ID, Stamp): a call that is repeated after a crash
// finds what the first one left and completes it. The conformance kit
// store/storetest checks everything this page demands.
//
// Each method returns promptly once ctx is done. It returns only after it has
// stopped touching the outside world.
type Backing interface {
	// Identity names this backing: it differs between two pools, and between a
	// pool and the empty mount point below it. Absence is believed only while the
	// identity is the one the table was made with.
	Identity(ctx context.Context) (string, error)

	// Create makes the resource of dev, a copy of dev.Parent where that is set.
	// On nil its content and its stamp are durable. A resource that bears
	// dev.Stamp already is completed and counts as success. ErrExists is returned
	// when the id is held under another stamp; nothing is then changed. After any
	// other error the resource may be absent, partial or present.
	Create(ctx context.Context, dev Device) (Attrs, error)

	// Remove destroys the resource of dev. On nil its absence is durable; nil is
	// also the answer when it was absent already. ErrBusy is returned when it
	// cannot be removed yet (still mounted, say), ErrStale when the id is held
	// under another stamp: such a resource is left alone.
	Remove(ctx context.Context, dev Device) error

	// Probe tells what is there under id. It answers Unknown, or an error, when
	// it cannot tell; never Absent. The stamp is the resource's own, zero when the
	// resource has none; one that cannot be read makes the answer Unknown.
	Probe(ctx context.Context, id DeviceID) (Presence, Stamp, error)

	// List yields every resource, the half-made and half-removed ones included.
	// An error ends the sequence and means that the listing is incomplete.
	List(ctx context.Context) iter.Seq2[Resource, error]
}

// Attrs is what a backing wants remembered about a device: a path, a size. At most
// 16 KiB; more makes the creation fail with ErrInvalid.
type Attrs map[string]string

// Presence is a backing's answer to "is it there?". The zero value is Unknown.
type Presence uint8

const (
	Unknown Presence = iota // cannot tell now; nothing may be concluded
	Absent                  // certainly not there
	Partial                 // half made or half removed; without a stamp it is whoever's record has the id
	Present                 // wholly there
)

// String returns the presence in lower case.
func (p Presence) String() string {
	switch p {
	case Unknown:
		return "unknown"
	case Absent:
		return "absent"
	case Partial:
		return "partial"
	case Present:
		return "present"
	}
	return fmt.Sprintf("presence(%d)", uint8(p))
}

// A Resource is one thing that a backing holds. Name, Parent and Labels are
// filled as far as the backing stores them.
type Resource struct {
	ID       DeviceID
	Stamp    Stamp
	Presence Presence
	Name     string
	Parent   Ref
	Labels   map[string]string
}
