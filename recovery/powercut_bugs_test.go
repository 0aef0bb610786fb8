//go:build linux

package recovery_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/store"
)

// The tests of this file are named for the bugs of containerd's devmapper
// snapshotter, as those of examples/snapshotter are; here the power is cut, at every
// moment. Those bugs that take no power cut are shown there.
//
//	1, 2, 6, 12     below
//	3, 4, 5, 7, 9   need a backend that fails or is exchanged: examples/snapshotter
//	8               needs a damaged record: store.TestPowerCutQuarantine, store.TestDamageAnywhere
//	10, 11          lock and order of allocation: no state on the disk

// bugModels are explored in every state.
var bugModels = []faultfs.Option{faultfs.Models(faultfs.Posix4K, faultfs.Ext4), faultfs.Exhaustive()}

// bugTest is a short script and what must work after it was cut off, in the words of
// the bug, beside all that a churn verifies.
func bugTest(script string, then func(d *daemon, p progress) error) faultfs.Test {
	list := steps(script)
	return faultfs.Test{
		Setup:   cutSetup,
		Work:    cutWork(list),
		Recover: restarted,
		Verify: func(s *faultfs.State) error {
			p, err := progressOf(s)
			if err != nil {
				return err
			}
			d, err := startDaemon(s.Dir())
			if err != nil {
				return err
			}
			if err := errors.Join(then(d, p), d.stop()); err != nil {
				return err
			}
			d, err = startDaemon(s.Dir())
			if err != nil {
				return err
			}
			return errors.Join(idle(d.report), d.consistent(), d.stop())
		},
	}
}

// Bug 1: the caller's own commit is lost after the table has the device. The same
// name asked for again is made, filled, committed and claimed.
func TestPowerCutBug01SameNameAgain(t *testing.T) {
	faultfs.Run(t, bugTest(`prepare(own-a) fill(own-a) record(own-a) claim(own-a)`, func(d *daemon, _ progress) error {
		recorded, err := d.recorded()
		if err != nil {
			return err
		}
		if recorded["own-a"] {
			dev, err := d.devices.Get("own-a")
			if err == nil && !dev.Claimed {
				err = errors.New("(2) the caller has the device, the table has it not claimed")
			}
			return err
		}
		if _, err := d.devices.Get("own-a"); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("(2) the caller does not have the device, the table says %w", err)
		}
		a := &actor{daemon: d, handles: map[string]store.Device{}}
		for _, s := range steps(`prepare(own-a) fill(own-a) record(own-a) claim(own-a) get(own-a)`) {
			if err := a.do(s); err != nil {
				return fmt.Errorf("(10) %s of the same name: %w", s.op, err)
			}
		}
		return nil
	}), bugModels...)
}

// Bug 2: a crash between the removal and the caller's commit. Remove again is nil,
// whatever was done before, and leaves nothing.
func TestPowerCutBug02RemoveAgain(t *testing.T) {
	script := `prepare(own-a) fill(own-a) record(own-a) claim(own-a) unclaim(own-a) forget(own-a) remove(own-a)`
	faultfs.Run(t, bugTest(script, func(d *daemon, p progress) error {
		ctx := context.Background()
		for _, ref := range p.handles {
			dev := store.Device{ID: ref.ID, Stamp: ref.Stamp, Name: "own-a"}
			for range 2 {
				if err := d.devices.Remove(ctx, dev); err != nil {
					return fmt.Errorf("(10) remove again: %w", err)
				}
			}
		}
		if err := ignoreMissing(d.own.Remove("own-a")); err != nil {
			return err
		}
		if len(p.handles) == 0 {
			return nil
		}
		found, err := d.picture()
		if err == nil && len(found) != 1 {
			err = fmt.Errorf("(3) left: %v", found)
		}
		return err
	}), bugModels...)
}

// Bug 6: the database is lost while resources remain. They are reported as orphans
// and left alone, and no creation collides with one.
func TestPowerCutBug06DatabaseLost(t *testing.T) {
	test := bugTest(`create(lone-b:lone-base) fill(lone-b) prepare(own-a) create(lone-c)`, nil)
	test.Recover = nil
	test.Verify = func(s *faultfs.State) error {
		before, err := contents(s.Dir())
		if err != nil {
			return err
		}
		if err := os.RemoveAll(filepath.Join(s.Dir(), "store")); err != nil {
			return err
		}
		d, err := startDaemon(s.Dir())
		if err != nil {
			return err
		}
		err = d.verifyLost(before)
		after, cerr := contents(s.Dir())
		for path, text := range before {
			if after[path] != text {
				err = errors.Join(err, fmt.Errorf("(6) %s was %q and is %q", path, text, after[path]))
			}
		}
		return errors.Join(err, cerr, d.stop())
	}
	faultfs.Run(t, test, bugModels...)
}

// verifyLost returns an error unless everything that is there is an orphan and the
// same names can be made and removed beside it.
func (d *daemon) verifyLost(before map[string]string) error {
	ctx := context.Background()
	orphans := map[store.DeviceID]bool{}
	for _, f := range d.report.Orphans {
		orphans[f.ID] = true
	}
	for path := range before {
		var id store.DeviceID
		if _, err := fmt.Sscanf(filepath.Base(filepath.Dir(filepath.Dir(path))), "%x", &id); err != nil || !orphans[id] {
			return fmt.Errorf("(4) %s is no orphan: %v", path, d.report)
		}
	}
	for _, name := range []string{"lone-b", "own-a", "lone-c"} {
		dev, err := d.devices.Create(ctx, name, store.Spec{})
		if err != nil {
			return fmt.Errorf("(3) create beside the orphans: %w", err)
		}
		if orphans[dev.ID] {
			return fmt.Errorf("(5) id %v is an orphan's", dev.ID)
		}
		if err := d.devices.Remove(ctx, dev); err != nil {
			return fmt.Errorf("(10) %w", err)
		}
	}
	return nil
}

// contents returns the content of every device below a daemon's directory, by path.
func contents(dir string) (map[string]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "pool", "devices", "*", "data", "content"))
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		found[path] = string(data)
	}
	return found, nil
}

// Bug 12: an id that is used again shows its new owner nothing of the old one, and
// no stamp is given out twice, whichever openings the power cut separates.
func TestPowerCutBug12Stamps(t *testing.T) {
	script := `create(lone-a) fill(lone-a) remove(lone-a) create(lone-b) restart() remove(lone-b) create(lone-a)`
	faultfs.Run(t, bugTest(script, func(d *daemon, p progress) error {
		if err := p.stale(d); err != nil {
			return err
		}
		for i, ref := range p.handles {
			if slices.ContainsFunc(p.handles[:i], func(r store.Ref) bool { return r.Stamp == ref.Stamp }) {
				return fmt.Errorf("(5) stamp %v was given out twice", ref.Stamp)
			}
		}
		for dev, err := range d.devices.List() {
			if err != nil {
				return err
			}
			text, err := d.content(dev.ID)
			if err != nil {
				return err
			}
			if text != "" && !strings.HasSuffix(text, dev.Name) {
				return fmt.Errorf("(5) %q shows %q", dev.Name, text)
			}
		}
		return nil
	}), bugModels...)
}
