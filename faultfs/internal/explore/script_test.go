package explore_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs/internal/explore"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

const root = tree.Root

// script writes a trace, one operation after the other.
type script struct {
	trace.Trace
	now  int64
	last tree.Ino
}

func newScript() *script {
	return &script{Trace: trace.Trace{Base: tree.New(0o755)}, last: root}
}

// base makes a file that is there before the trace begins.
func (s *script) base(name, contents string) tree.Ino {
	s.last++
	s.Base.Make(s.last, tree.Inode{Mode: tree.ModeRegular | 0o644})
	s.Base.Enter(root, name, s.last)
	s.Base.WriteAt(s.last, 0, []byte(contents))
	return s.last
}

// baseDir makes a directory that is there before the trace begins.
func (s *script) baseDir(name string) tree.Ino {
	s.last++
	s.Base.Make(s.last, tree.Inode{Mode: tree.ModeDir | 0o755})
	s.Base.Enter(root, name, s.last)
	return s.last
}

// do adds an operation and returns its index.
func (s *script) do(op trace.Op) int {
	op.Start = s.tick()
	op.End = s.tick()
	s.Ops = append(s.Ops, op)
	return len(s.Ops) - 1
}

func (s *script) tick() int64 {
	s.now++
	return s.now
}

// late makes operation i end now.
func (s *script) late(i int) { s.Ops[i].End = s.tick() }

func (s *script) make(kind trace.Kind, dir tree.Ino, name string, mode uint32) tree.Ino {
	s.last++
	s.do(trace.Op{Kind: kind, Dir: dir, Name: name, Ino: s.last, Mode: mode})
	return s.last
}

func (s *script) create(dir tree.Ino, name string) tree.Ino {
	return s.make(trace.Create, dir, name, 0o644)
}

func (s *script) mkdir(dir tree.Ino, name string) tree.Ino {
	return s.make(trace.Mkdir, dir, name, 0o755)
}

func (s *script) write(ino tree.Ino, off int64, data string) int {
	return s.do(trace.Op{Kind: trace.Write, Ino: ino, Off: off, Len: int64(len(data)), Data: []byte(data)})
}

func (s *script) writeSync(ino tree.Ino, off int64, data string, d trace.Durability) int {
	i := s.write(ino, off, data)
	s.Ops[i].Sync = d
	return i
}

func (s *script) truncate(ino tree.Ino, size int64) int {
	return s.do(trace.Op{Kind: trace.Truncate, Ino: ino, Len: size})
}

func (s *script) fsync(ino tree.Ino) int {
	return s.do(trace.Op{Kind: trace.Fsync, Ino: ino, Sync: trace.SyncFull})
}

func (s *script) fdatasync(ino tree.Ino) int {
	return s.do(trace.Op{Kind: trace.Fsync, Ino: ino, Sync: trace.SyncData})
}

func (s *script) failedFsync(ino tree.Ino, err syscall.Errno) int {
	return s.do(trace.Op{Kind: trace.Fsync, Ino: ino, Sync: trace.SyncFull, Err: err})
}

func (s *script) syncfs() int { return s.do(trace.Op{Kind: trace.Syncfs, Sync: trace.SyncFull}) }

func (s *script) link(ino, dir tree.Ino, name string) int {
	return s.do(trace.Op{Kind: trace.Link, Ino: ino, Dir: dir, Name: name})
}

func (s *script) unlink(ino, dir tree.Ino, name string) int {
	return s.do(trace.Op{Kind: trace.Unlink, Ino: ino, Dir: dir, Name: name})
}

func (s *script) rename(ino, dir tree.Ino, name string, to tree.Ino, as string, over tree.Ino) int {
	return s.do(trace.Op{Kind: trace.Rename, Ino: ino, Dir: dir, Name: name, To: to, New: as, Over: over})
}

func (s *script) chmod(ino tree.Ino, mode uint32) int {
	return s.do(trace.Op{Kind: trace.Chmod, Ino: ino, Mode: mode})
}

func (s *script) mark(ack bool, op string) {
	args, _ := json.Marshal([]int{len(s.Marks)})
	s.Marks = append(s.Marks, trace.Mark{At: s.tick(), Ack: ack, Op: op, Args: args})
}

// all is more than any point here has.
var all = explore.Options{Subsets: 1 << 30}

func explorer(t require.TestingT, s *script, m model.Model) *explore.Explorer {
	x, err := explore.New(&s.Trace, m)
	require.NoError(t, err)
	return x
}

// at returns the states of one point as text, each once, sorted.
func at(t require.TestingT, x *explore.Explorer, p int) []string {
	var found []string
	count := int64(0)
	require.True(t, x.States(p, all, func(s explore.State) bool {
		count++
		found = append(found, text(s.Tree))
		return true
	}))
	require.Equal(t, x.Points()[p].Legal.Int64(), count, "legal at point %d", p)
	require.False(t, x.Points()[p].AtLeast)
	slices.Sort(found)
	return slices.Compact(found)
}

// atEnd returns the states at the end of the trace.
func atEnd(t require.TestingT, s *script, m model.Model) []string {
	x := explorer(t, s, m)
	return at(t, x, len(x.Points())-1)
}

// text returns the files of a tree as "path=contents", modes only where they are
// unusual, and runs of a byte as "c*n".
func text(tr *tree.Tree) string {
	var parts []string
	tr.Paths(func(e tree.Entry, path string) bool {
		n, _ := tr.Stat(e.Ino)
		part := path
		switch {
		case path == ".":
			return true
		case e.Linked > 0:
			part += fmt.Sprintf("=link %d", e.Linked)
		case n.Mode&tree.ModeType == tree.ModeDir:
			part += "/"
		case n.Mode&tree.ModeType == tree.ModeSymlink:
			part += "->" + n.Target
		default:
			p := make([]byte, tr.Size(e.Ino))
			part += "=" + runs(p[:tr.ReadAt(e.Ino, 0, p)])
		}
		if perm := n.Mode & 0o777; perm != 0o644 && perm != 0o755 {
			part += fmt.Sprintf(":%o", perm)
		}
		if n.UID != 0 {
			part += fmt.Sprintf(":uid %d", n.UID)
		}
		if v, ok := tr.Xattr(e.Ino, "user.a"); ok {
			part += ":user.a " + v
		}
		parts = append(parts, part)
		return true
	})
	return strings.Join(parts, " ")
}

func runs(p []byte) string {
	var b strings.Builder
	for len(p) > 0 {
		n := 1
		for n < len(p) && p[n] == p[0] {
			n++
		}
		c := string(p[:1])
		switch p[0] {
		case 0:
			c = "0"
		case 0xDB:
			c = "~"
		case 0xFF:
			c = "#"
		}
		b.WriteString(c)
		if n > 1 {
			fmt.Fprintf(&b, "%d", n)
		}
		p = p[n:]
	}
	return b.String()
}

// units returns n bytes of each letter.
func units(n int, letters string) string {
	var b strings.Builder
	for _, c := range letters {
		b.WriteString(strings.Repeat(string(c), n))
	}
	return b.String()
}

// ruleTest says which states a script can leave at its end under a model.
type ruleTest struct {
	name   string
	model  model.Model
	script func(s *script)
	want   []string
}

func (r ruleTest) run(t *testing.T) {
	t.Run(r.name, func(t *testing.T) {
		s := newScript()
		r.script(s)
		slices.Sort(r.want)
		require.Equal(t, r.want, atEnd(t, s, r.model))
	})
}
