package faultfs

import (
	"syscall"
	"time"

	"github.com/driftlesskv/driftless/faultfs/model"
)

// Model says what a power cut can leave. See package model.
type Model = model.Model

// The built-in models, from package model.
var (
	PosixWeak = model.PosixWeak
	Posix4K   = model.Posix4K
	Ext4      = model.Ext4
	XFS       = model.XFS
	Btrfs     = model.Btrfs
	FAT32     = model.FAT32
)

// Option changes how [Run] and [Sweep] work. A [Fault] is an option of Sweep.
type Option interface {
	apply(c *config)
}

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// Models sets the models to explore under, one after the other. Without it:
// PosixWeak and Ext4.
func Models(models ...Model) Option {
	return optionFunc(func(c *config) { c.models = models })
}

// Budget ends the exploration of each model after d. Without it: 10 seconds.
func Budget(d time.Duration) Option {
	return optionFunc(func(c *config) { c.budget = d })
}

// States ends the exploration of each model after about n distinct states, shared out
// among the crash points.
func States(n int) Option {
	return optionFunc(func(c *config) { c.states = n })
}

// Subsets sets up to how many legal states of one crash point all of them are
// explored; beyond, a sample is. Without it: 4096.
func Subsets(n int) Option {
	return optionFunc(func(c *config) { c.subsets = n })
}

// Exhaustive explores every legal state of every crash point, however long it
// takes within Budget, and fails if that does not suffice.
func Exhaustive() Option {
	return optionFunc(func(c *config) { c.exhaustive = true })
}

// Nested also cuts off recovery, depth times over: Recover is recorded in the
// states that Work left, and the states that a power cut leaves of it are explored
// in the same way. Depth 1 is recovery itself; 0, the default, cuts off only Work.
func Nested(depth int) Option {
	return optionFunc(func(c *config) { c.nested = depth })
}

// Seed sets where the sampling starts. Without it: 1. The same trace and seed give
// the same states.
func Seed(seed uint64) Option {
	return optionFunc(func(c *config) { c.seed = seed })
}

// Workers sets how many processes verify states. Without it: one for each
// processor.
func Workers(n int) Option {
	return optionFunc(func(c *config) { c.workers = n })
}

// StateTimeout sets how long Recover and Verify of one state may take before that
// counts as a hang. Without it: 10 seconds.
func StateTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.stateTimeout = d })
}

// WorkTimeout sets how long Setup and Work may take. Without it: one minute.
func WorkTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.workTimeout = d })
}

// In makes the directories for Work and for states below dir. Without it: in
// /dev/shm if that is usable, else where temporary files go.
func In(dir string) Option {
	return optionFunc(func(c *config) { c.dir = dir })
}

// AcceptBlind accepts what is not seen of the files that match pattern (see
// [path.Match]; relative to the directory), for the reason given: stores through
// writable shared maps, and what became of a file before it was moved into the
// directory. Without it that fails the test. What is not seen of a whole process
// cannot be accepted.
func AcceptBlind(pattern, reason string) Option {
	return optionFunc(func(c *config) { c.blind = append(c.blind, acceptedBlind{pattern, reason}) })
}

// Masked allows a fault injected by [Sweep] at a call site to surface nowhere,
// because the program goes on rightly without the operation, for the reason given.
// site is the end of the name of the function that made the call, the innermost
// one outside the standard library: "atomicfile.(*Dir).clone". What was
// acknowledged must be true even so. A part of a name begins at a dot or a slash;
// "*" is any function, and "process.NAME" a program that is not in Go. An entry that
// nothing met fails the test.
func Masked(site string, errno syscall.Errno, reason string) Option {
	return optionFunc(func(c *config) { c.masked = append(c.masked, maskedFault{site, errno, reason}) })
}

// MarkLines makes a line "faultfs: begin NAME ARGS..." or "faultfs: ack NAME
// ARGS..." that Work or a process that it started writes to its standard output or
// standard error, in one write, a mark. The arguments are strings. A write that holds
// more than one such line is an error, for nobody knows what was done in between:
// the program has to flush after each.
func MarkLines() Option { return optionFunc(func(c *config) { c.markLines = true }) }
