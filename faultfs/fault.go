package faultfs

import (
	"math"
	"syscall"
	"time"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// Kind is a set of kinds of operations.
type Kind uint32

// The kinds of operations that a [Fault] can hit. Each stands for all system calls
// that do it.
const (
	Write     Kind = 1 << trace.Write                                    // write, pwrite, writev, copy_file_range, sendfile, FICLONE ...
	Truncate  Kind = 1 << trace.Truncate                                 // truncate, ftruncate
	Fallocate Kind = 1<<trace.Fallocate | 1<<trace.Punch                 // fallocate, in all its modes
	Create    Kind = 1<<trace.Create | 1<<trace.Tmpfile | 1<<trace.Mknod // open that makes a file
	Mkdir     Kind = 1 << trace.Mkdir
	Symlink   Kind = 1 << trace.Symlink
	Link      Kind = 1 << trace.Link // also a file that is renamed in from elsewhere
	Unlink    Kind = 1 << trace.Unlink
	Rmdir     Kind = 1 << trace.Rmdir
	Rename    Kind = 1 << trace.Rename
	Chmod     Kind = 1<<trace.Chmod | 1<<trace.Chown // modes and owners
	Utimes    Kind = 1 << trace.Utimes
	Xattr     Kind = 1<<trace.Setxattr | 1<<trace.Removexattr             // extended attributes
	Fsync     Kind = 1<<trace.Fsync | 1<<trace.Msync | 1<<trace.SyncRange // fsync, fdatasync, msync, sync_file_range
	Syncfs    Kind = 1 << trace.Syncfs                                    // syncfs, sync
	Any       Kind = math.MaxUint32                                       // all of them
)

// Fault is something that goes wrong with one operation. It is an [Option] of
// [Sweep].
type Fault struct {
	kinds  Kind
	errno  syscall.Errno
	short  bool
	delay  time.Duration
	hang   bool
	sticky bool
}

// Fail makes an operation fail with errno, without an effect.
func Fail(kinds Kind, errno syscall.Errno) Fault { return Fault{kinds: kinds, errno: errno} }

// ShortWrite makes a write of more than one byte from memory write half of it.
func ShortWrite() Fault { return Fault{kinds: Write, short: true} }

// Slow makes an operation take d longer.
func Slow(kinds Kind, d time.Duration) Fault { return Fault{kinds: kinds, delay: d} }

// Hang makes an operation never return, as a medium that was removed can.
func Hang(kinds Kind) Fault { return Fault{kinds: kinds, hang: true} }

// FromThenOn returns f for the n-th operation and for all that come after it, as a
// disk that is full, gone or read-only from then on. Without it only the n-th
// operation is hit.
func (f Fault) FromThenOn() Fault {
	f.sticky = true
	return f
}

func (f Fault) apply(c *config) { c.faults = append(c.faults, f) }

// hits reports whether f can hit op.
func (f Fault) hits(op *trace.Op) bool {
	return f.kinds&(1<<op.Kind) != 0 && (!f.short || len(op.Data) > 1)
}

// at returns what happens to op.
func (f Fault) at(op *trace.Op) record.Fault {
	out := record.Fault{Err: f.errno, Delay: f.delay, Hang: f.hang}
	if f.short {
		out.Short = int64(len(op.Data) / 2)
	}
	return out
}
