package faultfs_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/driftlesskv/driftless/faultfs"
)

// spy is a test that may fail: it notes what faultfs says.
type spy struct {
	*testing.T
	mu              sync.Mutex
	logs, errors    []string
	ended, skipping bool
}

// spied calls f with a spy and returns it. In a copy of the test binary that is
// here to play a role, the role ends the real test.
func spied(t *testing.T, f func(tb faultfs.TB)) *spy {
	t.Helper()
	s := &spy{T: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(s)
	}()
	<-done
	if s.skipping {
		t.SkipNow()
	}
	return s
}

func (s *spy) note(to *[]string, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*to = append(*to, text)
}

func (s *spy) Log(args ...any)                 { s.note(&s.logs, fmt.Sprint(args...)) }
func (s *spy) Logf(format string, args ...any) { s.note(&s.logs, fmt.Sprintf(format, args...)) }
func (s *spy) Errorf(format string, args ...any) {
	s.note(&s.errors, fmt.Sprintf(format, args...))
}

func (s *spy) Fatal(args ...any) {
	s.note(&s.errors, fmt.Sprint(args...))
	s.ended = true
	runtime.Goexit()
}

func (s *spy) Fatalf(format string, args ...any) { s.Fatal(fmt.Sprintf(format, args...)) }

func (s *spy) Skipf(format string, args ...any) {
	s.Logf(format, args...)
	s.SkipNow()
}

func (s *spy) SkipNow() {
	s.skipping = true
	runtime.Goexit()
}

// said returns all errors as one text.
func (s *spy) said() string { return strings.Join(s.errors, "\n") }
