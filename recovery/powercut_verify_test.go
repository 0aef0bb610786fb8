//go:build linux

package recovery_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
)

// A cutTest is the churn of the scripts, cut off anywhere.
func cutTest(scripts ...[]cutStep) faultfs.Test {
	return faultfs.Test{
		Setup:   cutSetup,
		Work:    cutWork(scripts...),
		Recover: restarted,
		Verify: func(s *faultfs.State) error {
			p, err := progressOf(s)
			if err != nil {
				return err
			}
			return p.verify(s.Dir(), scripts)
		},
	}
}

// A progress is how far the scripts came before the power cut, by their numbers.
type progress struct {
	acked, begun map[int]int
	handles      []store.Ref // that were given out
}

func progressOf(s *faultfs.State) (progress, error) {
	p := progress{acked: map[int]int{}, begun: map[int]int{}}
	for _, m := range s.Marks() {
		var number, i int
		var ref store.Ref
		var stamp string
		if !m.Ack {
			if err := m.Scan(&number); err != nil {
				return p, err
			}
			p.begun[number]++
			continue
		}
		if err := m.Scan(&number, &i, &ref.ID, &stamp); err != nil {
			return p, err
		}
		p.acked[number]++
		ref.Stamp, _ = store.ParseStamp(stamp)
		if ref.ID != 0 && !slices.Contains(p.handles, ref) {
			p.handles = append(p.handles, ref)
		}
	}
	return p, nil
}

// verify holds what a daemon finds, after it has recovered once, against the ten
// invariants. Keeps (1) to (10) honest; (8) is for the sweeps.
func (p progress) verify(dir string, scripts [][]cutStep) error {
	d, err := startDaemon(dir)
	if err != nil {
		return err
	}
	err = p.inspect(d, scripts)
	if err = errors.Join(err, d.stop()); err != nil {
		return err
	}
	// What all this has left is at rest as well.
	if d, err = startDaemon(dir); err != nil {
		return err
	}
	return errors.Join(idle(d.report), d.consistent(), d.stop())
}

