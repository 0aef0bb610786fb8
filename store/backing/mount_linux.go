package backing

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountIn returns a mount point at or below the directory called name, or "". It
// knows the mounts of this process's mount namespace.
func mountIn(dir *os.File, name string) (string, error) {
	f, err := openAt(dir, name, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // a mere reference
	var path string
	err = on(f, "readlink", "", func(fd int) (err error) {
		// Where it is now, whatever path it was opened by.
		path, err = os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		return err
	})
	if err != nil {
		return "", err
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	mounted, err := findMount(mounts, path)
	return mounted, errors.Join(err, mounts.Close())
}

// findMount returns the first mount point in a mountinfo listing (proc(5)) that is
// dir or below it, or "".
func findMount(mountinfo io.Reader, dir string) (string, error) {
	const pointField = 4
	lines := bufio.NewReader(mountinfo) // a line can be longer than a Scanner takes
	for {
		line, err := lines.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read mountinfo: %w", err)
		}
		if line == "" {
			return "", nil
		}
		fields := strings.Split(line, " ") // the only separator; other spaces stand for themselves
		if len(fields) <= pointField {
			return "", fmt.Errorf("read mountinfo: line %.100q has %d fields", line, len(fields))
		}
		point := unescape(fields[pointField])
		if point == dir || strings.HasPrefix(point, strings.TrimSuffix(dir, "/")+"/") {
			return point, nil
		}
	}
}

// unescape undoes the octal escapes (\040 for a space) of mountinfo.
func unescape(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		if text[0] == '\\' && len(text) >= 4 {
			if n, err := strconv.ParseUint(text[1:4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				text = text[4:]
				continue
			}
		}
		b.WriteByte(text[0])
		text = text[1:]
	}
	return b.String()
}
