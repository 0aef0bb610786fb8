package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/driftlesskv/driftless/store"
)

// A world is a harness with its backing open, and the steps that checks are made of.
// Each step returns an error that tells what was asked and what came back.
type world struct {
	Harness
	store.Backing
	newHarness func() (Harness, error)
}

func newWorld(newHarness func() (Harness, error)) (*world, error) {
	h, err := newHarness()
	if err != nil {
		return nil, fmt.Errorf("make harness: %w", err)
	}
	return &world{Harness: h, newHarness: newHarness}, nil
}

// reopen simulates a restart of the process.
func (w *world) reopen() error {
	if err := w.shut(); err != nil {
		return err
	}
	b, err := w.Open()
	if err != nil {
		return fmt.Errorf("open backing: %w", err)
	}
	w.Backing = b
	return nil
}

func (w *world) shut() error {
	c, ok := w.Backing.(io.Closer)
	w.Backing = nil
	if !ok {
		return nil
	}
	if err := c.Close(); err != nil {
		return fmt.Errorf("close backing: %w", err)
	}
	return nil
}

func (w *world) close() error {
	err := w.shut()
	if w.Close != nil {
		err = errors.Join(err, w.Close())
	}
	return err
}

// device returns a device whose intent has this number.
func device(id store.DeviceID, intent uint64) store.Device {
	return store.Device{
		ID:     id,
		Name:   fmt.Sprintf("device-%d", intent),
		Stamp:  store.Stamp{Incarnation: 0x5eed, Sequence: intent},
		Labels: map[string]string{"intent": fmt.Sprint(intent)},
	}
}

// child returns a device that is a copy of parent.
func child(id store.DeviceID, intent uint64, parent store.Device) store.Device {
	dev := device(id, intent)
	dev.Parent = parent.Ref()
	return dev
}

func (w *world) create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	attrs, err := w.Backing.Create(ctx, dev)
	if err != nil {
		return nil, fmt.Errorf("create of id %v under stamp %v: %w", dev.ID, dev.Stamp, err)
	}
	return attrs, nil
}

func (w *world) remove(ctx context.Context, dev store.Device) error {
	if err := w.Backing.Remove(ctx, dev); err != nil {
		return fmt.Errorf("remove of id %v under stamp %v: %w", dev.ID, dev.Stamp, err)
	}
	return nil
}

// removeAll removes devices in this order.
func (w *world) removeAll(ctx context.Context, devs ...store.Device) error {
	for _, dev := range devs {
		if err := w.remove(ctx, dev); err != nil {
			return err
		}
	}
	return nil
}

// wantError fails unless err is want.
func wantError(what string, err, want error) error {
	if err == nil {
		return fmt.Errorf("%s returns nil, not %q", what, want)
	}
	if !errors.Is(err, want) {
		return fmt.Errorf("%s returns %w, not %q", what, err, want)
	}
	return nil
}

// wantProbe fails unless the probe of id answers so. Of a half-made device the stamp
// may be unreadable.
func (w *world) wantProbe(ctx context.Context, id store.DeviceID, want store.Presence, stamp store.Stamp) error {
	presence, got, err := w.Probe(ctx, id)
	if err != nil {
		return fmt.Errorf("probe of id %v: %w", id, err)
	}
	if presence != want {
		return fmt.Errorf("probe of id %v answers %v, not %v", id, presence, want)
	}
	if got != stamp && !(want == store.Partial && got.IsZero()) {
		return fmt.Errorf("probe of id %v answers stamp %v, not %v", id, got, stamp)
	}
	return nil
}

func (w *world) wantPresent(ctx context.Context, devs ...store.Device) error {
	for _, dev := range devs {
		if err := w.wantProbe(ctx, dev.ID, store.Present, dev.Stamp); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) wantAbsent(ctx context.Context, devs ...store.Device) error {
	for _, dev := range devs {
		if err := w.wantProbe(ctx, dev.ID, store.Absent, store.Stamp{}); err != nil {
			return err
		}
	}
	return nil
}

// list returns the resources by id, or an error when one id is listed twice.
func (w *world) list(ctx context.Context) (map[store.DeviceID]store.Resource, error) {
	all := map[store.DeviceID]store.Resource{}
	for res, err := range w.List(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		if _, twice := all[res.ID]; twice {
			return nil, fmt.Errorf("list yields id %v twice", res.ID)
		}
		all[res.ID] = res
	}
	return all, nil
}

// wantList fails unless exactly devs are listed, each with this presence.
func (w *world) wantList(ctx context.Context, presence store.Presence, devs ...store.Device) error {
	all, err := w.list(ctx)
	if err != nil {
		return err
	}
	for _, dev := range devs {
		res, ok := all[dev.ID]
		if !ok {
			return fmt.Errorf("list omits id %v, which is %v", dev.ID, presence)
		}
		if err := wantResource(res, dev, presence); err != nil {
			return err
		}
		delete(all, dev.ID)
	}
	if len(all) > 0 {
		return fmt.Errorf("list yields what is not there: %v", slices.Collect(maps.Values(all)))
	}
	return nil
}

// wantResource compares what a listing says about a device. What a backing does not
// store it leaves empty.
func wantResource(res store.Resource, dev store.Device, presence store.Presence) error {
	unread := presence == store.Partial && res.Stamp.IsZero()
	switch {
	case res.Presence != presence:
		return fmt.Errorf("list says that id %v is %v, not %v", dev.ID, res.Presence, presence)
	case res.Stamp != dev.Stamp && !unread:
		return fmt.Errorf("list says that id %v has stamp %v, not %v", dev.ID, res.Stamp, dev.Stamp)
	case res.Name != "" && res.Name != dev.Name:
		return fmt.Errorf("list says that id %v has name %q, not %q", dev.ID, res.Name, dev.Name)
	case !res.Parent.IsZero() && res.Parent != dev.Parent:
		return fmt.Errorf("list says that id %v has parent %v, not %v", dev.ID, res.Parent, dev.Parent)
	case len(res.Labels) > 0 && !maps.Equal(res.Labels, dev.Labels):
		return fmt.Errorf("list says that id %v has labels %v, not %v", dev.ID, res.Labels, dev.Labels)
	}
	return nil
}

// wantContent fails unless the owner of dev finds this content.
func (w *world) wantContent(dev store.Device, want string) error {
	got, err := w.Read(dev.ID)
	if err != nil {
		return fmt.Errorf("read content of id %v: %w", dev.ID, err)
	}
	if got != want {
		return fmt.Errorf("content of id %v is %q, not %q", dev.ID, got, want)
	}
	return nil
}

// steps returns the first error of the steps, which are made in order.
func steps(all ...func() error) error {
	for _, step := range all {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
