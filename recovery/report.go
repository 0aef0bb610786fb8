package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/driftlesskv/driftless/store"
)

// A Finding is what recovery has to say about one device or resource.
type Finding struct {
	Table  string         `json:"table"`
	ID     store.DeviceID `json:"id,omitempty"`
	Name   string         `json:"name,omitempty"`
	Reason string         `json:"reason,omitempty"`
}

// String returns the finding on one line.
func (f Finding) String() string {
	s := f.Table
	if f.ID != 0 {
		s += " id " + f.ID.String()
	}
	if f.Name != "" {
		s += fmt.Sprintf(" %q", f.Name)
	}
	if f.Reason != "" {
		s += ": " + f.Reason
	}
	return s
}

// A Report says what recovery found and did. It is data: print it, or act on it.
type Report struct {
	Completed []Finding `json:"completed,omitempty"` // creations rolled forward
	Undone    []Finding `json:"undone,omitempty"`    // creations taken back
	Removed   []Finding `json:"removed,omitempty"`   // removals finished
	Claimed   []Finding `json:"claimed,omitempty"`   // devices whose owner has them
	Released  []Finding `json:"released,omitempty"`  // faulty ids that are free again

	Unclaimed []Finding `json:"unclaimed,omitempty"` // kept: the owner cannot tell, or there is none
	Disowned  []Finding `json:"disowned,omitempty"`  // kept: claimed, but its owner does not have it
	Pending   []Finding `json:"pending,omitempty"`   // the backing cannot tell, or is busy; Scrub retries
	Faulty    []Finding `json:"faulty,omitempty"`    // ids out of use, with the reason
	Orphans   []Finding `json:"orphans,omitempty"`   // resources that no record names; left alone
	Missing   []Finding `json:"missing,omitempty"`   // devices whose resource is not there
	Unlisted  []Finding `json:"unlisted,omitempty"`  // tables whose backing could not be listed

	Quarantined []string `json:"quarantined,omitempty"` // damaged values that were moved aside
}

// Clean reports whether nothing is left that wants a person's eye.
func (r *Report) Clean() bool {
	return len(r.Unclaimed)+len(r.Disowned)+len(r.Pending)+len(r.Faulty)+len(r.Orphans)+
		len(r.Missing)+len(r.Unlisted)+len(r.Quarantined) == 0
}

// String returns a count of each kind that occurs and a line for each finding.
func (r *Report) String() string {
	var b strings.Builder
	for _, part := range []struct {
		title string
		list  []Finding
	}{
		{"completed", r.Completed},
		{"undone", r.Undone},
		{"removed", r.Removed},
		{"claimed", r.Claimed},
		{"released", r.Released},
		{"unclaimed", r.Unclaimed},
		{"disowned", r.Disowned},
		{"pending", r.Pending},
		{"faulty", r.Faulty},
		{"orphans", r.Orphans},
		{"missing", r.Missing},
		{"unlisted", r.Unlisted},
	} {
		if len(part.list) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s: %d\n", part.title, len(part.list))
		for _, f := range part.list {
			fmt.Fprintf(&b, "  %v\n", f)
		}
	}
	if len(r.Quarantined) > 0 {
		fmt.Fprintf(&b, "quarantined: %d\n  %s\n", len(r.Quarantined), strings.Join(r.Quarantined, "\n  "))
	}
	if b.Len() == 0 {
		return "nothing to recover\n"
	}
	return b.String()
}

// sort puts the findings into a fixed order: they come in from several goroutines.
func (r *Report) sort() {
	for _, list := range [][]Finding{
		r.Completed, r.Undone, r.Removed, r.Claimed, r.Released, r.Unclaimed, r.Disowned,
		r.Pending, r.Faulty, r.Orphans, r.Missing, r.Unlisted,
	} {
		slices.SortFunc(list, func(a, b Finding) int {
			return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name))
		})
	}
}

func finding(table string, rec store.Record, err error) Finding {
	f := Finding{table, rec.ID, rec.Name, ""}
	switch {
	case err != nil:
		f.Reason = err.Error()
	case rec.State == store.Faulty:
		f.Reason = rec.Reason
	}
	return f
}
