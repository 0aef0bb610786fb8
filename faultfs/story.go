package faultfs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/driftlesskv/driftless/faultfs/internal/explore"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// story tells how a state came about, in words that lead to the line to mend.
type story struct {
	tr     *trace.Trace
	names  names
	losses []explore.Loss
	at     int64 // the power cut
}

// storyLosses is how many lost operations a story lists.
const storyLosses = 12

// newStory returns the story of s, a state of tr.
func newStory(tr *trace.Trace, x *explore.Explorer, s explore.State) string {
	y := story{tr: tr, names: newNames(tr), losses: x.Lost(s), at: s.At()}
	y.earlier()
	var b strings.Builder
	fmt.Fprintf(&b, "  power cut %s\n", y.when())
	if text := y.marks(); text != "" {
		fmt.Fprintf(&b, "  the program had said: %s\n", text)
	}
	damaged, how := s.Damage()
	if damaged != 0 {
		fmt.Fprintf(&b, "  damaged: %s: %s\n", y.names.of(damaged), how)
	}
	if len(y.losses) == 0 && damaged == 0 {
		b.WriteString("  nothing was lost: the state is wrong with all that was done until then\n")
	}
	for i, l := range y.losses {
		if i == storyLosses {
			fmt.Fprintf(&b, "  ... and %d more operations\n", len(y.losses)-i)
			break
		}
		fmt.Fprintf(&b, "  lost:    %s%s\n           at %s\n", y.line(l.Op), extent(l), y.site(l.Op))
	}
	for _, text := range y.missing() {
		fmt.Fprintf(&b, "  missing: %s\n", text)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// earlier moves the power cut to before the last operations if they left nothing,
// and others before them were lost too: the state is the same, the story shorter.
func (y *story) earlier() {
	at, losses := y.at, slices.Clone(y.losses)
	for i, op := range slices.Backward(y.tr.Ops) {
		if op.Start >= at {
			continue
		}
		gone := slices.ContainsFunc(losses, func(l explore.Loss) bool { return l.Op == i && l.All })
		said := slices.ContainsFunc(y.tr.Marks, func(m trace.Mark) bool { return m.At > op.Start && m.At < at })
		if said || !gone && !(isSync(op.Kind) && op.End >= at) {
			break
		}
		at = op.Start
		losses = slices.DeleteFunc(losses, func(l explore.Loss) bool { return l.Op == i })
	}
	if len(losses) > 0 {
		y.at, y.losses = at, losses
	}
}

// line returns an operation with its number.
func (y *story) line(op int) string { return fmt.Sprintf("#%d %s", op, y.names.text(y.tr, op)) }

func (y *story) site(op int) string { return y.tr.Sites[y.tr.Ops[op].Site].Short() }

// when says what was going on at the power cut.
func (y *story) when() string {
	for i, op := range y.tr.Ops {
		if op.Start >= y.at {
			return fmt.Sprintf("before %s, at %s", y.line(i), y.site(i))
		}
		if op.End >= y.at {
			return fmt.Sprintf("before %s had ended, at %s", y.line(i), y.site(i))
		}
	}
	return "after the last operation"
}

// storyMarks is how many of the last marks a story lists.
const storyMarks = 4

func (y *story) marks() string {
	var said []string
	for _, m := range y.tr.Marks {
		if m.At < y.at {
			said = append(said, Mark{Op: m.Op, Args: m.Args, Ack: m.Ack}.String())
		}
	}
	text := strings.Join(said[max(0, len(said)-storyMarks):], ", ")
	if len(said) > storyMarks {
		text = "..., " + text
	}
	return text
}

// missing says of each thing that lost something which sync would have kept it, and
// before what that was needed.
func (y *story) missing() []string {
	var said []string
	for _, l := range y.losses {
		op := y.tr.Ops[l.Op]
		for _, target := range syncTargets(op, l) {
			text := fmt.Sprintf("%s after #%d and before %s", y.whatSync(op, target), l.Op, y.deadline(l.Op))
			if why := y.inVain(l); why != "" {
				text += "; " + why
			}
			if key := y.names.of(target); !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, " "+key+" after") }) {
				said = append(said, text)
			}
		}
	}
	return said
}

