package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A usageError is the user's mistake.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

type options struct {
	crashes  int
	workers  int
	seed     uint64
	dir      string
	naive    bool
	json     bool
	archives []string
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("snapshotter", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are printed by the caller, and usage below
	flags.IntVar(&o.crashes, "crashes", 100, "`number` of crashes that hit an operation in flight")
	flags.IntVar(&o.workers, "workers", 4, "`number` of operations at a time")
	flags.Uint64Var(&o.seed, "seed", 1, "`number` from which operations and crashes are chosen")
	flags.StringVar(&o.dir, "dir", "", "empty or new `directory` to work in, kept for inspection (default a temporary one)")
	flags.BoolVar(&o.naive, "naive", false, "do without driftless, in the order in which containerd works")
	flags.BoolVar(&o.json, "json", false, "print the result as one JSON object last")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stderr)
		_, _ = fmt.Fprintln(stderr, "usage: snapshotter [flags] [layer.tar | layer.tar.gz ...]")
		flags.PrintDefaults()
	}
	if err != nil {
		return o, err
	}
	o.archives = flags.Args()
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch i := slices.IndexFunc(o.archives, func(name string) bool { return strings.HasPrefix(name, "-") }); {
	case i >= 0:
		return o, fmt.Errorf("%s: flags stand before the layers (a layer of that name is ./%[1]s)", o.archives[i])
	case given["dir"] && o.dir == "":
		return o, errors.New("-dir: must not be empty")
	case o.crashes < 0:
		return o, fmt.Errorf("-crashes %d: must not be negative", o.crashes)
	case o.workers < 1 || o.workers > 1000:
		return o, fmt.Errorf("-workers %d: must be from 1 to 1000", o.workers)
	}
	return o, nil
}

// directory returns where to work, and what to do about it afterwards.
func (o options) directory() (dir string, cleanup func() error, err error) {
	if o.dir == "" {
		if dir, err = os.MkdirTemp("", "snapshotter-"); err != nil {
			return "", nil, err
		}
		cleanup = func() error { return os.RemoveAll(dir) }
		if err := os.Mkdir(filepath.Join(dir, stateDir), 0o700); err != nil {
			return "", nil, errors.Join(err, cleanup())
		}
		return dir, cleanup, nil
	}
	if dir, err = filepath.Abs(o.dir); err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, usageError{err}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, usageError{err}
	}
	if len(entries) > 0 {
		return "", nil, usageError{fmt.Errorf("-dir %s: %w", o.dir, errNotEmpty)}
	}
	// Made by one run only, and by none where nothing can be made.
	if err := os.Mkdir(filepath.Join(dir, stateDir), 0o700); err != nil {
		return "", nil, usageError{err}
	}
	return dir, func() error { return nil }, nil
}

// stateDir is the snapshotter's directory, below the one to work in.
const stateDir = "state"

var errNotEmpty = errors.New("directory is not empty")
