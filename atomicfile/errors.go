package atomicfile

import "errors"

// The reasons for which a name is refused before anything is changed.
var (
	// ErrInvalid is returned when a name is empty, ".", "..", longer than 255 bytes
	// or contains a slash or a NUL, or when a mode has bits that are no permissions.
	ErrInvalid = errors.New("invalid argument")
	// ErrSymlink is returned when the name is a symbolic link, which is neither
	// followed nor replaced: somebody may have planted it.
	ErrSymlink = errors.New("is a symbolic link")
	// ErrNotRegular is returned when the name is a directory, a FIFO, a socket or a
	// device.
	ErrNotRegular = errors.New("not a regular file")
)

// An Error is the error of an operation on a name. Under errors.Is it is also the
// cause: fs.ErrExist, fs.ErrNotExist, syscall.ENOSPC, ErrSymlink and so on.
type Error struct {
	Op   string // "write", "remove", "rename", "mkdir", "open", "sync" or "close"
	Name string // as it was given; of a rename the new name

	// Committed says that the change is visible although its durability is not
	// known: a power cut may undo it, and no later sync tells whether it can, since
	// the kernel reports a failed write-back once. Doing the operation again settles
	// it. When false, nothing has changed.
	Committed bool

	Err error // the cause, never nil
}

func (e *Error) Error() string {
	text := e.Op + " " + e.Name + ": " + e.Err.Error()
	if e.Committed {
		text += " (done, but perhaps not durable)"
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// wrap makes an *Error of err, or nil of nil.
func wrap(op, name string, committed bool, err error) error {
	if err == nil {
		return nil
	}
	return &Error{op, name, committed, err}
}
