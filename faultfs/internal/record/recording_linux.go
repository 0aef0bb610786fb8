//go:build amd64 || arm64

package record

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// recording is what is known between a Begin and its End.
type recording struct {
	dir    string
	dev    uint64 // of the file system that dir is on
	memory bool   // that is a tmpfs
	base   *tree.Tree
	sites  *sites

	// names serialises the operations on names, so that the trace has the order of
	// their effects. It is taken before the mutex of an inode.
	names sync.Mutex

	// busy counts the operations that are being done, as opposed to those that a
	// fault holds up.
	busy sync.WaitGroup

	mu     sync.Mutex // guards what follows; held for moments only
	clock  int64
	ops    []trace.Op
	marks  []trace.Mark
	blind  []trace.BlindSpot
	closed bool
	inodes map[tree.FileID]*inode
	last   tree.Ino
	maps   bool // there is a shared map that mprotect can make writable

	others others // what is known of files elsewhere
}

// inode is one below the watched directory, or one that was there.
type inode struct {
	ino tree.Ino

	// mu serialises what changes the inode, like the kernel's own lock.
	mu sync.Mutex

	// nameless: the last name is gone. Once it is closed, a file outside can get
	// its number. (One inside cannot unseen: all that are made inside are noted.)
	// Only what came without a name, by O_TMPFILE, can get one again.
	nameless bool
}

// newRecording reads what is below dir.
func newRecording(dir string) (*recording, error) {
	base, ids, err := tree.Scan(dir)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := errors.Join(unix.Stat(dir, &st), unix.Statfs(dir, &fs)); err != nil {
		return nil, err
	}
	r := &recording{dir: dir, dev: st.Dev, memory: fs.Type == unix.TMPFS_MAGIC, base: base, sites: newSites(), inodes: make(map[tree.FileID]*inode, len(ids)), last: base.Last()}
	for id, ino := range ids {
		r.inodes[id] = &inode{ino: ino}
	}
	return r, nil
}

func idOf(st *unix.Stat_t) tree.FileID { return tree.FileID{Dev: st.Dev, Ino: st.Ino} }

// lookup returns the watched inode that st is of, or nil.
func (r *recording) lookup(fd int, st *unix.Stat_t) *inode {
	r.mu.Lock()
	n := r.inodes[idOf(st)]
	nameless := n != nil && n.nameless
	r.mu.Unlock()
	if !nameless || st.Nlink == 0 && strings.HasPrefix(pathOf(fd), r.dir+"/") {
		return n
	}
	return nil
}

// at returns the watched inode that st, of something with a name, is of, or nil.
func (r *recording) at(st *unix.Stat_t) *inode {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.inodes[idOf(st)]; n != nil && !n.nameless {
		return n
	}
	return nil
}

// number reserves a number for an inode that is about to be made.
func (r *recording) number() tree.Ino {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	return r.last
}

// bind says which inode of the file system got a number.
func (r *recording) bind(ino tree.Ino, st *unix.Stat_t, nameless bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inodes[idOf(st)] = &inode{ino: ino, nameless: nameless}
}

// setNameless notes whether an inode has lost its last name.
func (r *recording) setNameless(n *inode, nameless bool) {
	if n == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n.nameless = nameless
}

// start puts op into the trace and returns where, or -1 if it is too late.
func (r *recording) start(op *trace.Op) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return -1
	}
	r.clock++
	op.Start = r.clock
	r.ops = append(r.ops, *op)
	return len(r.ops) - 1
}

// enter says that the operation is now done. Every call that returns true is
// followed by one of finish.
func (r *recording) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.busy.Add(1)
	return true
}

// finish puts op, which is over, in the place where start put it. One of kind 0
// turned out to be none.
func (r *recording) finish(at int, op *trace.Op) {
	r.mu.Lock()
	r.clock++
	op.End = r.clock
	r.ops[at] = *op
	r.mu.Unlock()
	r.busy.Done()
}

// add puts an operation into the trace that was done as a part of another one, which
// has not finished: until then close waits.
func (r *recording) add(op trace.Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	op.Start, op.End = r.clock+1, r.clock+2
	r.clock += 2
	r.ops = append(r.ops, op)
}

// during calls f, which may call add, unless it is too late.
func (r *recording) during(f func()) {
	if r.enter() {
		defer r.busy.Done()
		f()
	}
}

// mark puts a mark into the trace.
func (r *recording) mark(m trace.Mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.clock++
	m.At = r.clock
	r.marks = append(r.marks, m)
}

// note notes that something is not seen. path is absolute, or empty.
func (r *recording) note(what, path string, site int) {
	if rel, err := filepath.Rel(r.dir, path); err == nil && path != "" {
		path = rel
	}
	b := trace.BlindSpot{What: what, Path: path, Site: site}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed && !slices.Contains(r.blind, b) {
		r.blind = append(r.blind, b)
	}
}

// mapped notes that there is a shared map of a watched file that mprotect can make
// writable.
func (r *recording) mapped() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.maps = true
}

func (r *recording) hasMaps() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.maps
}

// close ends the recording and waits for what is being done. What is held up is in
// the trace as interrupted: it had no effect, and promises nothing.
func (r *recording) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.busy.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.ops {
		if r.ops[i].End == 0 {
			r.clock++
			r.ops[i].End, r.ops[i].Err = r.clock, syscall.EINTR
		}
	}
}

// trace returns the finished trace.
func (r *recording) trace() *trace.Trace {
	r.ops = slices.DeleteFunc(r.ops, func(op trace.Op) bool { return op.Kind == 0 })
	return &trace.Trace{Base: r.base, Ops: r.ops, Marks: r.marks, Blind: r.blind, Sites: r.sites.symbolise(), Backend: Backend, Dir: r.dir}
}
