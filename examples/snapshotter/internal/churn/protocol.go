package churn

import "fmt"

// An Op is what a worker does to a snapshot.
type Op string

// The operations of a snapshot.Snapshotter.
const (
	Prepare Op = "prepare"
	Commit  Op = "commit"
	View    Op = "view"
	Remove  Op = "remove"
)

// A Command is a line of JSON from the parent to the child.
type Command struct {
	Seq     int
	Op      Op
	Key     string
	Parent  string `json:",omitempty"`
	Archive string `json:",omitempty"`
}

// String returns the command for people.
func (c Command) String() string { return fmt.Sprintf("%s %s", c.Op, c.Key) }

// An Event is what the child reports.
type Event string

// The events: Ready comes once, then Begin and an answer for each command.
const (
	Ready Event = "ready" // recovery is over
	Begin Event = "begin" // written before anything of the operation is done
	Ack   Event = "ack"   // the operation succeeded: its effect is promised for ever
	Fail  Event = "fail"  // the operation returned an error
)

// A Report is a line of JSON from the child to the parent. It is written with one
// write, and short enough for a pipe to take whole: a child that is killed has
// written a report or has not.
type Report struct {
	Event  Event
	Seq    int    `json:",omitempty"`
	Digest string `json:",omitempty"` // of the snapshot, from prepare and view
	Error  string `json:",omitempty"`
}

// maxError bounds the text of an error, so that the whole line stays below PIPE_BUF.
const maxError = 1000
