package recovery_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/driftlesskv/driftless/store"
)

// A status is what the model knows about one device: what its record says, without
// the details.
type status uint8

const (
	gone0 status = iota // no record has its stamp
	creating
	creatingClaimed
	ready
	readyClaimed
	removing
	faulty
	faultyClaimed
)

func (s status) String() string {
	return []string{
		"gone", "creating", "creating claimed", "ready", "ready claimed", "removing", "faulty", "faulty claimed",
	}[s]
}

// claimed tells whether the device of a record of this status is claimed.
func (s status) claimed() bool {
	return s == creatingClaimed || s == readyClaimed || s == faultyClaimed
}

// named tells whether the device holds its name.
func (s status) named() bool { return s >= creating && s <= readyClaimed }

// usable tells whether the device is listed.
func (s status) usable() bool { return s == ready || s == readyClaimed }

func (s status) unsettled() bool { return s == creating || s == creatingClaimed || s == removing }

// claimAs returns s, or its claimed counterpart.
func (s status) claimAs(claimed bool) status {
	if claimed {
		return s + 1
	}
	return s
}

func statusOf(rec store.Record) status {
	switch {
	case rec.State == store.Faulty:
		return faulty.claimAs(rec.Claimed)
	case rec.Phase == store.Creating:
		return creating.claimAs(rec.Claimed)
	case rec.Phase == store.Ready:
		return ready.claimAs(rec.Claimed)
	}
	return removing
}

// A set is a set of statuses: the allowed ones.
type set uint8

func of(all ...status) (s set) {
	for _, one := range all {
		s |= 1 << one
	}
	return s
}

func (s set) has(one status) bool { return s&of(one) != 0 }

func (s set) all() (all []status) {
	for one := gone0; one <= faultyClaimed; one++ {
		if s.has(one) {
			all = append(all, one)
		}
	}
	return all
}

func (s set) String() string {
	var names []string
	for _, one := range s.all() {
		names = append(names, one.String())
	}
	return "{" + strings.Join(names, ", ") + "}"
}

// each returns the union of f over s.
func (s set) each(f func(status) set) (union set) {
	for _, one := range s.all() {
		union |= f(one)
	}
	return union
}

// A life is one device from its intent on: the handle, what its record may say now,
// and what the record may say in the file, which lags behind by what is lazy.
type life struct {
	dev       store.Device
	now, file set
	seen      status // at the latest check
	touched   bool   // since then

	content  []byte // what its owner wrote; nil: nothing
	adopted  int    // when it was found, if it was not acknowledged; in operations
	marked   bool   // somebody tried to mark it faulty
	tampered bool   // its resource was taken away behind our back
}

func (l *life) String() string {
	return fmt.Sprintf("%q id %d stamp %v", l.dev.Name, l.dev.ID, l.dev.Stamp)
}

// become records an operation that was acknowledged: the statuses that are possible
// now, and those that the file may have.
func (l *life) become(now, file set) {
	l.now, l.file, l.touched = now, file, true
}

// settle records that a settling has made of l what is in after, if anything: the
// record of that is lazy.
func (l *life) settle(after set) {
	if after != of(l.seen) {
		l.become(after, l.file|after)
	}
}

// widen records an operation of unknown outcome.
func (l *life) widen(s set) {
	l.now, l.file, l.touched = l.now|s, l.file|s, true
}

// An attempt is an operation that may have left a device that nobody has a handle
// of: it returned an error, or a crash cut it off.
type attempt struct {
	name    string
	labels  map[string]string
	claimed bool
	allowed set
	fresh   bool // made in the step that is being checked
}

// matches tells whether rec may be what the attempt left.
func (a *attempt) matches(rec store.Record) bool {
	return rec.Name == a.name && maps.Equal(rec.Labels, a.labels)
}

// settled returns what settling may make of a status. res is what is truly under
// the id; healthy that nothing was made to fail; forward that a whole resource of
// an intent to create is kept.
func (l *life) settled(s status, res store.Resource, healthy, forward bool) set {
	own := res.Stamp == l.dev.Stamp || res.Presence == store.Partial && res.Stamp.IsZero()
	var after, stuck set
	switch {
	case !s.unsettled():
		return of(s)
	case res.Presence == store.Absent:
		after, stuck = of(gone0), of(s)
	case !own:
		after, stuck = of(faulty), of(s)
	case s != removing && res.Presence == store.Present && forward:
		after, stuck = of(ready.claimAs(s.claimed())), of(s)
	default:
		after, stuck = of(gone0), of(s, removing, faulty)
	}
	if healthy {
		return after
	}
	return after | stuck
}

// anySettled is what settling may make of a status when nothing more is known.
func anySettled(s status) set {
	switch s {
	case creating, creatingClaimed:
		return of(s, ready.claimAs(s.claimed()), removing, gone0, faulty)
	case removing:
		return of(removing, gone0, faulty)
	case gone0, ready, readyClaimed, faulty, faultyClaimed:
	}
	return of(s)
}

// removed is what a removal, finished or not, may make of a device.
var removed = of(removing, gone0, faulty)

// model is what the machine believes.
type model struct {
	lives    map[store.Stamp]*life
	attempts []*attempt
	planted  map[store.DeviceID]*plant
	keys     map[string]string   // bucket "own": name -> stamp, written with the claim
	pairs    []pair              // what of that a crash has cut off
	failures map[store.Stamp]int // removals that were made to fail
	opened   []uint64            // the incarnations of the stores that were opened
}

// A plant is a resource that somebody else made.
type plant struct {
	known bool // a comparison of list and table has seen it
	past  bool // it is gone, and so is its record, if not from the file
}

// holders returns the devices that hold name, as far as was seen.
func (m *model) holder(name string) *life {
	for _, l := range m.lives {
		if l.dev.Name == name && l.seen.named() {
			return l
		}
	}
	return nil
}

// children returns the number of devices cloned from l that have a record.
func (m *model) children(l *life) (n int) {
	for _, c := range m.lives {
		if c.dev.Parent == l.dev.Ref() && c.seen != gone0 {
			n++
		}
	}
	return n
}

// sorted returns the lives in the order in which their stamps were given.
func (m *model) sorted() []*life {
	return slices.SortedFunc(maps.Values(m.lives), func(a, b *life) int {
		i := slices.Index(m.opened, a.dev.Stamp.Incarnation)
		j := slices.Index(m.opened, b.dev.Stamp.Incarnation)
		return cmp.Or(cmp.Compare(i, j), cmp.Compare(a.dev.Stamp.Sequence, b.dev.Stamp.Sequence))
	})
}
