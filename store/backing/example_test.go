package backing_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// A program uses a backing through store.Devices, which gives the stamps and keeps
// the records. Here it is called directly.
func ExampleDir() {
	root, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(root) }()
	dir, err := backing.OpenDir(filepath.Join(root, "pool"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = dir.Close() }()

	ctx := context.Background()
	base := store.Device{ID: 1, Name: "base", Stamp: store.Stamp{Incarnation: 0x5eed, Sequence: 1}}
	if _, err := dir.Create(ctx, base); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir.Path(base.ID), "hello"), []byte("from the base"), 0o600); err != nil {
		log.Fatal(err)
	}

	layer := store.Device{ID: 2, Name: "layer", Stamp: store.Stamp{Incarnation: 0x5eed, Sequence: 2}, Parent: base.Ref()}
	if _, err := dir.Create(ctx, layer); err != nil {
		log.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir.Path(layer.ID), "hello"))
	fmt.Println(string(content), err)

	presence, stamp, err := dir.Probe(ctx, layer.ID)
	fmt.Println(presence, stamp == layer.Stamp, err)
	// Output:
	// from the base <nil>
	// present true <nil>
}

// A test of a program lets the outside world fail as it likes.
func ExampleMemory() {
	pool := backing.NewMemory("pool")
	pool.Script(func(_ context.Context, c backing.Call) backing.Verdict {
		if c.Op == backing.OpCreate && c.N == 1 {
			return backing.Verdict{Effect: backing.Half, Err: errors.New("the cable was pulled")}
		}
		return backing.Verdict{}
	})
	ctx := context.Background()
	dev := store.Device{ID: 7, Stamp: store.Stamp{Incarnation: 0x5eed, Sequence: 1}}

	_, err := pool.Create(ctx, dev)
	presence, _, _ := pool.Probe(ctx, dev.ID)
	fmt.Println(err, "-", presence)

	_, err = pool.Create(ctx, dev)
	presence, _, _ = pool.Probe(ctx, dev.ID)
	fmt.Println(err, "-", presence)
	// Output:
	// the cable was pulled - partial
	// <nil> - present
}
