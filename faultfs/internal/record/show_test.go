//go:build linux && (amd64 || arm64)

package record_test

import (
	"fmt"
	"strings"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// show returns op in short, such as "rename 1/a > 1/b =2 over 3".
func show(op *trace.Op) string {
	s := fmt.Sprintf("%s ", op.Kind)
	switch op.Kind {
	case trace.Write:
		s += fmt.Sprintf("%d @%d %s", op.Ino, op.Off, brief(op.Data))
	case trace.Truncate, trace.Fallocate:
		s += fmt.Sprintf("%d to %d", op.Ino, op.Len)
	case trace.Punch, trace.SyncRange, trace.Msync:
		s += fmt.Sprintf("%d @%d+%d", op.Ino, op.Off, op.Len)
	case trace.Create, trace.Mkdir, trace.Mknod:
		s += fmt.Sprintf("%d/%s =%d %o", op.Dir, op.Name, op.Ino, op.Mode&0o7777)
	case trace.Tmpfile:
		s += fmt.Sprintf("=%d %o", op.Ino, op.Mode&0o7777)
	case trace.Symlink:
		s += fmt.Sprintf("%d/%s =%d > %s", op.Dir, op.Name, op.Ino, op.Data)
	case trace.Link, trace.Unlink, trace.Rmdir:
		s += fmt.Sprintf("%d/%s =%d", op.Dir, op.Name, op.Ino)
	case trace.Rename:
		s += fmt.Sprintf("%d/%s > %d/%s =%d", op.Dir, op.Name, op.To, op.New, op.Ino)
		if op.Over != 0 {
			s += fmt.Sprintf(" over %d", op.Over)
		}
		if op.Exchange {
			s += " exchange"
		}
	case trace.Chmod:
		s += fmt.Sprintf("%d %o", op.Ino, op.Mode&0o7777)
	case trace.Setxattr:
		s += fmt.Sprintf("%d %s=%s", op.Ino, op.Attr, op.Data)
	case trace.Removexattr:
		s += fmt.Sprintf("%d %s", op.Ino, op.Attr)
	case trace.Chown, trace.Utimes, trace.Fsync:
		s += fmt.Sprint(op.Ino)
	case trace.Syncfs:
		s = "syncfs"
	}
	switch op.Sync {
	case trace.SyncNone:
	case trace.SyncData:
		s += " data"
	case trace.SyncFull:
		s += " full"
	}
	if op.Err != 0 {
		s += " failed: " + op.Err.Error()
	}
	return s
}

// brief returns data, shortened if it repeats.
func brief(data []byte) string {
	if len(data) > 24 && strings.Count(string(data), string(data[:1])) == len(data) {
		return fmt.Sprintf("%q*%d", data[0], len(data))
	}
	return fmt.Sprintf("%q", data)
}

func showAll(ops []trace.Op) []string {
	all := []string{}
	for i := range ops {
		all = append(all, show(&ops[i]))
	}
	return all
}
