package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/driftlesskv/driftless/store"
)

// A copy bears its own stamp, and its parent keeps its own.
func childStamp(ctx context.Context, w *world) error {
	parent := device(1, 1)
	first := child(2, 2, parent)
	second := child(3, 3, first)
	return steps(
		func() error { _, err := w.create(ctx, parent); return err },
		func() error { _, err := w.create(ctx, first); return err },
		func() error { _, err := w.create(ctx, second); return err },
		func() error { return w.wantPresent(ctx, parent, first, second) },
		func() error { return w.wantList(ctx, store.Present, parent, first, second) },
		w.reopen,
		func() error { return w.wantPresent(ctx, parent, first, second) },
		func() error { return w.removeAll(ctx, second, first, parent) },
		func() error { return w.wantAbsent(ctx, parent, first, second) },
	)
}

// A parent that is absent, or there under another stamp, is refused, and nothing
// whole comes of it.
func childParent(ctx context.Context, w *world) error {
	parent := device(1, 2)
	if _, err := w.create(ctx, parent); err != nil {
		return err
	}
	for _, wrong := range []store.Device{device(1, 1), device(9, 9)} {
		dev := child(2, 3, wrong)
		_, err := w.Backing.Create(ctx, dev)
		if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrStale) {
			return fmt.Errorf("create with a parent that is not there returns %v, not %q or %q", err, store.ErrNotFound, store.ErrStale)
		}
		presence, _, err := w.Probe(ctx, dev.ID)
		if err != nil || presence == store.Present {
			return fmt.Errorf("probe after a create without its parent answers %v, error %v", presence, err)
		}
		if err := w.remove(ctx, dev); err != nil {
			return err
		}
	}
	return w.wantList(ctx, store.Present, parent)
}

// A copy starts with its parent's content. From then on the two are independent.
func childContent(ctx context.Context, w *world) error {
	parent := device(1, 1)
	dev := child(2, 2, parent)
	return steps(
		func() error { _, err := w.create(ctx, parent); return err },
		func() error { return w.Write(parent.ID, "old") },
		func() error { _, err := w.create(ctx, dev); return err },
		func() error { return w.wantContent(dev, "old") },
		func() error { return w.Write(parent.ID, "of the parent") },
		func() error { return w.wantContent(dev, "old") },
		func() error { return w.Write(dev.ID, "of the child") },
		func() error { return w.wantContent(parent, "of the parent") },
		func() error { return w.wantContent(dev, "of the child") },
		w.reopen,
		func() error { return w.wantContent(parent, "of the parent") },
		func() error { return w.wantContent(dev, "of the child") },
		func() error { return w.remove(ctx, dev) },
		func() error { return w.wantContent(parent, "of the parent") },
		func() error { return w.wantPresent(ctx, parent) },
	)
}
