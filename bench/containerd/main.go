// Command containerd measures what the creation of a thin device costs in the pool
// metadata of containerd's devmapper snapshotter, as command cost of the module above
// does for driftless. It runs containerd's own code; device-mapper is left out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/containerd/containerd/v2/plugins/snapshots/devmapper"

	"github.com/driftlesskv/driftless/bench/internal/cost"
)

// poolFile is the name of the pool's database.
const poolFile = "pool.db"

// deviceSize is the size of the devices, in bytes; it is stored and that is all.
const deviceSize = 10 << 30

var subjects = []cost.Subject{{Name: "containerd 2.4.2, pool metadata", Data: poolFile, Open: open}}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cost.Child(ctx, subjects)
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "containerd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("containerd", flag.ContinueOnError)
	var opts cost.Options
	opts.Register(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	rows, err := cost.Measure(ctx, opts, subjects, os.Stderr)
	if err != nil {
		return err
	}
	return cost.Print(os.Stdout, opts, rows)
}

func open(_ context.Context, dir string) (cost.Instance, error) {
	metadata, err := devmapper.NewPoolMetadata(filepath.Join(dir, poolFile))
	if err != nil {
		return cost.Instance{}, err
	}
	return cost.Instance{
		Create: func(ctx context.Context, name string) error { return create(ctx, metadata, name) },
		Close:  metadata.Close,
	}, nil
}

// create does to metadata what PoolDevice.CreateThinDevice does: it adds the device,
// then notes before and after each of the two steps outside, creation and activation,
// that it is about to be done and that it is done. The test holds it against the
// original.
func create(ctx context.Context, metadata *devmapper.PoolMetadata, name string) error {
	if err := metadata.AddDevice(ctx, &devmapper.DeviceInfo{Name: name, Size: deviceSize}); err != nil {
		return err
	}
	for _, state := range []devmapper.DeviceState{
		devmapper.Creating, devmapper.Created, devmapper.Activating, devmapper.Activated,
	} {
		if err := metadata.UpdateDevice(ctx, name, func(info *devmapper.DeviceInfo) error {
			info.State = state
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
