// Command cost measures what the creation of a device costs: transactions of the
// metadata database, flushes and bytes, with a backing that costs nothing and with
// directories, for one caller and for several at once. With -containerd it measures
// the metadata of containerd's devmapper snapshotter beside it.
//
// It needs strace; as root it also measures what an ext4 of its own gives to its disk.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/driftlesskv/driftless/bench/internal/cost"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cost.Child(ctx, subjects)
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("cost", flag.ContinueOnError)
	var opts cost.Options
	opts.Register(flags)
	containerd := flags.Bool("containerd", false, "measure containerd's pool metadata too; builds ./containerd, which needs Go 1.26.6 and the module proxy")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var program string
	if *containerd { // first, because it may fail
		dir, err := os.MkdirTemp("", "cost-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }() // nothing depends on it
		program = filepath.Join(dir, "containerd")
		if err := build(ctx, program); err != nil {
			return err
		}
	}
	rows, err := cost.Measure(ctx, opts, subjects, os.Stderr)
	if err != nil {
		return err
	}
	if *containerd {
		more, err := rowsOf(ctx, program, opts)
		if err != nil {
			return err
		}
		rows = append(rows, more...)
	}
	return cost.Print(os.Stdout, opts, rows)
}

// build builds the command that measures containerd, which is a module of its own
// outside the workspace.
func build(ctx context.Context, program string) error {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/driftlesskv/driftless/bench")
	list.Stderr = os.Stderr
	module, err := list.Output()
	if err != nil {
		return fmt.Errorf("find the module of this command: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	cmd.Dir = filepath.Join(strings.TrimSpace(string(module)), "containerd")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", cmd.Dir, err)
	}
	return nil
}

func rowsOf(ctx context.Context, program string, opts cost.Options) (rows []cost.Row, err error) {
	cmd := exec.CommandContext(ctx, program, opts.Args()...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it has a disk to unmount
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("measure containerd: %w", err)
	}
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
		return nil, fmt.Errorf("measure containerd: %w", err)
	}
	return rows, nil
}
