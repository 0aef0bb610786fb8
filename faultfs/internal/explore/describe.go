package explore

import (
	"fmt"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// At returns when the power went: just before this number of the trace's counter.
func (s State) At() int64 { return s.x.points[s.Point].at }

// Damage returns the file that the medium damaged beside what was lost, and how; 0
// if there is none.
func (s State) Damage() (ino tree.Ino, how string) {
	switch d := s.damage; {
	case d.ino == 0:
		return 0, ""
	case d.bit >= 0:
		return d.ino, fmt.Sprintf("bit %d of byte %d is wrong", d.bit%8, d.bit/8)
	default:
		unit := s.x.view(s.Point).unitSize()
		return d.ino, fmt.Sprintf("bytes %d-%d were destroyed by an interrupted write nearby", d.unit*unit, (d.unit+1)*unit)
	}
}
