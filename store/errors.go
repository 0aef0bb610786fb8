package store

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The sentinels. Every error of this package is one of them under errors.Is, or
// the error of a context, a backing or the operating system that caused it.
var (
	// ErrNotFound is returned when a key, a device or a parent does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists is returned when a name is held by a device of another spec, or an
	// id by a resource that is not ours.
	ErrExists = errors.New("already exists")
	// ErrLocked is returned by Open when another opener holds the store; see LockedError.
	ErrLocked = errors.New("locked")
	// ErrClosed is returned by every use of a store after Close.
	ErrClosed = errors.New("closed")
	// ErrReadOnly is returned when a store or transaction that is read-only is asked to write.
	ErrReadOnly = errors.New("read-only")
	// ErrCorrupt is returned when stored bytes are not what was written; see CorruptError.
	ErrCorrupt = errors.New("corrupt")
	// ErrFailed is returned by every mutation after a commit failed: reads go on
	// serving the last durable state, and reopening decides what became of the rest.
	ErrFailed = errors.New("store failed, reopen it")
	// ErrNoSpace is returned when the medium is full. Nothing of the operation is
	// visible. Unless ErrFailed comes with it, the operation may be tried again
	// once there is space.
	ErrNoSpace = errors.New("no space left")
	// ErrVersion is returned by Open when the format is newer than this package.
	ErrVersion = errors.New("unknown format version")
	// ErrIdentity is returned when a backing is not the one its table was made with.
	ErrIdentity = errors.New("identity mismatch")
	// ErrInvalid is returned when an argument is out of its documented range.
	ErrInvalid = errors.New("invalid argument")
	// ErrBusy is returned when a resource cannot be removed yet.
	ErrBusy = errors.New("busy")
	// ErrInUse is returned when a device that has children would be unclaimed or removed.
	ErrInUse = errors.New("in use")
	// ErrExhausted is returned when no id is free.
	ErrExhausted = errors.New("ids exhausted")
	// ErrStale is returned when a handle's stamp is not the record's: the device it
	// stood for is gone, and its id or name may serve another one.
	ErrStale = errors.New("stale handle")
	// ErrPending is returned when an earlier operation on a name is not settled,
	// because the backing cannot tell what became of it.
	ErrPending = errors.New("pending")
)

// A LockedError says who holds the store. It is ErrLocked under errors.Is.
type LockedError struct {
	Path string // of the lock file
	PID  int    // of the holder; 0 when the kernel does not tell
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return "lock " + e.Path + ": held by another process"
	}
	return "lock " + e.Path + ": held by process " + strconv.Itoa(e.PID)
}

// Is makes a LockedError match ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// A CorruptError says which stored bytes are damaged. It is ErrCorrupt under errors.Is.
type CorruptError struct {
	Bucket string // where; empty for the database file itself
	Key    []byte
	Reason string
}

func (e *CorruptError) Error() string {
	if e.Bucket == "" {
		return "corrupt database: " + e.Reason
	}
	return fmt.Sprintf("corrupt value in bucket %q, key %q: %s", e.Bucket, e.Key, e.Reason)
}

// Is makes a CorruptError match ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// An OpError is the error of an operation on a device: what was done to which
// device, how far it had come, and why it failed.
type OpError struct {
	Op    string // "prepare", "create", "claim", "unclaim", "remove", "settle", ...
	Name  string // empty when the device has none
	ID    DeviceID
	Phase Phase // of the record after the error; 0: there is none
	Err   error
}

func (e *OpError) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Name != "" {
		b.WriteString(" " + strconv.Quote(e.Name))
	}
	if e.ID != 0 {
		b.WriteString(" (id " + e.ID.String())
		if e.Phase != 0 {
			b.WriteString(", " + e.Phase.String())
		}
		b.WriteString(")")
	}
	return b.String() + ": " + e.Err.Error()
}

func (e *OpError) Unwrap() error { return e.Err }
