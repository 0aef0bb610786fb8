//go:build amd64 || arm64

package record

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// Stores through a shared map make no call. All that can be done is to say so.

// mmap serves maps that are shared and of a file.
func (q *request) mmap() reply {
	t, errno := q.byFD(q.fd(4))
	if errno != 0 {
		return goOn
	}
	defer t.shut()
	status, errno := statusFlags(t.fd)
	if errno != 0 {
		return goOn
	}
	if !t.regular() {
		if t.elsewhere(q.rec) && status&unix.O_ACCMODE == unix.O_RDWR {
			q.rec.others.mapped(idOf(&t.st))
		}
		return goOn
	}
	if q.n.args[2]&filter.ProtWrite != 0 {
		q.rec.note(BlindMap, pathOf(t.fd), q.where())
	} else if status&unix.O_ACCMODE == unix.O_RDWR {
		q.rec.mapped()
	}
	return goOn
}

// mprotect serves what makes memory writable, which matters if it is a map that was
// only readable.
func (q *request) mprotect() reply {
	if !q.rec.hasMaps() {
		return goOn
	}
	from, to := q.n.args[0], q.n.args[0]+q.n.args[1]
	for m := range mappings(strconv.Itoa(q.tid())) {
		if m.shared() && m.from < to && m.to > from && q.rec.watches(m) {
			q.rec.note(BlindMap, m.path, q.where())
		}
	}
	return goOn
}

// watches reports whether m is of a watched file. Some file systems have other
// device numbers in maps than elsewhere, so that the path decides, too.
func (r *recording) watches(m mapping) bool {
	if strings.HasPrefix(m.path, r.dir+"/") {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.inodes[tree.FileID{Dev: m.dev, Ino: m.ino}]
	return n != nil && !n.nameless
}

// mappedBefore notes the shared maps that the process made before the recording
// began.
func (q *request) mappedBefore() {
	for m := range mappings(strconv.Itoa(q.tid())) {
		switch {
		case !m.shared() || !q.rec.watches(m):
		case m.writable():
			q.rec.note(BlindMap, m.path, q.where())
		default:
			q.rec.mapped()
		}
	}
}
