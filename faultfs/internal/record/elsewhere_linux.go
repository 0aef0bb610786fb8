//go:build amd64 || arm64

package record

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// A file may be written and synced elsewhere on the same file system and then be
// renamed into the watched directory: programs do that to replace files. So it is
// remembered which files outside were written and synced, in which order. It is not
// exact for what happens at the same time in several threads.

// fate is what is known about the content of a file elsewhere.
type fate uint8

const (
	fateUnknown fate = iota
	fateWritten      // and not synced since
	fateSynced       // and not written since
)

// others are the regular files elsewhere that changed during a recording.
type others struct {
	mu    sync.Mutex
	clock int64
	all   int64 // when everything was synced last
	files map[tree.FileID]*other
}

// other is one such file. The numbers are moments of clock; 0: never.
type other struct {
	written int64 // without a sync
	kept    int64 // by a call that synced what it wrote
	synced  int64
	mapped  bool // so that it can change at any moment
}

// now returns the next moment. The caller holds the lock.
func (o *others) now() int64 {
	o.clock++
	return o.clock
}

// of returns what is kept about a file. The caller holds the lock.
func (o *others) of(id tree.FileID) *other {
	f := o.files[id]
	if f == nil {
		if o.files == nil {
			o.files = map[tree.FileID]*other{}
		}
		f = &other{}
		o.files[id] = f
	}
	return f
}

// changed notes a write, of which sync says what it syncs, or a truncation.
func (o *others) changed(id tree.FileID, sync trace.Durability) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if sync != trace.SyncNone {
		o.of(id).kept = o.now()
		return
	}
	o.of(id).written = o.now()
}

// mapped notes a shared map that can be stored through.
func (o *others) mapped(id tree.FileID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of(id).mapped = true
}

// begin returns the moment when a sync begins.
func (o *others) begin() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now()
}

// synced notes that a sync of a file, which began then, succeeded.
func (o *others) synced(id tree.FileID, began int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.of(id)
	f.synced = max(f.synced, began)
}

// allSynced notes that a sync of everything, which began then, succeeded.
func (o *others) allSynced(began int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = max(o.all, began)
}

func (o *others) fate(id tree.FileID) fate {
	o.mu.Lock()
	defer o.mu.Unlock()
	var f other
	if known := o.files[id]; known != nil {
		f = *known
	}
	synced := max(f.synced, o.all)
	switch {
	case f.mapped:
		return fateUnknown
	case synced > max(f.written, f.kept):
		return fateSynced
	case f.written > f.kept:
		return fateWritten
	}
	return fateUnknown
}

// changesElsewhere notes that t, if it is a file elsewhere, is about to change, by a
// call that the kernel does.
func (q *request) changesElsewhere(t *target, flags int) {
	if !t.elsewhere(q.rec) {
		return
	}
	status, _ := statusFlags(t.fd) // of O_PATH: none
	q.rec.others.changed(idOf(&t.st), durability(status, flags))
}

// fsyncElsewhere syncs a file that is not watched, to see whether that succeeds.
func (q *request) fsyncElsewhere(t *target, d trace.Durability) reply {
	if !t.elsewhere(q.rec) {
		return goOn
	}
	q.mayBlock()
	began := q.rec.others.begin()
	errno := syncFile(t.fd, d)
	if errno == 0 {
		q.rec.others.synced(idOf(&t.st), began)
	}
	return reply{errno: errno}
}

// syncFile is fsync or fdatasync.
func syncFile(fd int, d trace.Durability) syscall.Errno {
	return errnoOf(retry(func() error {
		if d == trace.SyncData {
			return unix.Fdatasync(fd)
		}
		return unix.Fsync(fd)
	}))
}
