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
	for _, o := range options {
		o.apply(c)
	}
	return c, errors.Join(c.checkNumbers(), c.checkModels(), c.checkReasons(), c.checkFaults())
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
