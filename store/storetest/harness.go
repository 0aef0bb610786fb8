package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/store"
)

// A Harness gives the kit one outside world of its own, empty at first, and the
// means to do to it what the world does. All but Open may be nil.
type Harness struct {
	// Open opens the backing, again after each simulated restart of the process. A
	// backing that is an io.Closer is closed before that and at the end.
	Open func() (store.Backing, error)

	// Write and Read are what the owner of a present device does to its content.
	Write func(id store.DeviceID, content string) error
	Read  func(id store.DeviceID) (string, error)

	// Break makes the medium unreadable, as a pulled cable does, until heal. The
	// open backing must stay usable after heal.
	Break func() (heal func() error, err error)

	// Interrupt leaves dev half made, as a crash in the middle of Create does. The
	// kit has no backing open meanwhile.
	Interrupt func(ctx context.Context, dev store.Device) error

	// Busy makes a present device one that cannot be removed, until free.
	Busy func(id store.DeviceID) (free func() error, err error)

	// In returns the harness of a world that is kept in dir and nowhere else. dir
	// exists; it is empty, or as a power cut has left it. The kit then simulates power
	// cuts and looks what Create and Remove had made durable when they returned; of the
	// harness it uses Open, Write, Read and Close. A driver whose resources are not
	// files leaves In nil: the rule is then reported as not checked.
	//
	// Backing starts copies of the test binary for this, each of which runs the same
	// test from its beginning. So In must not depend on what the test has done before,
	// and the test must reach Backing whatever was done before it.
	In func(dir string) Harness

	// Close destroys the world. The kit calls it once, at the end.
	Close func() error
}

// A RuleError says which rule a backing breaks.
type RuleError struct {
	Rule string // one of Rules
	Err  error
}

func (e *RuleError) Error() string { return "rule " + e.Rule + ": " + e.Err.Error() }

// Unwrap returns what happened.
func (e *RuleError) Unwrap() error { return e.Err }

// Rules returns the names of the rules, in the order in which they are checked.
func Rules() []string {
	names := make([]string, 0, len(rules))
	for _, r := range rules {
		names = append(names, r.name)
	}
	return names
}

// Backing checks each rule in a subtest, on a harness of its own. The harness may
// use t for its cleanup.
func Backing(t *testing.T, newHarness func(t testing.TB) Harness) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			if r.cut != nil {
				cutPower(t, r, newHarness(t))
				return
			}
			err := run(t.Context(), r, func() (Harness, error) { return newHarness(t), nil })
			var missing *missingError
			if errors.As(err, &missing) {
				t.Skip(missing.Error())
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Verify checks each rule as Backing does and returns the broken ones, joined, each
// a *RuleError; nil when none is. It stops with the context's error when ctx is done.
//
// unchecked are the rules that were passed over, each with its name and the reason:
// those that the harness has no means for, and "durable", since only a test can start
// copies of itself.
func Verify(ctx context.Context, newHarness func() (Harness, error)) (unchecked []string, err error) {
	var broken []error
	for _, r := range rules {
		if err := ctx.Err(); err != nil {
			return unchecked, errors.Join(append(broken, err)...)
		}
		if r.cut != nil {
			unchecked = append(unchecked, r.name+": not checked: only Backing can")
			continue
		}
		var missing *missingError
		switch err := run(ctx, r, newHarness); {
		case errors.As(err, &missing):
			unchecked = append(unchecked, r.name+": "+missing.Error())
		case err != nil:
			broken = append(broken, &RuleError{r.name, err})
		}
	}
	return unchecked, errors.Join(broken...)
}

// A rule is one thing that every backing must do.
type rule struct {
	name  string
	needs func(h *Harness) string // what the harness lacks for it, or ""; nil: nothing is needed
	check func(ctx context.Context, w *world) error
	cut   func(t faultfs.TB, in func(dir string) Harness) // instead of check: it simulates power cuts
}

// A missingError is the reason for which a rule was not checked.
type missingError struct{ means string }

func (e *missingError) Error() string { return "not checked: the harness has no " + e.means }

// run checks one rule in a new world.
func run(ctx context.Context, r rule, newHarness func() (Harness, error)) (err error) {
	w, err := newWorld(newHarness)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if r.needs != nil {
		if lacks := r.needs(&w.Harness); lacks != "" {
			return &missingError{lacks}
		}
	}
	if err := w.reopen(); err != nil {
		return err
	}
	return r.check(ctx, w)
}

func needsContent(h *Harness) string {
	if h.Write == nil || h.Read == nil {
		return "Write and Read"
	}
	return ""
}

func needsBreak(h *Harness) string {
	if h.Break == nil {
		return "Break"
	}
	return ""
}

func needsInterrupt(h *Harness) string {
	if h.Interrupt == nil {
		return "Interrupt"
	}
	return ""
}

func needsBusy(h *Harness) string {
	if h.Busy == nil {
		return "Busy"
	}
	return ""
}
