package store_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "driftless")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	db, err := store.Open(ctx, dir, store.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	err = db.Update(ctx, func(tx *store.Tx) error {
		return tx.Bucket("config").Put([]byte("colour"), []byte("green"))
	})
	if err != nil {
		log.Fatal(err)
	}
	// From here on no power cut loses the colour.
	err = db.View(func(tx *store.Tx) error {
		colour, err := tx.Bucket("config").Get([]byte("colour"))
		fmt.Printf("%s\n", colour)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: green
}

// exampleTable is a device table in a store that ends with the example.
func exampleTable() (_ *store.DB, _ *store.Devices, end func()) {
	dir, err := os.MkdirTemp("", "driftless")
	if err != nil {
		log.Fatal(err)
	}
	db, err := store.Open(context.Background(), dir, store.Options{})
	if err != nil {
		log.Fatal(err)
	}
	devices, err := db.OpenDevices(context.Background(), "snapshots", store.DevicesOptions{
		Backing: backing.NewMemory("example"),
	})
	if err != nil {
		log.Fatal(err)
	}
	return db, devices, func() {
		_ = db.Close()
		_ = os.RemoveAll(dir)
	}
}

// A program with records of its own makes a device in four steps.
func ExampleDevices_Prepare() {
	ctx := context.Background()
	_, devices, end := exampleTable()
	defer end()

	dev, err := devices.Prepare(ctx, "layer-1", store.Spec{Labels: map[string]string{"kind": "layer"}})
	if err != nil {
		log.Fatal(err)
	}
	// Fill the device; then commit the program's own record of it; then:
	if err := devices.Claim(ctx, dev); err != nil {
		log.Fatal(err)
	}
	fmt.Println(dev.ID, dev.Name)
	// Output: 1 layer-1
}

// Create is for programs without records of their own.
func ExampleDevices_Create() {
	ctx := context.Background()
	_, devices, end := exampleTable()
	defer end()

	if _, err := devices.Create(ctx, "base", store.Spec{}); err != nil {
		log.Fatal(err)
	}
	if _, err := devices.Create(ctx, "child", store.Spec{Parent: "base"}); err != nil {
		log.Fatal(err)
	}
	for dev, err := range devices.List() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(dev.ID, dev.Name, "on", dev.Parent.ID)
	}
	// Output:
	// 1 base on 0
	// 2 child on 1
}

func ExampleDevices_Remove() {
	ctx := context.Background()
	_, devices, end := exampleTable()
	defer end()

	dev, err := devices.Create(ctx, "scratch", store.Spec{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(devices.Remove(ctx, dev))
	fmt.Println(devices.Remove(ctx, dev)) // what is gone stays gone
	// Output:
	// <nil>
	// <nil>
}

// When the program's own records live in the same store, one transaction does both.
func ExampleDevices_ClaimTx() {
	ctx := context.Background()
	db, devices, end := exampleTable()
	defer end()

	dev, err := devices.Prepare(ctx, "volume", store.Spec{})
	if err != nil {
		log.Fatal(err)
	}
	err = db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Bucket("volumes").Put([]byte("volume"), []byte("owner=alice")); err != nil {
			return err
		}
		return devices.ClaimTx(tx, dev)
	})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleBucket_Range() {
	ctx := context.Background()
	db, _, end := exampleTable()
	defer end()

	err := db.Update(ctx, func(tx *store.Tx) error {
		b := tx.Bucket("fruit")
		for _, name := range []string{"cherry", "apple", "banana"} {
			if err := b.Put([]byte(name), []byte{}); err != nil {
				return err
			}
		}
		for entry, err := range b.Range([]byte("b"), nil) {
			if err != nil {
				return err
			}
			fmt.Printf("%s\n", entry.Key)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// banana
	// cherry
}
