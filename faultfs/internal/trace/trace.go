// Package trace holds what a program did to the files below one directory: every
// operation that changes them, in the order in which it happened, and the marks
// that the program set in between. Recorders write it, the explorer reads it.
package trace

import (
	"syscall"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// Trace is the record of one run.
type Trace struct {
	Base    *tree.Tree  // what was there, and durable, when the recording began
	Ops     []Op        // in the order of their Start
	Marks   []Mark      // in the order of their At
	Blind   []BlindSpot // what the recorder could not see
	Sites   []Site      // the call stacks that Op.Site and Mark.Site index; Sites[0] is empty
	Backend string      // which recorder made it
	Dir     string      // the directory that was watched
}

// Op is one file operation. Which fields mean something depends on its Kind.
//
// Start and End place it among the other operations and marks: they are distinct,
// increasing numbers from one counter for the whole trace. The operation took
// effect at some moment between the two. Operations of different threads can
// overlap.
type Op struct {
	Kind       Kind
	Start, End int64

	Ino  tree.Ino // the inode that the operation is about
	Over tree.Ino // the inode that a rename replaced or exchanged; 0 if none
	Dir  tree.Ino // the directory that holds the name
	Name string
	To   tree.Ino // of a rename, the directory of the new name; Dir and Name are the old one
	New  string   // of a rename, the new name

	Off  int64  // of a write, a hole, a range sync
	Len  int64  // of a write (also len(Data)), a hole, a range sync; the new size of a truncate
	Data []byte // what a write wrote; the target of a symlink; the value of an xattr
	Attr string // the name of an xattr
	Mode uint32 // type and permission bits of what create, mkdir, symlink, tmpfile made; the new bits of a chmod
	UID  uint32
	GID  uint32
	Rdev uint64 // the device that mknod made

	Exchange bool          // of a rename: the two names swap
	Sync     Durability    // what the operation makes durable before it returns
	Err      syscall.Errno // 0, or why it had no effect (for a sync: why it promises nothing)
	Injected bool          // Err, or a short count, was the recorder's doing

	PID  int // of the process
	Site int // index in Trace.Sites
}

// Durability says what an operation promises to have made durable when it returns.
type Durability uint8

const (
	SyncNone Durability = iota // nothing
	SyncData                   // the data, and what is needed to read it back, as fdatasync does
	SyncFull                   // all of the inode, as fsync does
)

// Mark is a word from the program itself.
type Mark struct {
	At   int64 // its place among the operations
	Ack  bool  // else a begin
	Op   string
	Args []byte // JSON array
	Site int
}

// BlindSpot is something that happened to the files and is not in the trace.
type BlindSpot struct {
	What string // such as "writable shared map"
	Path string // from the watched directory, if it is about one file
	Site int
}

// Site is a call stack, innermost frame first; without Go frames it names the
// process.
type Site struct {
	Frames  []Frame
	Process string
}

// Frame is one call.
type Frame struct {
	Func string // with its import path
	File string
	Line int
}
