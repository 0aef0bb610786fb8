package faultfs

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// config is what the options say.
type config struct {
	models       []Model
	budget       time.Duration
	states       int // 0: any number
	subsets      int
	exhaustive   bool
	nested       int
	seed         uint64
	workers      int
	stateTimeout time.Duration
	workTimeout  time.Duration
	dir          string
	markLines    bool
	blind        []acceptedBlind
	masked       []maskedFault
	faults       []Fault

	quiet bool   // no log line for each exploration
	story string // what a story begins with

	sweeping bool // it is a Sweep
}

type acceptedBlind struct{ pattern, reason string }

type maskedFault struct {
	site   string
	errno  syscall.Errno
	reason string
}

// newConfig returns what options say over the defaults, or what is wrong with them.
func newConfig(options []Option) (*config, error) {
	c := &config{
		models: []Model{PosixWeak, Ext4}, budget: 10 * time.Second, subsets: 4096, seed: 1,
		workers: runtime.GOMAXPROCS(0), stateTimeout: 10 * time.Second, workTimeout: time.Minute,
	}
	for i, o := range options {
		if o == nil {
			return nil, fmt.Errorf("option %d is nil", i+1)
		}
		o.apply(c)
	}
	return c, errors.Join(c.checkPlace(), c.checkNumbers(), c.checkModels(), c.checkReasons(), c.checkFaults())
}

// checkPlace finds what would be passed over where the call is.
func (c *config) checkPlace() error {
	switch {
	case self.name != "" && inside.Load():
		return errors.New("call of Run or Sweep within Setup, Work, Recover or Verify: it would verify nothing")
	case !c.sweeping && len(c.faults) > 0:
		return fmt.Errorf("fault %q: it is for Sweep, Run injects none", c.faults[0])
	case !c.sweeping && len(c.masked) > 0:
		return fmt.Errorf("option Masked(%q): it is for Sweep, Run injects no faults", c.masked[0].site)
	case c.exhaustive && c.states > 0:
		return fmt.Errorf("option States(%d): Exhaustive explores all states", c.states)
	}
	return nil
}

func (c *config) checkNumbers() error {
	for _, n := range []struct {
		option string
		wrong  bool
	}{
		{"Budget", c.budget <= 0},
		{"States", c.states < 0},
		{"Subsets", c.subsets < 1},
		{"Nested", c.nested < 0},
		{"Workers", c.workers < 1},
		{"StateTimeout", c.stateTimeout <= 0},
		{"WorkTimeout", c.workTimeout <= 0},
	} {
		if n.wrong {
			return fmt.Errorf("option %s: the value is out of range", n.option)
		}
	}
	return nil
}

func (c *config) checkModels() error {
	if len(c.models) == 0 {
		return errors.New("option Models: no model")
	}
	for i, m := range c.models {
		if err := m.Check(); err != nil {
			return fmt.Errorf("option Models: %w", err)
		}
		if slices.ContainsFunc(c.models[:i], func(o Model) bool { return o.Name == m.Name }) {
			return fmt.Errorf("option Models: two models are called %s", m.Name)
		}
	}
	return nil
}

func (c *config) checkReasons() error {
	for _, b := range c.blind {
		if _, err := path.Match(b.pattern, ""); err != nil || b.reason == "" {
			return fmt.Errorf("option AcceptBlind(%q): it takes a pattern and a reason", b.pattern)
		}
	}
	for _, m := range c.masked {
		if m.site == "" || m.reason == "" {
			return fmt.Errorf("option Masked(%q): it takes a site and a reason", m.site)
		}
	}
	return nil
}

func (c *config) checkFaults() error {
	for _, f := range c.faults {
		if f.kinds == 0 || f.errno == 0 && !f.short && !f.hang && f.delay <= 0 {
			return fmt.Errorf("fault %q: nothing goes wrong with it", f)
		}
	}
	return nil
}
