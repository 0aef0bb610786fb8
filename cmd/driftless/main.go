// Driftless looks into the stores that programs using the driftless library keep.
//
//	driftless check DIR
//	driftless ids ls DIR [--table TABLE] [--json]
//
// It opens stores read-only: it writes nothing, and a program that has the store
// open keeps it out. The exit status is 0 when all is well, 1 when damage or a
// violation was found and printed, and 2 when the question could not be answered.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/driftlesskv/driftless/store"
)

// errFound ends a command that did its work and found something wrong.
var errFound = errors.New("something is wrong")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run executes one command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	// There is nowhere left to report that stderr is closed.
	_, _ = fmt.Fprintln(stderr, "driftless:", err)
	if errors.Is(err, errFound) {
		return 1
	}
	return 2
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "driftless",
		Short: "Look into driftless stores",
		Long: "Look into driftless stores, read-only.\n\n" +
			"The exit status is 0 when all is well, 1 when damage or a violation was found,\n" +
			"and 2 when the question could not be answered.",
		SilenceErrors: true, // run prints them
		SilenceUsage:  true,
	}
	root.AddCommand(newCheck(), newIDs())
	return root
}

// group returns a command that only holds others. Cobra would answer an unknown
// one below it with its help and success.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(commands...)
	return c
}

// withStore opens the store in dir, calls do and closes it.
func withStore(ctx context.Context, dir string, do func(*store.DB) error) (err error) {
	// No waiting: a program that has the store open will have it for days.
	db, err := store.Open(ctx, dir, store.Options{ReadOnly: true, LockTimeout: -1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(db)
}
