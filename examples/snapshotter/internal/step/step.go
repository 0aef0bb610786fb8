// Package step names the points at which the example can be killed: before and
// after each call that touches a database or a directory. The library knows
// nothing of them; they are wrapped around it here.
package step

import (
	"os"
	"sync/atomic"
)

// Points is the set of points that a process passes. At most one of them is deadly.
// The zero value lets everything pass.
type Points struct {
	deadly string
	left   atomic.Int64
}

// Arm returns points of which the one called name ends the process when it is
// passed for the hit-th time, counted from 1.
func Arm(name string, hit int) *Points {
	p := &Points{deadly: name}
	p.left.Store(int64(hit))
	return p
}

// Names returns the two points around each of calls.
func Names(calls ...string) (names []string) {
	for _, call := range calls {
		names = append(names, "before "+call, "after "+call)
	}
	return names
}

// Around runs fn, and passes a point before it and one after it.
func (p *Points) Around(call string, fn func() error) error {
	p.pass("before " + call)
	err := fn()
	p.pass("after " + call)
	return err
}

// pass kills the process if the point is the deadly one. The signal is the one that
// nothing can catch: no deferred call runs, no buffer is flushed.
func (p *Points) pass(name string) {
	if name != p.deadly || p.left.Add(-1) != 0 {
		return
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill() // there is nobody left to tell
	}
	select {} // the signal is on its way
}
