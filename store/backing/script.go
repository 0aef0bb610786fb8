package backing

import (
	"context"
	"errors"
	"time"

	"github.com/driftlesskv/driftless/store"
)

// An Op is one of the methods of store.Backing.
type Op string

// The methods.
const (
	OpIdentity Op = "identity"
	OpCreate   Op = "create"
	OpRemove   Op = "remove"
	OpProbe    Op = "probe"
	OpList     Op = "list"
)

// A Call is one call of a method, as a script sees it.
type Call struct {
	Op     Op
	N      int            // number of the call, from 1, over all methods
	ID     store.DeviceID // 0 for Identity and List
	Device store.Device   // of Create and Remove
}

// A Script decides what becomes of each call. It may be called from several
// goroutines at once, and it may block: nothing is locked meanwhile.
type Script func(ctx context.Context, c Call) Verdict

// A Verdict is what becomes of a call. The zero Verdict lets it through.
type Verdict struct {
	// Delay is waited before anything happens; Forever until the context is done,
	// whose error is then the answer.
	Delay time.Duration

	// Effect is how much of the call takes place.
	Effect Effect

	// Err is returned after the effect, whatever it was. Where a call is cut short
	// and Err is nil, Probe answers Unknown, and the others return ErrScripted.
	Err error
}

// Forever is the Delay of a call that hangs.
const Forever time.Duration = -1

// An Effect is how much of a call takes place.
type Effect uint8

// The effects. A List that is Half ends after half of the resources.
const (
	Whole   Effect = iota // all of it
	Half                  // the resource is left half made or half removed
	Nothing               // none of it
)

// ErrScripted is returned by calls that a script has cut short without a reason.
var ErrScripted = errors.New("failed as scripted")

// wait waits for the delay of a verdict.
func (v Verdict) wait(ctx context.Context) error {
	if v.Delay == 0 {
		return ctx.Err()
	}
	var elapsed <-chan time.Time // never, for Forever
	if v.Delay > 0 {
		timer := time.NewTimer(v.Delay)
		defer timer.Stop()
		elapsed = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-elapsed:
		return nil
	}
}

// end is the error of a call after its effect.
func (v Verdict) end() error {
	if v.Err == nil && v.Effect != Whole {
		return ErrScripted
	}
	return v.Err
}
