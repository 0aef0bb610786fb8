package atomicfile

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
)

// TempPrefix starts the names of temporary files. They are short, so that the
// target's own name may have all of the 255 bytes that file systems allow.
const TempPrefix = ".atomicfile-"

const (
	maxName     = 255
	defaultMode = fs.FileMode(0o600)
	modeBits    = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
)

// Options say how a file is written. The zero value makes or replaces a file that
// only its owner can read.
type Options struct {
	// Mode is the mode of the new file, set exactly, whatever the umask; 0 means
	// 0600. The set-user-id, set-group-id and sticky bits are allowed. The mode,
	// owner and extended attributes of a replaced file are not carried over.
	Mode fs.FileMode

	// Exclusive makes the file only if nothing has its name, else the error is
	// fs.ErrExist. Of several racing writers exactly one succeeds.
	Exclusive bool
}

// mode returns the mode to set.
func (o Options) mode() (fs.FileMode, error) {
	if o.Mode&^modeBits != 0 {
		return 0, ErrInvalid
	}
	if o.Mode == 0 {
		return defaultMode, nil
	}
	return o.Mode, nil
}

// WriteFile makes data the content of the file called name, durably on nil. On an
// error, which is an *Error, the old file is untouched unless Error.Committed is
// set. The directory must exist. Symbolic links are followed in the path of the
// directory, not in the last element.
//
// Who writes several files of one directory saves system calls with OpenDir.
func WriteFile(name string, data []byte, opts Options) (err error) {
	path, base := filepath.Split(name)
	if err := checkName(base); err != nil {
		return wrap("write", name, false, err)
	}
	if path == "" {
		path = "."
	}
	d, err := OpenDir(path)
	if err != nil {
		return wrap("write", name, false, cause(err))
	}
	// Close changes nothing any more: the data and the name are synced.
	defer func() { _ = d.Close() }()
	committed, err := d.write(base, data, opts)
	return wrap("write", name, committed, err)
}

// checkName accepts the names that one directory entry can have.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > maxName || strings.ContainsAny(name, "/\x00") {
		return ErrInvalid
	}
	return nil
}

// cause strips err of the *Error around it, whose place another one takes.
func cause(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
