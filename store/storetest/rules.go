package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/driftlesskv/driftless/store"
)

// rules are all rules. Their names are part of the API: RuleError bears them.
var rules = []rule{
	{name: "identity-stable", check: identityStable},
	{name: "identity-unique", check: identityUnique},
	{name: "roundtrip", check: roundtrip},
	{name: "create-idempotent", check: createIdempotent},
	{name: "create-foreign-stamp", check: createForeignStamp},
	{name: "remove-absent", check: removeAbsent},
	{name: "remove-foreign-stamp", check: removeForeignStamp},
	{name: "id-reuse", check: idReuse},
	{name: "canceled", check: canceled},
	{name: "list-stops", check: listStops},
	{name: "reopen", check: reopen},
	{name: "concurrent", check: concurrent},
	{name: "child-stamp", check: childStamp},
	{name: "child-parent", check: childParent},
	{name: "child-content", needs: needsContent, check: childContent},
	{name: "half-made-shown", needs: needsInterrupt, check: halfMadeShown},
	{name: "half-made-completed", needs: needsInterrupt, check: halfMadeCompleted},
	{name: "half-made-removed", needs: needsInterrupt, check: halfMadeRemoved},
	{name: "broken-medium", needs: needsBreak, check: brokenMedium},
	{name: "busy", needs: needsBusy, check: busy},
	{name: "durable", cut: durable},
}

// The identity is the same whenever it is asked for.
func identityStable(ctx context.Context, w *world) error {
	first, err := w.Identity(ctx)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if first == "" {
		return fmt.Errorf("the identity is empty")
	}
	if _, err := w.create(ctx, device(1, 1)); err != nil {
		return err
	}
	for range 2 {
		again, err := w.Identity(ctx)
		if err != nil {
			return fmt.Errorf("identity: %w", err)
		}
		if again != first {
			return fmt.Errorf("the identity was %q and is %q", first, again)
		}
		if err := w.reopen(); err != nil {
			return err
		}
	}
	return nil
}

// Two worlds never have one identity.
func identityUnique(ctx context.Context, w *world) (err error) {
	mine, err := w.Identity(ctx)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	other, err := newWorld(w.newHarness)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.close()) }()
	if err := other.reopen(); err != nil {
		return err
	}
	its, err := other.Identity(ctx)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if its == mine {
		return fmt.Errorf("two backings have the identity %q", mine)
	}
	return nil
}

// What is created is there, what is removed is not.
func roundtrip(ctx context.Context, w *world) error {
	const lastID = 1<<24 - 1 // of the default range
	a, b := device(1, 1), device(lastID, 2)
	return steps(
		func() error { return w.wantAbsent(ctx, a, b) },
		func() error { return w.wantList(ctx, store.Present) },
		func() error { _, err := w.create(ctx, a); return err },
		func() error { return w.wantPresent(ctx, a) },
		func() error { return w.wantAbsent(ctx, b) },
		func() error { _, err := w.create(ctx, b); return err },
		func() error { return w.wantPresent(ctx, a, b) },
		func() error { return w.wantList(ctx, store.Present, a, b) },
		func() error { return w.remove(ctx, a) },
		func() error { return w.wantAbsent(ctx, a) },
		func() error { return w.wantList(ctx, store.Present, b) },
		func() error { return w.remove(ctx, b) },
		func() error { return w.wantAbsent(ctx, a, b) },
		func() error { return w.wantList(ctx, store.Present) },
	)
}

// A repeated Create succeeds, changes nothing and returns the same attributes.
func createIdempotent(ctx context.Context, w *world) error {
	dev := device(7, 1)
	first, err := w.create(ctx, dev)
	if err != nil {
		return err
	}
	if w.Write != nil && w.Read != nil {
		if err := w.Write(dev.ID, "kept"); err != nil {
			return fmt.Errorf("write content: %w", err)
		}
	}
	for range 2 {
		again, err := w.create(ctx, dev)
		if err != nil {
			return fmt.Errorf("repeated %w", err)
		}
		if !maps.Equal(first, again) {
			return fmt.Errorf("repeated create returns attributes %v, at first %v", again, first)
		}
		if w.Write != nil && w.Read != nil {
			if err := w.wantContent(dev, "kept"); err != nil {
				return err
			}
		}
		if err := w.wantList(ctx, store.Present, dev); err != nil {
			return err
		}
		if err := w.reopen(); err != nil {
			return err
		}
	}
	return nil
}

// An id that is held under another stamp is refused and left alone.
func createForeignStamp(ctx context.Context, w *world) error {
	holder, late := device(7, 1), device(7, 2)
	if _, err := w.create(ctx, holder); err != nil {
		return err
	}
	_, err := w.Backing.Create(ctx, late)
	return steps(
		func() error { return wantError("create on an id held under another stamp", err, store.ErrExists) },
		func() error { return w.wantPresent(ctx, holder) },
		func() error { return w.wantList(ctx, store.Present, holder) },
	)
}

// What is not there is removed already.
func removeAbsent(ctx context.Context, w *world) error {
	never, twice := device(3, 1), device(4, 2)
	return steps(
		func() error { return w.remove(ctx, never) },
		func() error { return w.wantAbsent(ctx, never) },
		func() error { _, err := w.create(ctx, twice); return err },
		func() error { return w.removeAll(ctx, twice, twice) },
		func() error { return w.wantAbsent(ctx, never, twice) },
		func() error { return w.wantList(ctx, store.Present) },
	)
}

// A resource under another stamp is refused and left alone.
func removeForeignStamp(ctx context.Context, w *world) error {
	holder, stale := device(7, 2), device(7, 1)
	if _, err := w.create(ctx, holder); err != nil {
		return err
	}
	err := w.Backing.Remove(ctx, stale)
	return steps(
		func() error { return wantError("remove of an id held under another stamp", err, store.ErrStale) },
		func() error { return w.wantPresent(ctx, holder) },
		func() error { return w.wantList(ctx, store.Present, holder) },
	)
}

// An id serves again after its removal, and its first holder cannot touch the next.
func idReuse(ctx context.Context, w *world) error {
	first, second := device(7, 1), device(7, 2)
	return steps(
		func() error { _, err := w.create(ctx, first); return err },
		func() error { return w.remove(ctx, first) },
		func() error { _, err := w.create(ctx, second); return err },
		func() error { return w.wantPresent(ctx, second) },
		func() error {
			return wantError("remove by the first holder", w.Backing.Remove(ctx, first), store.ErrStale)
		},
		func() error {
			_, err := w.Backing.Create(ctx, first)
			return wantError("create by the first holder", err, store.ErrExists)
		},
		func() error { return w.wantPresent(ctx, second) },
		func() error { return w.wantList(ctx, store.Present, second) },
	)
}
