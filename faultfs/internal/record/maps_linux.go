//go:build amd64 || arm64

package record

import (
	"iter"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mapping is a line of /proc/PID/maps.
type mapping struct {
	span
	perms string // such as "rw-s"
	off   uint64
	dev   uint64
	ino   uint64
	path  string
}

// shared reports whether stores through it reach a file.
func (m mapping) shared() bool { return strings.HasSuffix(m.perms, "s") && m.ino != 0 }

// writable reports whether it can be stored through.
func (m mapping) writable() bool { return strings.Contains(m.perms, "w") }

// mappings returns what is mapped in a process, or nothing if that cannot be read.
func mappings(pid string) iter.Seq[mapping] {
	return func(yield func(mapping) bool) {
		maps, err := os.ReadFile("/proc/" + pid + "/maps")
		if err != nil {
			return
		}
		for line := range strings.Lines(string(maps)) {
			if m, ok := parseMapping(line); ok && !yield(m) {
				return
			}
		}
	}
}

// parseMapping reads "from-to perms offset major:minor inode   path".
func parseMapping(line string) (m mapping, ok bool) {
	var fields [5]string
	rest := strings.TrimSuffix(line, "\n")
	for i := range fields {
		if fields[i], rest, ok = strings.Cut(rest, " "); !ok && i < len(fields)-1 {
			return m, false
		}
	}
	from, to, _ := strings.Cut(fields[0], "-")
	major, minor, _ := strings.Cut(fields[3], ":")
	var bad error
	number := func(s string, base int) uint64 {
		n, err := strconv.ParseUint(s, base, 64)
		if err != nil {
			bad = err
		}
		return n
	}
	m.span = span{number(from, 16), number(to, 16)}
	m.perms = fields[1]
	m.off = number(fields[2], 16)
	m.dev = unix.Mkdev(uint32(number(major, 16)), uint32(number(minor, 16)))
	m.ino = number(fields[4], 10)
	m.path = strings.TrimLeft(rest, " ")
	return m, bad == nil
}
