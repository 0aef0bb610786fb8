package recovery_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// exampleDir is a directory that lasts as long as the example.
func exampleDir() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "driftless")
	if err != nil {
		log.Fatal(err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }
}

// exampleDirs is a backing in a directory below dir.
func exampleDirs(dir string) *backing.Dir {
	dirs, err := backing.OpenDir(filepath.Join(dir, "layers"))
	if err != nil {
		log.Fatal(err)
	}
	return dirs
}

func Example() {
	ctx := context.Background()
	dir, remove := exampleDir()
	defer remove()
	dirs := exampleDirs(dir)
	defer func() { _ = dirs.Close() }()

	// The names that the program's own database has. It lost "draft" when it was
	// rolled back.
	own := map[string]bool{"base": true}
	options := recovery.Options{Tables: []recovery.Table{{
		Name:           "layers",
		DevicesOptions: store.DevicesOptions{Backing: dirs},
		Owner: func(_ context.Context, name string) (recovery.Liveness, error) {
			if own[name] {
				return recovery.Live, nil
			}
			return recovery.Gone, nil
		},
	}}}

	run := func(work func(*store.Devices)) {
		db, report, err := recovery.Open(ctx, filepath.Join(dir, "store"), options)
		if err != nil {
			log.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		fmt.Print(report)
		layers, err := db.Devices("layers")
		if err != nil {
			log.Fatal(err)
		}
		work(layers)
	}
	run(func(layers *store.Devices) {
		for _, name := range []string{"base", "draft"} {
			if _, err := layers.Prepare(ctx, name, store.Spec{}); err != nil {
				log.Fatal(err)
			}
		}
		// The program ends here, before it claims them.
	})
	run(func(layers *store.Devices) {
		for layer, err := range layers.List() {
			fmt.Println(layer.Name, layer.Claimed, err)
		}
	})
	// Output:
	// nothing to recover
	// removed: 1
	//   layers id 2 "draft"
	// claimed: 1
	//   layers id 1 "base"
	// base true <nil>
}

func ExampleScrub() {
	ctx := context.Background()
	dir, remove := exampleDir()
	defer remove()
	dirs := exampleDirs(dir)
	defer func() { _ = dirs.Close() }()
	db, _, err := recovery.Open(ctx, filepath.Join(dir, "store"), recovery.Options{Tables: []recovery.Table{{
		Name: "layers", DevicesOptions: store.DevicesOptions{Backing: dirs},
	}}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	layers, err := db.Devices("layers")
	if err != nil {
		log.Fatal(err)
	}

	layer, err := layers.Create(ctx, "base", store.Spec{})
	if err == nil {
		err = layers.MarkFaulty(ctx, layer, "it cannot be mounted")
	}
	if err != nil {
		log.Fatal(err)
	}
	// A claimed device is kept until somebody gives it up.
	report, err := recovery.Scrub(ctx, layers)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(report)

	if err := layers.Unclaim(ctx, layer); err != nil {
		log.Fatal(err)
	}
	report, err = recovery.Scrub(ctx, layers)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("released:", len(report.Released))
	// Output:
	// faulty: 1
	//   layers id 1 "base": it cannot be mounted
	// released: 1
}
