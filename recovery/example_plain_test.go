package recovery_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// An app is a program with records of its own; here a map stands for its database.
type app map[string]bool

// Has is what recovery asks: after a crash, what do the app's own records say?
func (a app) Has(name string) (recovery.Liveness, error) {
	if a[name] {
		return recovery.Live, nil
	}
	return recovery.Gone, nil
}

// add makes a device and the app's record of it, so that after a crash between any
// two steps the next start knows what was meant.
func (a app) add(ctx context.Context, devices *store.Devices, b *backing.Dir, name, parent string) error {
	dev, err := devices.Prepare(ctx, name, store.Spec{Parent: parent}) // durable, not yet yours
	if err != nil {
		return err
	}
	if err := fill(b.Path(dev.ID), name); err != nil {
		return err
	}
	a[name] = true                 // your own transaction
	return devices.Claim(ctx, dev) // yours for good
}

// remove deletes a device and the app's record of it.
func (a app) remove(ctx context.Context, devices *store.Devices, name string) error {
	dev, err := devices.Get(name)
	if err != nil {
		return err
	}
	if err := devices.Unclaim(ctx, dev); err != nil {
		return err
	}
	delete(a, name)                 // your own transaction
	return devices.Remove(ctx, dev) // gone; may be called again
}

// fill puts something into the directory of a device, and on the disk.
func fill(path, text string) error {
	f, err := os.Create(filepath.Join(path, "content"))
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		_ = f.Close() // the write's error is the one to tell
		return err
	}
	if err := f.Sync(); err != nil {
		_ = f.Close() // likewise
		return err
	}
	return f.Close()
}

// A program whose own records decide what a crash has left.
func Example_ownRecords() {
	dir, remove := exampleDir()
	defer remove()
	b := exampleDirs(dir)
	defer func() { _ = b.Close() }()
	ctx := context.Background()
	app := app{}

	run := func(work func(*store.Devices) error) {
		db, report, err := recovery.Open(ctx, filepath.Join(dir, "meta"), recovery.Options{
			Tables: []recovery.Table{{
				Name:           "snapshots",
				DevicesOptions: store.DevicesOptions{Backing: b},
				Owner: func(_ context.Context, name string) (recovery.Liveness, error) {
					return app.Has(name)
				},
			}},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer func() { _ = db.Close() }()
		fmt.Print(report) // what the last crash left, and what became of it
		devices, err := db.Devices("snapshots")
		if err == nil {
			err = work(devices)
		}
		if err != nil {
			fmt.Println(err)
		}
	}

	run(func(devices *store.Devices) error {
		if err := app.add(ctx, devices, b, "base", ""); err != nil {
			return err
		}
		if err := app.add(ctx, devices, b, "layer-1", "base"); err != nil {
			return err
		}
		if err := app.remove(ctx, devices, "layer-1"); err != nil {
			return err
		}
		// The program is cut off before its own transaction.
		_, err := devices.Prepare(ctx, "layer-2", store.Spec{Parent: "base"})
		return err
	})
	run(func(devices *store.Devices) error {
		base, err := devices.Get("base")
		if err != nil {
			return err
		}
		content, err := os.ReadFile(filepath.Join(b.Path(base.ID), "content"))
		fmt.Printf("%s: %s\n", base.Name, content)
		return err
	})
	// Output:
	// nothing to recover
	// removed: 1
	//   snapshots id 2 "layer-2"
	// base: base
}

// A report is data: print it, or act on it.
func ExampleReport() {
	dir, remove := exampleDir()
	defer remove()
	pool := backing.NewMemory("pool")
	pool.Plant(store.Resource{ID: 7, Presence: store.Present, Name: "theirs"})
	db, report, err := recovery.Open(context.Background(), filepath.Join(dir, "store"), recovery.Options{
		Tables: []recovery.Table{{Name: "layers", DevicesOptions: store.DevicesOptions{Backing: pool}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	fmt.Println("clean:", report.Clean())
	for _, orphan := range report.Orphans {
		fmt.Println("left alone:", orphan.Table, orphan.ID, orphan.Name)
	}
	for _, faulty := range report.Faulty {
		fmt.Println("out of use:", faulty.Table, faulty.ID)
	}
	// Output:
	// clean: false
	// left alone: layers 7 theirs
	// out of use: layers 7
}
