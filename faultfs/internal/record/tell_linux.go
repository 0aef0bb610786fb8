//go:build amd64 || arm64

package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// maxTold is how long what the program tells may be.
const maxTold = 1 << 24

// told serves what Begin, End and Mark say.
func (q *request) told() reply {
	if q.n.args[3] > maxTold {
		return fail(unix.E2BIG)
	}
	text, errno := q.bytes(q.n.args[2], q.n.args[3], false)
	if errno != 0 {
		return fail(errno)
	}
	switch q.n.args[1] {
	case tellBegin:
		return q.begin(string(text))
	case tellEnd:
		return q.end()
	case tellMarkBegin, tellMarkAck:
		return q.mark(text, q.n.args[1] == tellMarkAck)
	}
	return fail(unix.EINVAL)
}

func (q *request) begin(dir string) reply {
	q.w.follow()
	q.w.s.finishing.Lock()
	defer q.w.s.finishing.Unlock()
	if q.w.s.rec.Load() != nil {
		return fail(unix.EBUSY)
	}
	rec, err := newRecording(dir)
	if err != nil {
		q.explain(err)
		return fail(errnoOf(err))
	}
	q.rec = rec
	q.mappedBefore()
	q.w.s.rec.Store(rec)
	return reply{}
}

// explain tells the program which path err is about.
func (q *request) explain(err error) {
	var about *fs.PathError
	if errors.As(err, &about) && len(about.Op)+1+len(about.Path) < maxTrouble {
		writeMemory(q.tid(), q.n.args[5], []byte(about.Op+"\x00"+about.Path))
	}
}

// end closes the recording; what is left to do with it is done once the program
// goes on.
func (q *request) end() reply {
	q.w.follow()
	q.w.s.finishing.Lock()
	rec := q.w.s.rec.Swap(nil)
	if rec == nil {
		q.w.s.finishing.Unlock()
		return fail(unix.ENODATA)
	}
	rec.close()
	q.after = func() {
		defer q.w.s.finishing.Unlock()
		q.w.s.deliver(rec)
	}
	if q.w.s.lines.takeHeaped() {
		return fail(unix.EBADMSG)
	}
	return reply{}
}

func (q *request) mark(text []byte, ack bool) reply {
	if q.rec == nil {
		return fail(unix.ENODATA)
	}
	op, args, _ := bytes.Cut(text, []byte{0})
	q.rec.mark(trace.Mark{Ack: ack, Op: string(op), Args: args, Site: q.where()})
	return reply{}
}

// lines are the unfinished lines that processes have written.
type lines struct {
	mu     sync.Mutex
	rest   map[[2]int][]byte // by process and descriptor
	heaped bool              // one write held several marks: End fails with EBADMSG
}

// takeHeaped returns whether one write held several marks, and forgets it.
func (l *lines) takeHeaped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	heaped := l.heaped
	l.heaped = false
	return heaped
}

// maxLine is how long a line that is a mark may be.
const maxLine = 1 << 16

// takeLines looks for marks in what is written to t, if that is the standard output
// or error of the process that joined.
func (q *request) takeLines(t *target, w writing) {
	if !q.w.s.o.MarkLines || !slices.Contains(q.w.s.outputs, idOf(&t.st)) {
		return
	}
	fd := q.fd(0)
	var data []byte
	var errno syscall.Errno
	if data, errno = q.data(w, false); errno != 0 {
		return
	}
	l := &q.w.s.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	key := [2]int{q.t.proc.tgid, fd}
	data = append(l.rest[key], data...)
	for marks := 0; ; {
		line, rest, found := bytes.Cut(data, []byte("\n"))
		if !found {
			break
		}
		if q.takeLine(string(line)) {
			marks++
		}
		l.heaped = l.heaped || marks > 1
		data = rest
	}
	if l.rest == nil {
		l.rest = map[[2]int][]byte{}
	}
	delete(l.rest, key)
	if len(data) > 0 && len(data) < maxLine {
		l.rest[key] = bytes.Clone(data)
	}
}

// takeLine reports whether line is a mark, and takes it.
func (q *request) takeLine(line string) bool {
	rest, found := strings.CutPrefix(line, "faultfs: ")
	if !found {
		return false
	}
	words := strings.Fields(rest)
	if len(words) < 2 || words[0] != "begin" && words[0] != "ack" {
		return false
	}
	args, err := json.Marshal(words[2:])
	if err != nil {
		return false
	}
	q.rec.mark(trace.Mark{Ack: words[0] == "ack", Op: words[1], Args: args, Site: q.where()})
	return true
}
