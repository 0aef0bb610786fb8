package explore_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"pgregory.net/rapid"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// random writes a trace of everything that a program can do, with operations that
// overlap and marks in between.
type random struct {
	*script
	t    *rapid.T
	live *tree.Tree // what the program sees
	late []int      // operations that have not ended
}

func randomScript(t *rapid.T, most int) *random {
	r := &random{script: newScript(), t: t}
	f := r.base("f", units(600, "ab"))
	r.Base.Enter(r.baseDir("d"), "hard", f)
	r.live = r.Base.Clone()
	for range rapid.IntRange(1, most).Draw(t, "ops") {
		r.step()
	}
	for _, i := range r.late {
		r.script.late(i)
	}
	return r
}

func (r *random) int(low, high int, label string) int {
	return rapid.IntRange(low, high).Draw(r.t, label)
}

// step adds an operation or a mark.
func (r *random) step() {
	if r.int(0, 4, "mark") == 0 {
		r.mark(r.int(0, 1, "ack") == 0, "op")
		return
	}
	before := len(r.Ops)
	r.operation()
	if len(r.Ops) == before {
		return
	}
	i := len(r.Ops) - 1
	apply(r.live, r.Ops[i])
	switch r.int(0, 9, "overlap") {
	case 0:
		r.late = append(r.late, i)
	case 1:
		if len(r.late) > 0 {
			r.script.late(r.late[0])
			r.late = r.late[1:]
		}
	}
}

func (r *random) operation() {
	dir, name := r.place()
	f := r.someFile()
	switch r.int(0, 15, "kind") {
	case 0, 1, 2:
		if f != 0 {
			r.write(f, int64(r.int(0, 3000, "off")), strings.Repeat(string(rune('c'+len(r.Ops)%20)), r.int(1, 1500, "len")))
		}
	case 3:
		if f != 0 {
			r.truncate(f, int64(r.int(0, 3000, "size")))
		}
	case 4:
		if f != 0 {
			r.do(trace.Op{Kind: trace.Punch, Ino: f, Off: int64(r.int(0, 1000, "off")), Len: int64(r.int(1, 1000, "len"))})
		}
	case 5:
		if f != 0 {
			i := r.write(f, int64(r.int(0, 2000, "off")), "sync")
			r.Ops[i].Sync = trace.Durability(r.int(1, 2, "durability"))
		}
	case 6:
		if r.live.Lookup(dir, name) == 0 {
			r.create(dir, name)
		}
	case 7:
		if r.live.Lookup(dir, name) == 0 {
			r.mkdir(dir, name)
		}
	case 8:
		r.moved(dir, name)
	case 9:
		if ino := r.live.Lookup(dir, name); ino != 0 && !r.isDir(ino) {
			r.unlink(ino, dir, name)
		}
	case 10:
		if f != 0 && r.live.Lookup(dir, name) == 0 {
			r.link(f, dir, name)
		}
	case 11:
		if f != 0 {
			r.chmod(f, uint32(r.int(0o600, 0o777, "mode")))
		}
	case 12, 13:
		r.synced(f, dir)
	case 14:
		if f != 0 {
			r.do(trace.Op{Kind: trace.Setxattr, Ino: f, Attr: "user.a", Data: fmt.Append(nil, len(r.Ops))})
		}
	case 15:
		if f != 0 && r.int(0, 1, "fail") == 0 {
			r.failedFsync(f, syscall.EIO)
		}
	}
}

// synced adds a sync of one kind or another.
func (r *random) synced(f, dir tree.Ino) {
	switch r.int(0, 3, "sync") {
	case 0:
		if f != 0 {
			r.fsync(f)
		}
	case 1:
		if f != 0 {
			r.fdatasync(f)
		}
	case 2:
		r.fsync(dir)
	case 3:
		if r.int(0, 3, "really") == 0 {
			r.syncfs()
		}
	}
}

// moved adds a rename, as the kernel would allow it.
func (r *random) moved(dir tree.Ino, name string) {
	to, as := r.place()
	ino, over := r.live.Lookup(dir, name), r.live.Lookup(to, as)
	if ino == 0 || ino == over || r.above(ino, to) {
		return
	}
	exchange := over != 0 && r.int(0, 2, "exchange") == 0 && !r.above(over, dir)
	if !exchange && over != 0 && (r.isDir(ino) || r.isDir(over)) {
		return
	}
	i := r.rename(ino, dir, name, to, as, over)
	r.Ops[i].Exchange = exchange
}

// above tells whether dir is ino or below it.
func (r *random) above(ino, dir tree.Ino) bool {
	if ino == dir {
		return true
	}
	found := false
	r.live.Names(ino, func(_ string, child tree.Ino) bool {
		found = found || r.isDir(child) && r.above(child, dir)
		return true
	})
	return found
}

func (r *random) isDir(ino tree.Ino) bool {
	n, _ := r.live.Stat(ino)
	return n.Mode&tree.ModeType == tree.ModeDir
}

// place returns a directory and a name that may or may not be in it.
func (r *random) place() (tree.Ino, string) {
	dirs := r.inodes(true)
	return rapid.SampledFrom(dirs).Draw(r.t, "dir"), rapid.SampledFrom([]string{"d", "f", "x"}).Draw(r.t, "name")
}

// someFile returns a file that has a name, or 0.
func (r *random) someFile() tree.Ino {
	files := r.inodes(false)
	if len(files) == 0 {
		return 0
	}
	return rapid.SampledFrom(files).Draw(r.t, "file")
}

func (r *random) inodes(dirs bool) []tree.Ino {
	var found []tree.Ino
	r.live.Walk(func(e tree.Entry) bool {
		if r.isDir(e.Ino) == dirs && !slices.Contains(found, e.Ino) {
			found = append(found, e.Ino)
		}
		return true
	})
	return found
}

// apply does op to t, as a file system without crashes does.
func apply(t *tree.Tree, op trace.Op) {
	if op.Err != 0 {
		return
	}
	switch op.Kind {
	case trace.Write:
		t.WriteAt(op.Ino, op.Off, op.Data)
	case trace.Truncate:
		t.Resize(op.Ino, op.Len)
	case trace.Punch:
		t.Punch(op.Ino, op.Off, op.Len)
	case trace.Create:
		t.Make(op.Ino, tree.Inode{Mode: tree.ModeRegular | op.Mode})
		t.Enter(op.Dir, op.Name, op.Ino)
	case trace.Mkdir:
		t.Make(op.Ino, tree.Inode{Mode: tree.ModeDir | op.Mode})
		t.Enter(op.Dir, op.Name, op.Ino)
	case trace.Link:
		t.Enter(op.Dir, op.Name, op.Ino)
	case trace.Unlink:
		t.Remove(op.Dir, op.Name)
	case trace.Rename:
		t.Remove(op.Dir, op.Name)
		if op.Exchange {
			t.Enter(op.Dir, op.Name, op.Over)
		}
		t.Enter(op.To, op.New, op.Ino)
	case trace.Chmod:
		t.Chmod(op.Ino, op.Mode)
	case trace.Setxattr:
		t.SetXattr(op.Ino, op.Attr, op.Data)
	case trace.Fallocate, trace.Tmpfile, trace.Symlink, trace.Mknod, trace.Rmdir, trace.Chown, trace.Utimes, trace.Removexattr,
		trace.Fsync, trace.SyncRange, trace.Msync, trace.Syncfs: // syncs change nothing, and the others are not made here
	}
}
