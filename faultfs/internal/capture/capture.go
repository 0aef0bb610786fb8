// Package capture is for tests of faultfs that expect Run or Sweep to fail.
package capture

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/driftlesskv/driftless/faultfs"
)

// Test is a [faultfs.TB] that may fail: it keeps what is said of it. It has the name
// of a real test, by which copies of the test binary find the call. It is safe for
// concurrent use.
type Test struct {
	real testing.TB

	mu          sync.Mutex
	log, errors strings.Builder
	failed      bool
	ended       bool
	skipped     bool
	afterwards  []func()
	name        string
}

// Run calls f with a test that may fail, and returns it when f is done. A skip is
// passed on: it is how a copy of the test binary ends. What faultfs keeps of failures
// goes with t.
func Run(t testing.TB, f func(faultfs.TB)) *Test {
	t.Helper()
	return Named(t, t.Name(), f)
}

// Named is Run for a call that copies of the test binary find in the test called
// name: a benchmark, which they do not run, needs one.
func Named(t testing.TB, name string, f func(faultfs.TB)) *Test {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	c := &Test{real: t, name: name}
	done := make(chan struct{})
	go func() { // Fatal and Skip end the goroutine that they are called in
		defer close(done)
		defer func() {
			for _, cleanup := range c.afterwards {
				cleanup()
			}
		}()
		f(c)
	}()
	<-done
	if c.skipped {
		t.Skip(c.Text())
	}
	return c
}

// Text returns all that was said.
func (c *Test) Text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}

// Errors returns what was said of failures.
func (c *Test) Errors() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.errors.String()
}

// Ended reports whether a failure ended the test.
func (c *Test) Ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// Failed reports whether the test failed, or the real one.
func (c *Test) Failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed || c.real.Failed()
}

func (c *Test) say(failed bool, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text = strings.TrimSuffix(text, "\n") + "\n"
	c.log.WriteString(text)
	if failed {
		c.failed = true
		c.errors.WriteString(text)
	}
}

func (c *Test) end(how *bool) {
	c.mu.Lock()
	*how = true
	c.mu.Unlock()
	runtime.Goexit()
}

// Name returns the name of the real test.
func (c *Test) Name() string { return c.name }

// Helper does nothing.
func (c *Test) Helper() {}

// Cleanup calls f when the function that [Run] was given is done.
func (c *Test) Cleanup(f func()) { c.afterwards = append(c.afterwards, f) }

// Log keeps what is said.
func (c *Test) Log(args ...any) { c.say(false, fmt.Sprintln(args...)) }

// Logf keeps what is said.
func (c *Test) Logf(format string, args ...any) { c.say(false, fmt.Sprintf(format, args...)) }

// Errorf keeps a failure.
func (c *Test) Errorf(format string, args ...any) { c.say(true, fmt.Sprintf(format, args...)) }

// Fatal keeps a failure and ends the test.
func (c *Test) Fatal(args ...any) {
	c.say(true, fmt.Sprintln(args...))
	c.end(&c.ended)
}

// Fatalf keeps a failure and ends the test.
func (c *Test) Fatalf(format string, args ...any) { c.Fatal(fmt.Sprintf(format, args...)) }

// Skipf keeps what is said and ends the test as skipped.
func (c *Test) Skipf(format string, args ...any) {
	c.Logf(format, args...)
	c.SkipNow()
}

// SkipNow ends the test as skipped.
func (c *Test) SkipNow() { c.end(&c.skipped) }
