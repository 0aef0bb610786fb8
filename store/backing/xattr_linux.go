package backing

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An xattrCopier copies extended attributes, POSIX ACLs among them. Its buffers are
// as large as the kernel allows a list and a value to be.
type xattrCopier struct{ list, value []byte }

// copy gives the entry of to the attributes of the entry of from. Linux has no call
// that takes an open directory and a name here, so the way is through /proc.
func (x *xattrCopier) copy(from, to *os.File, name string) error {
	if x.list == nil {
		const limit = 64 << 10
		x.list, x.value = make([]byte, limit), make([]byte, limit)
	}
	return on(from, "copy attributes", name, func(fromFD int) error {
		return on(to, "copy attributes", name, func(toFD int) error {
			return x.copyPath(procPath(fromFD, name), procPath(toFD, name))
		})
	})
}

func procPath(fd int, name string) string {
	return filepath.Join("/proc/self/fd", strconv.Itoa(fd), name)
}

func (x *xattrCopier) copyPath(from, to string) error {
	n, err := unix.Llistxattr(from, x.list)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return err
	}
	for attr := range strings.SplitSeq(string(x.list[:n]), "\x00") {
		if attr == "" {
			continue
		}
		size, err := unix.Lgetxattr(from, attr, x.value)
		if err == nil {
			err = unix.Lsetxattr(to, attr, x.value[:size], 0)
		}
		if err != nil && !reserved(attr, err) {
			return err
		}
	}
	return nil
}

// reserved reports whether err is the refusal of an attribute that only the
// superuser may set, met by somebody else.
func reserved(attr string, err error) bool {
	refused := errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOTSUP)
	private := strings.HasPrefix(attr, "trusted.") || strings.HasPrefix(attr, "security.")
	return refused && private && os.Geteuid() != 0
}
