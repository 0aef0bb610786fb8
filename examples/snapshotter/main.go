// Snapshotter shows what a crash does to a program that owns things outside its
// database, and that driftless undoes it.
//
//	go run ./examples/snapshotter                  driftless: drift 0
//	go run ./examples/snapshotter -naive           the usual way: drift > 0
//	go run ./examples/snapshotter base.tar.gz app.tar
//
// The program is a snapshotter like those of container engines: it makes chains of
// directories, each a copy of its parent with one more layer unpacked on top, and
// keeps records of them in a database. Layers are tar archives, given as arguments,
// or made of the Go toolchain's sources. A layer may have 256 MiB when unpacked, and
// names of up to 128 components. One is refused that has an entry behind a link which
// leads out of the layer (an absolute one, too), or one called .snapshot.
//
// A child process prepares, commits, views and removes snapshots with several
// workers. The parent kills it, at random and at every step: before and after each
// call of the library, and each call of the library to the directories. After each
// crash a new child recovers, sometimes killed in turn, and the parent audits: it
// compares the acknowledgements it received, the directories as the operating
// system shows them, and the reopened databases. Then the interrupted operations
// are tried again, and the work goes on.
//
// With -naive the same work is done in the order in which containerd's devmapper
// snapshotter does it: a database for the pool, one for its owner, and a state
// noted before and after every step.
//
// How to read the table:
//
//	operations    acknowledged by the child
//	failed        answered with an error: a correct snapshotter has none
//	crashes       kills that hit at least one operation in flight: begun by the
//	              child that was killed, or cut off in an earlier one and not yet
//	              tried again. Of the latter kind are those during recovery.
//	lost          snapshots acknowledged that are absent or have other content
//	leaked ids    ids that are taken, faulty or half removed, for no snapshot
//	orphans       directories without a record
//	wrong owners  names whose directory holds what belongs to another
//	drift         the sum of the last four
//	killed ...    how many of the crashes were at this step
//
// Something that goes on differing is counted once. The exit status is 1 if there
// was drift or an error, 2 if the arguments were wrong. An interrupt ends the run
// with 1 and with the table as far as it goes; a second one ends it at once.
//
// Killing a process says nothing about what a power cut does, for the operating
// system keeps what the process wrote.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/churn"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
)

func main() {
	churn.MaybeChild()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // the next signal ends the process
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run does what the arguments say and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "snapshotter:", err)
		return 2
	}
	drift, err := o.run(ctx, stdout, stderr)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		_, _ = fmt.Fprintln(stderr, "snapshotter:", err)
		return 2
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "snapshotter:", err)
		return 1
	case drift > 0:
		return 1
	}
	return 0
}

// run churns and prints what came of it.
func (o options) run(ctx context.Context, stdout, stderr io.Writer) (drift int, err error) {
	dir, cleanup, err := o.directory()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, cleanup()) }()
	archives, origin, err := o.layers(ctx, dir)
	if err != nil {
		// An empty directory can be given again.
		return 0, errors.Join(err, os.Remove(filepath.Join(dir, stateDir)))
	}
	progress := newProgress(stderr, o.crashes, fmt.Sprintf("%d layers from %s", len(archives), origin))
	result, err := churn.Run(ctx, churn.Config{
		Dir: filepath.Join(dir, stateDir), Archives: archives, Naive: o.naive,
		Crashes: o.crashes, Workers: o.workers, Seed: o.seed, Progress: progress.show,
	})
	progress.done()
	interrupted := errors.Is(err, context.Canceled)
	if err != nil && !interrupted {
		return 0, err
	}
	if err := o.print(stdout, stderr, result); err != nil {
		return 0, err
	}
	if interrupted {
		return result.Drift(), errInterrupted
	}
	if !o.naive && result.Failed > 0 {
		return result.Drift(), fmt.Errorf("operation failed: %s", result.Failure)
	}
	return result.Drift(), nil
}

var errInterrupted = errors.New("interrupted; the table is incomplete")

// layers returns the archives to unpack, each of which has been tried once.
func (o options) layers(ctx context.Context, dir string) (archives []string, origin string, err error) {
	if len(o.archives) == 0 {
		return layer.Sources(dir)
	}
	for _, archive := range o.archives {
		if archive, err = filepath.Abs(archive); err != nil {
			return nil, "", err
		}
		if err := try(ctx, dir, archive); err != nil {
			return nil, "", err
		}
		archives = append(archives, archive)
	}
	return archives, "the command line", nil
}

// try unpacks archive into a directory in dir and removes that again.
func try(ctx context.Context, dir, archive string) error {
	trial, err := os.MkdirTemp(dir, "trial")
	if err != nil {
		return err
	}
	_, err = layer.Fill(ctx, trial, "trial", archive)
	if err != nil && ctx.Err() == nil {
		err = usageError{err}
	}
	return errors.Join(err, os.RemoveAll(trial))
}