func (p progress) inspect(d *daemon, scripts [][]cutStep) error {
	if err := idle(d.report); err != nil {
		return err
	}
	found, err := d.picture()
	if err != nil {
		return err
	}
	if want := describe(true, false, 0, cutBase); found[cutBase] != want {
		return fmt.Errorf("(1) the device from before is %q, not %q", found[cutBase], want)
	}
	delete(found, cutBase)
	for number, script := range scripts {
		if err := p.compare(number, script, found); err != nil {
			return err
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("(4) nobody asked for %v", found)
	}
	if err := d.consistent(); err != nil {
		return err
	}
	if err := p.stale(d); err != nil {
		return err
	}
	for number, script := range scripts {
		if err := p.next(d, number, script); err != nil {
			return fmt.Errorf("(10) next operation: %w", err)
		}
	}
	return nil
}

// idle returns an error if a second recovery has found anything to do.
func idle(r *recovery.Report) error {
	if len(r.Completed)+len(r.Undone)+len(r.Removed)+len(r.Claimed)+len(r.Released) > 0 {
		return fmt.Errorf("(7) the second recovery had something to do:\n%v", r)
	}
	left := *r
	left.Faulty = nil // those that a script gave up; the picture has them
	if !left.Clean() {
		return fmt.Errorf("(4) recovery leaves:\n%v", r)
	}
	return nil
}

// compare takes the devices of one script out of what was found.
func (p progress) compare(number int, script []cutStep, found map[string]string) error {
	mine := map[string]string{}
	for what, text := range found {
		words := strings.Fields(what)
		if slices.ContainsFunc(script, func(s cutStep) bool { return s.name == words[len(words)-1] }) {
			mine[what] = text
			delete(found, what)
		}
	}
	acked, begun := p.acked[number], p.begun[number]
	before, after := modelAfter(script, acked), modelAfter(script, begun)
	if before.admits(mine) || after.admits(mine) {
		return nil
	}
	for n := range acked {
		if m := modelAfter(script, n); m.admits(mine) {
			return fmt.Errorf("(1) script %d: %d steps were acknowledged, %d are there: %v", number, acked, n, mine)
		}
	}
	step := "none"
	if begun > acked {
		step = fmt.Sprint(script[acked])
	}
	return fmt.Errorf("(2) script %d, %d steps acknowledged, in flight %v: found %v, not %v nor %v",
		number, acked, step, mine, before.picture(), after.picture())
}

// consistent compares the records with the resources, and the store with itself.
func (d *daemon) consistent() error {
	ctx := context.Background()
	report, err := d.db.Check(ctx)
	if err == nil {
		err = report.Err()
	}
	if err != nil {
		return fmt.Errorf("(9) %w", err)
	}
	held, faulty := map[store.DeviceID]store.Stamp{}, map[store.DeviceID]bool{}
	for rec, err := range d.devices.Records() {
		if err != nil {
			return err
		}
		held[rec.ID], faulty[rec.ID] = rec.Stamp, rec.State == store.Faulty
	}
	for res, err := range d.pool.List(ctx) {
		if err != nil {
			return err
		}
		switch stamp, ok := held[res.ID]; {
		case !ok:
			return fmt.Errorf("(3) id %v is free, its resource %v under stamp %v", res.ID, res.Presence, res.Stamp)
		case stamp != res.Stamp:
			return fmt.Errorf("(5) id %v has stamp %v, its resource %v", res.ID, stamp, res.Stamp)
		case !faulty[res.ID] && res.Presence != store.Present:
			return fmt.Errorf("(4) id %v is in use, its resource %v", res.ID, res.Presence)
		}
		delete(held, res.ID)
	}
	for id := range held {
		if !faulty[id] {
			return fmt.Errorf("(4) id %v is in use and has no resource", id)
		}
	}
	return nil
}

// stale returns an error if a handle of a device that is gone has any power.
func (p progress) stale(d *daemon) error {
	ctx := context.Background()
	held := map[store.Ref]bool{}
	for rec, err := range d.devices.Records() {
		if err != nil {
			return err
		}
		held[rec.Ref()] = true
	}
	before, err := d.picture()
	if err != nil {
		return err
	}
	for _, ref := range p.handles {
		if held[ref] {
			continue
		}
		dev := store.Device{ID: ref.ID, Stamp: ref.Stamp, Name: "stale"}
		if err := d.devices.Claim(ctx, dev); !errors.Is(err, store.ErrStale) {
			return fmt.Errorf("(5) claim by a stale handle: %w", err)
		}
		if err := d.devices.Remove(ctx, dev); err != nil && !errors.Is(err, store.ErrStale) {
			return fmt.Errorf("(5) remove by a stale handle: %w", err)
		}
	}
	after, err := d.picture()
	if err == nil && !maps.Equal(before, after) {
		err = fmt.Errorf("(5) stale handles changed %v to %v", before, after)
	}
	return err
}

// next does with the name that the power cut met what its owner does next: remove
// it, ask for it again, and remove it once more, each removal twice. Without such a
// name it takes a new one.
func (p progress) next(d *daemon, number int, script []cutStep) error {
	ctx := context.Background()
	name := fmt.Sprint("lone-next-", number)
	if i := p.acked[number]; i < len(script) && script[i].name != "" {
		name = script[i].name
	}
	if err := d.removeTwice(ctx, name); err != nil {
		return err
	}
	dev, err := d.devices.Prepare(ctx, name, store.Spec{Parent: cutBase})
	if err == nil {
		err = d.devices.Claim(ctx, dev)
	}
	if err != nil {
		return err
	}
	if slices.Contains(p.handles, dev.Ref()) {
		return fmt.Errorf("(5) stamp %v was given out before", dev.Stamp)
	}
	if text, err := d.content(dev.ID); err != nil || text != cutBase {
		return fmt.Errorf("(2) the content of a copy is %q, error %w", text, err)
	}
	return d.removeTwice(ctx, name)
}

// removeTwice removes the device of a name, if there is one, and once more, with the
// daemon's own records of it. One that is in use has to stay.
func (d *daemon) removeTwice(ctx context.Context, name string) error {
	dev, err := d.devices.Get(name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	err = d.devices.Unclaim(ctx, dev)
	if errors.Is(err, store.ErrInUse) {
		return d.removeChildren(ctx, dev)
	}
	if err == nil && strings.HasPrefix(name, "tx-") {
		err = d.db.Update(ctx, func(tx *store.Tx) error { return tx.Bucket(txBucket).Delete([]byte(name)) })
	}
	if err == nil && strings.HasPrefix(name, "own-") {
		err = ignoreMissing(d.own.Remove(name))
	}
	for range 2 {
		if err == nil {
			err = d.devices.Remove(ctx, dev)
		}
	}
	return err
}

// removeChildren removes the copies of a device and then the device.
func (d *daemon) removeChildren(ctx context.Context, parent store.Device) error {
	var children []string
	for dev, err := range d.devices.List() {
		if err != nil {
			return err
		}
		if dev.Parent == parent.Ref() {
			children = append(children, dev.Name)
		}
	}
	for _, name := range append(children, parent.Name) {
		if err := d.removeTwice(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
