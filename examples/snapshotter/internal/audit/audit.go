// Package audit finds out what a snapshotter lost and what it forgot. It trusts
// nobody: it compares the acknowledgements that the parent process wrote down, the
// directories as the operating system shows them, and the records in the reopened
// databases. It asks neither store.Check nor a recovery.Report.
package audit

import (
	"fmt"
	"maps"
	"slices"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

// A State is what one snapshot has been acknowledged to be.
type State struct {
	Kind   snapshot.Kind
	Parent string
	Layers []string // its archives, the lowest first
}

// An Expectation is the state of a snapshot before and after the operation that was
// in flight on it; either may be found, but nothing in between. The two are equal
// when there was none.
type Expectation struct{ Before, After State }

// A Picture is what was found: three accounts of the same snapshots.
type Picture struct {
	Records map[string]snapshot.Record // the owner's, by key
	Devices []Device                   // the table's, every id that is not free
	Volumes []Volume                   // the operating system's
}

// A Device is an id that is not free, in the table.
type Device struct {
	ID     uint32
	Name   string
	Stamp  string // empty where the protocol has none
	Usable bool   // by the owner of the name
	State  string // for people
}

// A Volume is an entry of the directory of directories.
type Volume struct {
	ID    uint32 // 0: it is none's
	Name  string
	Stamp string
	Tree  tree.Tree
	Owner string // the key for which the content was made, as the content itself says
}

// A Kind is a way in which records and directories differ.
type Kind string

const (
	Lost       Kind = "lost"        // acknowledged, but absent or with other content
	Leaked     Kind = "leaked"      // an id that is taken for nobody
	Orphan     Kind = "orphan"      // a directory without a record
	WrongOwner Kind = "wrong owner" // a name whose device holds what belongs to another
)

// A Finding is one difference.
type Finding struct {
	Kind    Kind
	Subject string // a key, an id, or the name of a directory
	Detail  string
}

// String returns the finding in one line.
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Kind, f.Subject, f.Detail) }

// Compare returns everything in which what was found differs from what was
// acknowledged, in a fixed order.
func Compare(found Picture, want map[string]Expectation, oracle *Oracle) ([]Finding, error) {
	c := comparison{
		found: found, want: want, oracle: oracle,
		volumes: map[uint32]Volume{}, holders: map[string]Device{}, taken: map[uint32]bool{},
	}
	for _, v := range found.Volumes {
		if v.ID != 0 {
			c.volumes[v.ID] = v
		}
	}
	for _, d := range found.Devices {
		c.taken[d.ID] = true
		if other, ok := c.holders[d.Name]; !ok || !other.Usable {
			c.holders[d.Name] = d
		}
	}
	keys := maps.Clone(want)
	for key := range found.Records {
		keys[key] = want[key]
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if err := c.key(key); err != nil {
			return nil, err
		}
	}
	c.devices()
	c.orphans()
	return c.findings, nil
}

type comparison struct {
	found    Picture
	want     map[string]Expectation
	oracle   *Oracle
	volumes  map[uint32]Volume
	holders  map[string]Device // the device that has the name
	taken    map[uint32]bool
	findings []Finding
}

func (c *comparison) report(kind Kind, subject, format string, args ...any) {
	c.findings = append(c.findings, Finding{kind, subject, fmt.Sprintf(format, args...)})
}

// key compares what is known of one snapshot with what was acknowledged.
func (c *comparison) key(key string) error {
	want, record := c.want[key], c.found.Records[key]
	var state State
	switch {
	case record.Kind == want.After.Kind:
		state = want.After
	case record.Kind == want.Before.Kind:
		state = want.Before
	default:
		c.report(Lost, key, "acknowledged as %q, found %q", want.Before.Kind, record.Kind)
		return nil
	}
	if state.Kind == snapshot.Absent {
		return nil
	}
	return c.content(key, record, state)
}

func (c *comparison) content(key string, record snapshot.Record, state State) error {
	device, ok := c.holders[key]
	if !ok {
		c.report(Lost, key, "no device")
		return nil
	}
	if !device.Usable {
		c.report(Lost, key, "device %d is %s", device.ID, device.State)
		return nil
	}
	volume, ok := c.volumes[device.ID]
	if !ok {
		c.report(Lost, key, "directory of device %d is gone", device.ID)
		return nil
	}
	expected, err := c.oracle.Expect(key, state.Layers)
	if err != nil {
		return err
	}
	difference := volume.Tree.Difference(expected)
	switch {
	case volume.Stamp != device.Stamp:
		c.report(WrongOwner, key, "device %d has stamp %s, its directory %s", device.ID, device.Stamp, volume.Stamp)
	case volume.Owner != key && volume.Owner != "":
		c.report(WrongOwner, key, "device %d holds the content of %s", device.ID, volume.Owner)
	case difference != "":
		c.report(Lost, key, "content: %s", difference)
	case record.Digest != expected.Digest() || record.Parent != state.Parent:
		c.report(Lost, key, "record says parent %q, digest %s", record.Parent, record.Digest)
	}
	return nil
}

// devices finds the ids that no snapshot explains. One that has a snapshot but is
// not usable was found by content.
func (c *comparison) devices() {
	for _, d := range c.found.Devices {
		_, owned := c.found.Records[d.Name]
		if !owned || c.holders[d.Name].ID != d.ID {
			c.report(Leaked, fmt.Sprintf("id %d", d.ID), "%s, name %q", d.State, d.Name)
		}
	}
}

func (c *comparison) orphans() {
	for _, v := range c.found.Volumes {
		if v.ID == 0 || !c.taken[v.ID] {
			c.report(Orphan, v.Name, "%d entries, made for %q", len(v.Tree), v.Owner)
		}
	}
}
