package explore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// ErrInconsistent is returned when a trace cannot be of anything that happened.
var ErrInconsistent = errors.New("inconsistent trace")

// moment is the start or the end of an operation, or a mark.
type moment struct {
	at   int64
	op   int // -1 for a mark
	end  bool
	mark int
}

// moments returns everything that happened, in order.
func moments(tr *trace.Trace) ([]moment, error) {
	all := make([]moment, 0, 2*len(tr.Ops)+len(tr.Marks))
	for i, op := range tr.Ops {
		if op.Start >= op.End {
			return nil, fmt.Errorf("%w: operation %d ends at %d, before its start at %d", ErrInconsistent, i, op.End, op.Start)
		}
		if i > 0 && op.Start <= tr.Ops[i-1].Start {
			return nil, fmt.Errorf("%w: operation %d is out of order", ErrInconsistent, i)
		}
		all = append(all, moment{at: op.Start, op: i}, moment{at: op.End, op: i, end: true})
	}
	for i, m := range tr.Marks {
		if i > 0 && m.At <= tr.Marks[i-1].At {
			return nil, fmt.Errorf("%w: mark %d is out of order", ErrInconsistent, i)
		}
		all = append(all, moment{at: m.At, op: -1, mark: i})
	}
	slices.SortFunc(all, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	for i := 1; i < len(all); i++ {
		if all[i].at == all[i-1].at {
			return nil, fmt.Errorf("%w: two things happen at %d", ErrInconsistent, all[i].at)
		}
	}
	return all, nil
}

func checkModel(m model.Model) error {
	if err := m.Check(); err != nil {
		return err
	}
	if m.Tear > tree.MaxSize || m.Collateral > tree.MaxSize {
		return fmt.Errorf("model %s: Tear or Collateral is more than the largest file, %d bytes", m.Name, int64(tree.MaxSize))
	}
	return nil
}

// checkOp tells what in op cannot be, given what was there when it started.
func checkOp(live *tree.Tree, op trace.Op) error {
	switch op.Kind {
	case trace.Syncfs:
		return nil
	case trace.Create, trace.Mkdir, trace.Symlink, trace.Mknod, trace.Tmpfile:
		return checkMade(live, op)
	case trace.Link, trace.Unlink, trace.Rmdir:
		if err := checkInode(live, op.Ino, 0); err != nil {
			return err
		}
		return checkName(live, op.Dir, op.Name)
	case trace.Rename:
		return checkRename(live, op)
	case trace.Write, trace.Truncate, trace.Fallocate, trace.Punch:
		if op.Kind == trace.Write && op.Len != int64(len(op.Data)) {
			return fmt.Errorf("%d bytes of %d", len(op.Data), op.Len)
		}
		if op.Off < 0 || op.Len < 0 || op.Off > tree.MaxSize || op.Len > tree.MaxSize-op.Off {
			return fmt.Errorf("%d bytes at %d", op.Len, op.Off)
		}
		return checkInode(live, op.Ino, tree.ModeRegular)
	case trace.Chmod, trace.Chown, trace.Utimes, trace.Setxattr, trace.Removexattr, trace.Fsync, trace.SyncRange, trace.Msync:
		return checkInode(live, op.Ino, 0)
	}
	return fmt.Errorf("unknown kind %d", op.Kind)
}

func checkMade(live *tree.Tree, op trace.Op) error {
	if op.Ino > tree.MaxIno || op.Ino <= tree.Root || live.Has(op.Ino) {
		return fmt.Errorf("inode %d is not new", op.Ino)
	}
	if op.Kind == trace.Tmpfile {
		return nil
	}
	return checkName(live, op.Dir, op.Name)
}

func checkRename(live *tree.Tree, op trace.Op) error {
	if err := checkInode(live, op.Ino, 0); err != nil {
		return err
	}
	if op.Over != 0 || op.Exchange {
		if err := checkInode(live, op.Over, 0); err != nil {
			return err
		}
	}
	if err := checkName(live, op.Dir, op.Name); err != nil {
		return err
	}
	return checkName(live, op.To, op.New)
}

func checkInode(live *tree.Tree, ino tree.Ino, typ uint32) error {
	n, found := live.Stat(ino)
	if !found {
		return fmt.Errorf("no inode %d", ino)
	}
	if typ != 0 && n.Mode&tree.ModeType != typ {
		return fmt.Errorf("inode %d has mode %o", ino, n.Mode)
	}
	return nil
}

func checkName(live *tree.Tree, dir tree.Ino, name string) error {
	if !tree.ValidName(name) {
		return fmt.Errorf("name %q", name)
	}
	return checkInode(live, dir, tree.ModeDir)
}
