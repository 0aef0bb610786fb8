package store

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// explained gives an error of bbolt its errno back. When the file cannot be extended
// bbolt keeps only the text of the error, as "file resize error: truncate <path>:
// <errno>" or "file sync error: sync <path>: <errno>". Without the errno a full disk
// would look like a broken one. A text that is not understood stays as it is.
func explained(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for errno := syscall.Errno(1); errno < 256; errno++ {
		rest, ok := strings.CutSuffix(text, ": "+errno.Error())
		if !ok {
			continue
		}
		if path, ok := strings.CutPrefix(rest, "file resize error: truncate "); ok {
			return fmt.Errorf("file resize error: %w", &fs.PathError{Op: "truncate", Path: path, Err: errno})
		}
		if strings.HasPrefix(rest, "file sync error: ") {
			return fmt.Errorf("%s: %w", rest, errno) // no path error: see classify
		}
		break
	}
	return err
}
