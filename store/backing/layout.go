package backing

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/driftlesskv/driftless/store"
)

// The layout below the root of a Dir. The names are part of the format.
const (
	identityName = "identity" // text of a random uuid
	devicesName  = "devices"  // devices/<id>: whole devices
	stagingName  = "staging"  // staging/<id>-<stamp>: being made
	trashName    = "trash"    // trash/<id>-<stamp>: being removed
	stampName    = "stamp"    // in the directory of a device: whose it is
	dataName     = "data"     // in the directory of a device: its content
)

const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600
)

// idDigits is the number of hexadecimal digits of an id in a name.
const idDigits = 8

// deviceName returns the name of a device in devices/.
func deviceName(id store.DeviceID) string { return fmt.Sprintf("%0*x", idDigits, uint32(id)) }

// parseDeviceName is the inverse of deviceName; it accepts nothing else.
func parseDeviceName(name string) (store.DeviceID, bool) {
	n, err := strconv.ParseUint(name, 16, 32)
	id := store.DeviceID(n)
	return id, err == nil && id != 0 && deviceName(id) == name
}

// workName returns the name of a device in staging/ and trash/. The stamp is in it
// because these hold devices whose stamp file is not written yet or gone already.
func workName(ref store.Ref) string { return deviceName(ref.ID) + "-" + ref.Stamp.String() }

// parseWorkName is the inverse of workName. A name with an id but no proper stamp
// gives a zero stamp, any other an id of 0.
func parseWorkName(name string) store.Ref {
	digits, text, ok := strings.Cut(name, "-")
	id, valid := parseDeviceName(digits)
	if !ok || !valid {
		return store.Ref{}
	}
	ref := store.Ref{ID: id}
	stamp, err := store.ParseStamp(text)
	if ref.Stamp = stamp; err != nil || workName(ref) != name {
		ref.Stamp = store.Stamp{}
	}
	return ref
}

// readRegular returns the content of a regular file of at most limit bytes. Anything
// else, planted under its name, is neither followed nor waited for.
func readRegular(root *os.Root, name string, limit int) ([]byte, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("not a regular file: %w", store.ErrCorrupt)}
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	opened, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(info, opened) {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("replaced meanwhile: %w", store.ErrCorrupt)}
	}
	if opened.Size() > int64(limit) {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("%d bytes: %w", opened.Size(), store.ErrCorrupt)}
	}
	data := make([]byte, opened.Size())
	n, err := f.ReadAt(data, 0)
	if n < len(data) {
		return nil, err
	}
	return data, nil
}