func (y *story) whatSync(op trace.Op, target tree.Ino) string {
	sync := "an fsync of "
	if op.Kind == trace.Write || op.Kind == trace.Truncate || op.Kind == trace.Fallocate || op.Kind == trace.Punch {
		sync = "an fsync or fdatasync of "
	}
	return sync + y.names.of(target)
}

// syncTargets returns the inodes whose fsync makes durable everywhere what was lost of
// op: of a rename, the directories of the lost names.
func syncTargets(op trace.Op, l explore.Loss) []tree.Ino {
	switch {
	case op.Kind == trace.Rename:
		return slices.DeleteFunc([]tree.Ino{op.To, op.Dir}, func(dir tree.Ino) bool {
			return !slices.ContainsFunc(l.Pieces, func(p explore.Piece) bool { return p.Dir == dir })
		})
	case changesNames(op.Kind):
		return []tree.Ino{op.Dir}
	}
	return []tree.Ino{op.Ino}
}

// deadline returns the first thing after an operation that relied on it: an
// acknowledgement, or else an operation on something else that was not lost, or
// else one that came before it.
func (y *story) deadline(lost int) string {
	l := y.tr.Ops[lost]
	for _, m := range y.tr.Marks {
		if m.Ack && m.At > l.End && m.At < y.at {
			return fmt.Sprintf("%s, at %s", Mark{Op: m.Op, Args: m.Args, Ack: true}, y.tr.Sites[m.Site].Short())
		}
	}
	other, same, before := -1, -1, -1
	for i, op := range y.tr.Ops {
		switch {
		case op.Err != 0 || isSync(op.Kind) || slices.ContainsFunc(y.losses, func(l explore.Loss) bool { return l.Op == i }):
		case op.Start > l.End && op.Start < y.at && other < 0 && (op.Ino != l.Ino || changesNames(op.Kind)):
			other = i
		case op.Start > l.End && op.Start < y.at && same < 0:
			same = i
		case op.End < l.Start:
			before = i
		}
	}
	if other < 0 {
		other = same
	}
	switch {
	case other >= 0:
		return fmt.Sprintf("%s, at %s", y.line(other), y.site(other))
	case before >= 0:
		return fmt.Sprintf("the power cut: %s came first, at %s, and is there", y.line(before), y.site(before))
	}
	return "the power cut"
}

func changesNames(k trace.Kind) bool {
	return k == trace.Rename || k == trace.Unlink || k == trace.Rmdir || slices.Contains(naming, k)
}

func isSync(k trace.Kind) bool {
	return k == trace.Fsync || k == trace.Msync || k == trace.Syncfs || k == trace.SyncRange
}

// inVain returns why a sync that there was does not count for l.
func (y *story) inVain(l explore.Loss) string {
	switch {
	case l.Failed >= 0:
		return fmt.Sprintf("#%d failed with %s, and the kernel does not write those pages again", l.Failed, errnoName(y.tr.Ops[l.Failed].Err))
	case l.Overlapped >= 0:
		return fmt.Sprintf("#%d began before the operation had ended", l.Overlapped)
	case l.Narrow >= 0:
		return y.line(l.Narrow) + " does not cover that"
	case l.Late >= 0 && y.tr.Ops[l.Late].End < y.at:
		return fmt.Sprintf("the medium did not do what #%d asked for", l.Late)
	case l.Late >= 0:
		return fmt.Sprintf("#%d had not returned", l.Late)
	}
	return ""
}

// extent says which part of an operation was lost, if it was not all.
func extent(l explore.Loss) string {
	if l.All {
		return ""
	}
	var parts []string
	for i, p := range l.Pieces {
		if i == extentPieces {
			parts = append(parts, "...")
			break
		}
		parts = append(parts, p.String())
	}
	return " (only " + strings.Join(parts, ", ") + ")"
}

// extentPieces is how many pieces of one operation are listed.
const extentPieces = 4
