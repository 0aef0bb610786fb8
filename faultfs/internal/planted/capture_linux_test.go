package planted_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/driftlesskv/driftless/faultfs"
)

// captured is a test that may fail: what Run says of it is kept. It has a real name,
// by which copies of the test binary find the call.
type captured struct {
	name     string
	mu       sync.Mutex
	log      strings.Builder
	failed   bool
	skipped  bool
	cleanups []func()
}

func (c *captured) Failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// capture calls f with a test that may fail, and returns it when f is done. A skip is
// passed on: it is how a copy of the test binary ends. What Run keeps of failures
// goes with t.
func capture(t *testing.T, f func(faultfs.TB)) *captured {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	c := captureAs(t.Name(), f)
	if c.skipped {
		t.Skip(c.text())
	}
	return c
}

func captureAs(name string, f func(faultfs.TB)) *captured {
	c := &captured{name: name}
	done := make(chan struct{})
	go func() { // Fatal and Skip end the goroutine that they are called in
		defer close(done)
		defer func() {
			for _, cleanup := range c.cleanups {
				cleanup()
			}
		}()
		f(c)
	}()
	<-done
	return c
}

// text returns what was logged.
func (c *captured) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}

func (c *captured) write(failed bool, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = c.failed || failed
	c.log.WriteString(strings.TrimSuffix(text, "\n") + "\n")
}

func (c *captured) Name() string     { return c.name }
func (c *captured) Helper()          {}
func (c *captured) Cleanup(f func()) { c.cleanups = append(c.cleanups, f) }

func (c *captured) Log(args ...any)                 { c.write(false, fmt.Sprintln(args...)) }
func (c *captured) Logf(format string, args ...any) { c.write(false, fmt.Sprintf(format, args...)) }

func (c *captured) Errorf(format string, args ...any) { c.write(true, fmt.Sprintf(format, args...)) }

func (c *captured) Fatal(args ...any) {
	c.write(true, fmt.Sprintln(args...))
	runtime.Goexit()
}

func (c *captured) Fatalf(format string, args ...any) {
	c.Errorf(format, args...)
	runtime.Goexit()
}

func (c *captured) Skipf(format string, args ...any) {
	c.Logf(format, args...)
	c.SkipNow()
}

func (c *captured) SkipNow() {
	c.skipped = true
	runtime.Goexit()
}
