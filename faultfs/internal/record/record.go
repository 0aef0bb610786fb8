// Package record runs a program and records every operation that changes the files
// below one directory, as a trace.Trace. It can make the operations fail, too.
//
// The program installs a seccomp filter that turns such system calls into
// notifications to its parent. The parent does not let the kernel go on with a call
// that is about the watched directory: it does the work itself, on the program's
// own open file descriptions, and answers with the result. So it knows what the
// call did, and when it began and ended. All other calls go on in the kernel.
//
// Nothing of this needs privileges. It needs Linux 5.19 on amd64 or arm64; see
// [Supported].
package record

import (
	"errors"
	"syscall"
	"time"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// Backend is the name of this recorder in its traces.
const Backend = "seccomp"

// What a trace can be blind to; the values of trace.BlindSpot.What.
const (
	BlindMap     = "writable shared map"      // stores through it are not seen
	BlindURing   = "io_uring refused"         // the program got ENOSYS and may behave differently
	BlindAIO     = "aio refused"              // likewise, for io_setup and io_submit
	BlindRoot    = "changed root"             // paths of the process mean something else now: a root, a mount
	BlindUnknown = "file of unknown origin"   // it was made by a call that is not recorded
	BlindMoved   = "directory from elsewhere" // it was renamed into the watched directory
	BlindContent = "unreadable file"          // what was copied into it is not known
	BlindProcess = "unreadable process"       // its calls were not seen

	// BlindElsewhere: a file got a name in the watched directory that had not been
	// seen to be written or synced; it counts as synced.
	BlindElsewhere = "file from elsewhere: whether it was synced is not known"

	// BlindCredentials: a process runs as another user or group than the recorder.
	BlindCredentials = "other credentials: operations are done with those of the recorder"
)

// Options are what the program is recorded with. The zero value records only.
type Options struct {
	// Inject is called before each operation on a watched file and says what goes
	// wrong with it. op is filled but for End and Err, and the Mode of what it
	// makes; it must not be kept. Calls are serialised. Nil: no faults.
	Inject func(op *trace.Op) Fault

	// MarkLines takes the lines "faultfs: begin NAME ARGS..." and "faultfs: ack
	// NAME ARGS..." that the program writes to its standard output or error as
	// marks. Their arguments, split at spaces, become a JSON array of strings. A line
	// counts when it is written to what was the standard output or error of the
	// process that joined, by any process: in a pipeline, where it arrives.
	MarkLines bool
}

// Fault is what goes wrong with one operation. The zero value is nothing.
type Fault struct {
	Err   syscall.Errno // the result, without an effect
	Short int64         // if > 0, a write writes at most so many bytes
	Delay time.Duration // how much longer it takes
	Hang  bool          // it never returns
}

// ErrUnsupported is returned when this machine cannot record.
var ErrUnsupported = errors.New("recording is not supported here")

// ErrNotRecorded is returned by Begin, End and Mark in a process that has not
// joined a recorder.
var ErrNotRecorded = errors.New("not run by a recorder")

// UnsupportedError says what the machine lacks. It is an [ErrUnsupported].
type UnsupportedError struct {
	Need string // such as "Linux 5.19"
	Err  error  // how that showed; may be nil
}

func (e *UnsupportedError) Error() string {
	s := ErrUnsupported.Error() + ": it takes " + e.Need
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Is makes errors.Is(err, ErrUnsupported) true.
func (e *UnsupportedError) Is(target error) bool { return target == ErrUnsupported }

func (e *UnsupportedError) Unwrap() error { return e.Err }
