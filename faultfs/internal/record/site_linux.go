//go:build amd64 || arm64

package record

import (
	"runtime"
	"sync"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// sites numbers the places where calls come from, from 1 on. Names are looked up
// when the recording is over, once for each place.
type sites struct {
	mu      sync.Mutex
	stacks  map[stack]int
	names   map[string]int
	entries []site
}

type site struct {
	stack stack
	name  string // of the process, if there is no stack
}

func newSites() *sites {
	return &sites{stacks: map[stack]int{}, names: map[string]int{}}
}

// of returns the number of the place where the thread is.
func (s *sites) of(w *worker, t *thread) int {
	p := t.program()
	if p.same {
		if st := w.stackOf(t, p); st != (stack{}) {
			return s.number(site{stack: st})
		}
	}
	return s.number(site{name: p.name})
}

func (s *sites) number(e site) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.stacks[e.stack]
	if e.name != "" {
		n = s.names[e.name]
	}
	if n != 0 {
		return n
	}
	s.entries = append(s.entries, e)
	n = len(s.entries)
	if e.name != "" {
		s.names[e.name] = n
	} else {
		s.stacks[e.stack] = n
	}
	return n
}

// symbolise returns all places, by number, the empty one first.
func (s *sites) symbolise() []trace.Site {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]trace.Site, 1, len(s.entries)+1)
	for _, e := range s.entries {
		if e.name != "" {
			all = append(all, trace.Site{Process: e.name})
			continue
		}
		all = append(all, trace.Site{Frames: e.stack.frames()})
	}
	return all
}

// frames looks up the names. The stack is of a copy of our own program, so that the
// runtime knows them.
func (s stack) frames() []trace.Frame {
	pcs := make([]uintptr, 0, len(s))
	for _, pc := range s {
		if pc != 0 {
			pcs = append(pcs, uintptr(pc))
		}
	}
	var frames []trace.Frame
	found := runtime.CallersFrames(pcs)
	for {
		f, more := found.Next()
		if f.Function != "" {
			frames = append(frames, trace.Frame{Func: f.Function, File: f.File, Line: f.Line})
		}
		if !more {
			return frames
		}
	}
}
