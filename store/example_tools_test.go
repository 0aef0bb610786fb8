package store_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"sync/atomic"

	"github.com/driftlesskv/driftless/store"
)

func ExampleBucket_Cursor() {
	ctx := context.Background()
	db, _, end := exampleTable()
	defer end()

	err := db.Update(ctx, func(tx *store.Tx) error {
		b := tx.Bucket("fruit")
		for _, name := range []string{"apple", "banana", "cherry"} {
			if err := b.Put([]byte(name), []byte{}); err != nil {
				return err
			}
		}
		c := b.Cursor()
		for ok := c.Last(); ok; ok = c.Prev() {
			fmt.Printf("%s\n", c.Key())
		}
		return c.Err()
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// cherry
	// banana
	// apple
}

func ExampleDB_Check() {
	ctx := context.Background()
	db, devices, end := exampleTable()
	defer end()
	if _, err := devices.Create(ctx, "base", store.Spec{}); err != nil {
		log.Fatal(err)
	}
	report, err := db.Check(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Devices, report.Violations, report.Err())
	// Output: 1 [] <nil>
}

// A backup is taken while the store goes on, and opens like any other store.
func ExampleDB_WriteTo() {
	db, _, end := exampleTable()
	defer end()
	var backup bytes.Buffer
	n, err := db.WriteTo(&backup)
	fmt.Println(n == int64(backup.Len()), err)
	// Output: true <nil>
}

// A device that is faulty gives up its name and keeps its resource.
func ExampleDevices_MarkFaulty() {
	ctx := context.Background()
	_, devices, end := exampleTable()
	defer end()
	dev, err := devices.Create(ctx, "disk", store.Spec{})
	if err != nil {
		log.Fatal(err)
	}
	if err := devices.MarkFaulty(ctx, dev, "unreadable sector 9"); err != nil {
		log.Fatal(err)
	}
	for rec, err := range devices.Faulty() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(rec.ID, rec.Name, rec.Reason)
	}
	// Output: 1 disk unreadable sector 9
}

// A counter is an observer that counts what went to the disk.
type counter struct{ commits, creates atomic.Int64 }

func (c *counter) Commit(store.CommitEvent) { c.commits.Add(1) }

func (c *counter) Backing(e store.BackingEvent) {
	if e.Op == "create" {
		c.creates.Add(1)
	}
}

func ExampleObserver() {
	var c counter
	options := store.Options{Observer: &c} // for store.Open
	options.Observer.Commit(store.CommitEvent{Transactions: 3})
	options.Observer.Backing(store.BackingEvent{Op: "create"})
	fmt.Println(c.commits.Load(), c.creates.Load())
	// Output: 1 1
}
