package churn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/careful"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/naive"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/step"
	"github.com/driftlesskv/driftless/store"
)

// ChildEnv is the environment variable that makes a process a child. It holds its
// Orders as JSON.
const ChildEnv = "SNAPSHOTTER_CHILD"

// Orders is what a child is told when it is started.
type Orders struct {
	Dir     string
	Naive   bool
	Workers int
	Step    string // at which to die; empty: nowhere
	Hit     int    // at which passing of Step, from 1
}

// MaybeChild makes the process a child if it was started as one: it then carries
// out the commands on its standard input until that ends, and exits. Otherwise it
// returns at once. A program that uses Run calls it first.
func MaybeChild() {
	text, ok := os.LookupEnv(ChildEnv)
	if !ok {
		return
	}
	var orders Orders
	err := json.Unmarshal([]byte(text), &orders)
	if err == nil {
		err = serve(context.Background(), orders, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve opens the snapshotter, which recovers from the crash before, and works
// until there are no more commands.
func serve(ctx context.Context, orders Orders, in io.Reader, out io.Writer) error {
	points := step.Arm(orders.Step, orders.Hit)
	s, err := open(ctx, orders, points)
	if err != nil {
		return err
	}
	w := worker{snapshots: s, out: out}
	w.report(Report{Event: Ready})
	commands := make(chan Command)
	var workers sync.WaitGroup
	for range orders.Workers {
		workers.Go(func() {
			for c := range commands {
				w.do(ctx, c)
			}
		})
	}
	lines := json.NewDecoder(in)
	for {
		var c Command
		if err = lines.Decode(&c); err != nil {
			break
		}
		commands <- c
	}
	close(commands)
	workers.Wait()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, s.Close())
}

func open(ctx context.Context, orders Orders, points *step.Points) (snapshot.Snapshotter, error) {
	if orders.Naive {
		return naive.Open(orders.Dir, points, func(v naive.Volumes) naive.Volumes { return v })
	}
	return careful.Open(ctx, orders.Dir, points, func(b store.Backing) store.Backing {
		return step.Backing(b, points)
	})
}

// A worker carries out commands and tells the parent about them.
type worker struct {
	snapshots snapshot.Snapshotter
	mu        sync.Mutex
	out       io.Writer
}

func (w *worker) do(ctx context.Context, c Command) {
	w.report(Report{Event: Begin, Seq: c.Seq})
	digest, err := w.carryOut(ctx, c)
	if err != nil {
		text := err.Error()
		w.report(Report{Event: Fail, Seq: c.Seq, Error: text[:min(len(text), maxError)]})
		return
	}
	w.report(Report{Event: Ack, Seq: c.Seq, Digest: digest})
}

func (w *worker) carryOut(ctx context.Context, c Command) (digest string, err error) {
	switch c.Op {
	case Prepare:
		return w.snapshots.Prepare(ctx, c.Key, c.Parent, c.Archive)
	case Commit:
		return "", w.snapshots.Commit(ctx, c.Key)
	case View:
		return w.snapshots.View(ctx, c.Key)
	case Remove:
		return "", w.snapshots.Remove(ctx, c.Key)
	}
	return "", fmt.Errorf("unknown command %q", c.Op)
}

func (w *worker) report(r Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// A parent that is gone cannot be told; this process dies with it.
	_ = json.NewEncoder(w.out).Encode(r)
}
