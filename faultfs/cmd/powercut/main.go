// Command powercut tests a program, in whatever language, against power cuts:
//
//	powercut -work 'CMD' -verify 'CMD'
//
// It runs the work command in an empty directory and records every change that it
// and the processes that it starts make to files there; no root, no FUSE. Then it
// makes the states that a power cut at any moment can leave, and runs the verify
// command in each. A verify command that exits with a status other than 0 has found
// a bug, and powercut prints which operations were lost and which sync was missing.
//
// Both commands are run by sh -c, in the directory, with nothing to read on standard
// input. The recording ends with the work command: what that leaves in the background
// is killed, and counts only as far as it came until then. A verify command that the
// shell cannot run in any state, by its status 126 or 127, is a mistake in usage.
//
// What the program acknowledged before the power cut, it says with lines on standard
// output, each in a write of its own:
//
//	echo "faultfs: ack put 3"
//
// Several such lines in one write are an error, for nobody knows what was done in
// between. A program that buffers its output has to flush after each; stdbuf -oL
// makes most do so, and python -u.
//
// The verify command finds the acknowledgements so far in the file that
// $POWERCUT_ACKED names, one "put 3" in each line, in $POWERCUT_BEGUN those of
// lines "faultfs: begin ...", and the model in $POWERCUT_MODEL.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// The statuses that powercut exits with.
const (
	exitClean     = 0
	exitViolation = 1
	exitUsage     = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// settings are the command line.
type settings struct {
	setup, work, recover, verify string
	models                       string
	budget                       time.Duration
	stateTimeout, workTimeout    time.Duration
	states                       int
	nested                       int
	exhaustive                   bool
	seed                         uint64
	blind                        string
}

func run(args []string, stdout, stderr io.Writer) int {
	var s settings
	flags := flag.NewFlagSet("powercut", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.setup, "setup", "", "`command` that makes what is there, and durable, before")
	flags.StringVar(&s.work, "work", "", "`command` to record; required")
	flags.StringVar(&s.recover, "recover", "", "`command` that a restart runs first, before verify")
	flags.StringVar(&s.verify, "verify", "", "`command` that fails if a state is wrong; required")
	flags.StringVar(&s.models, "models", "posix-weak,ext4", "`names` of models, with commas: "+names()+"; or all")
	flags.DurationVar(&s.budget, "budget", time.Minute, "`time` for each model")
	flags.DurationVar(&s.stateTimeout, "state-timeout", 10*time.Second, "`time` that recover and verify may take")
	flags.DurationVar(&s.workTimeout, "work-timeout", time.Minute, "`time` that setup and work may take")
	flags.IntVar(&s.states, "states", 0, "`number` of states for each model; 0: as many as the budget allows")
	flags.IntVar(&s.nested, "nested", 0, "cut off the recover command too, so many `times` in a row")
	flags.BoolVar(&s.exhaustive, "exhaustive", false, "explore every legal state, or fail")
	flags.Uint64Var(&s.seed, "seed", 1, "where sampling starts, a `number`")
	flags.StringVar(&s.blind, "accept-blind", "", "`pattern` of files in which unseen stores through writable shared maps are accepted")
	flags.Var(replayFlag{}, "replay", "write out the `state` of a failure and verify it alone")
	flags.Usage = func() { usage(flags) }
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitClean
		}
		return exitUsage
	}
	options, err := s.options(flags.Args())
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "powercut:", err)
		return exitUsage
	}
	return prove(stdout, s, options)
}

// replayFlag passes the state on to the flag of package faultfs.
type replayFlag struct{}

func (replayFlag) String() string { return "" }

func (replayFlag) Set(id string) error { return flag.CommandLine.Set("faultfs.replay", id) }

func usage(flags *flag.FlagSet) {
	_, _ = fmt.Fprintln(flags.Output(), "usage: powercut -work 'CMD' -verify 'CMD' [flags]")
	_, _ = fmt.Fprintln(flags.Output(), "\nexample:\n  powercut -work 'echo new >f.tmp && sync f.tmp && mv f.tmp f && echo \"faultfs: ack f\"' \\\n           -verify '! grep -q f \"$POWERCUT_ACKED\" || grep -q new f'\n\nflags:")
	flags.PrintDefaults()
	_, _ = fmt.Fprintln(flags.Output(), notes)
}

// notes are what goes wrong most easily.
const notes = `
Commands run by sh -c, in the directory, without standard input. What the work command
leaves in the background is killed when it ends, and recorded until then. Lines
"faultfs: ack NAME ARGS..." and "faultfs: begin NAME ARGS..." on standard output are
marks; each must be a write of its own: a program that buffers its output has to flush
after each (stdbuf -oL, python -u).`

// options checks s and returns it as options of faultfs.
func (s settings) options(rest []string) ([]faultfs.Option, error) {
	switch {
	case len(rest) > 0:
		return nil, fmt.Errorf("what is %q? a command with spaces wants quotes", rest[0])
	case s.work == "" || s.verify == "":
		return nil, fmt.Errorf("both -work and -verify are needed; see -help")
	case s.exhaustive && s.states > 0:
		return nil, fmt.Errorf("-exhaustive explores all states, and -states not")
	case s.nested > 0 && s.recover == "":
		return nil, fmt.Errorf("-nested needs -recover")
	case s.budget <= 0 || s.stateTimeout <= 0 || s.workTimeout <= 0 || s.states < 0 || s.nested < 0:
		return nil, fmt.Errorf("times must be positive, and numbers not negative")
	}
	models, err := parseModels(s.models)
	if err != nil {
		return nil, err
	}
	options := []faultfs.Option{
		faultfs.Models(models...), faultfs.Budget(s.budget), faultfs.States(s.states), faultfs.Seed(s.seed), faultfs.Nested(s.nested),
		faultfs.StateTimeout(s.stateTimeout), faultfs.WorkTimeout(s.workTimeout), faultfs.Workers(runtime.GOMAXPROCS(0)), faultfs.MarkLines(),
	}
	if s.exhaustive {
		options = append(options, faultfs.Exhaustive())
	}
	if s.blind != "" {
		options = append(options, faultfs.AcceptBlind(s.blind, "accepted on the command line"))
	}
	return options, nil
}

func parseModels(text string) ([]faultfs.Model, error) {
	if text == "all" {
		return model.All(), nil
	}
	var models []faultfs.Model
	for _, name := range strings.Split(text, ",") {
		found := false
		for _, m := range model.All() {
			if m.Name == name {
				models, found = append(models, m), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no model is called %q: there are %s", name, names())
		}
	}
	return models, nil
}

func names() string {
	var all []string
	for _, m := range model.All() {
		all = append(all, m.Name)
	}
	return strings.Join(all, ", ")
}
