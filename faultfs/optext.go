package faultfs

import (
	"fmt"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// text returns op i of tr as a line of a story, without its place.
func (n names) text(tr *trace.Trace, i int) string {
	op := tr.Ops[i]
	what := n.what(op)
	switch {
	case op.Err != 0:
		what += " (failed: " + errnoName(op.Err) + ")"
	case op.Sync == trace.SyncNone:
	case op.Kind == trace.Write:
		what += ", synchronously"
	case op.Kind == trace.Fsync && op.Sync == trace.SyncData:
		what += " (data only)"
	}
	return what
}

// what returns what op does to which names.
func (n names) what(op trace.Op) string {
	switch op.Kind {
	case trace.Write:
		return fmt.Sprintf("write %s: %d bytes at %d", n.of(op.Ino), op.Len, op.Off)
	case trace.Truncate, trace.Fallocate:
		return fmt.Sprintf("%s %s to %d bytes", op.Kind, n.of(op.Ino), op.Len)
	case trace.Punch, trace.SyncRange, trace.Msync:
		return fmt.Sprintf("%s %s: %d bytes at %d", op.Kind, n.of(op.Ino), op.Len, op.Off)
	case trace.Create, trace.Mkdir, trace.Symlink, trace.Mknod, trace.Unlink, trace.Rmdir:
		return fmt.Sprintf("%s %s", op.Kind, n.in(op.Dir, op.Name))
	case trace.Link:
		return fmt.Sprintf("link %s to %s", n.in(op.Dir, op.Name), n.of(op.Ino))
	case trace.Rename:
		verb := "to"
		if op.Exchange {
			verb = "and"
		}
		return fmt.Sprintf("rename %s %s %s", n.in(op.Dir, op.Name), verb, n.in(op.To, op.New))
	case trace.Setxattr, trace.Removexattr:
		return fmt.Sprintf("%s %s of %s", op.Kind, op.Attr, n.of(op.Ino))
	case trace.Syncfs:
		return "sync of the whole file system"
	case trace.Tmpfile, trace.Chmod, trace.Chown, trace.Utimes, trace.Fsync:
	}
	return fmt.Sprintf("%s %s", op.Kind, n.of(op.Ino))
}
