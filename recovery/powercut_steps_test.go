//go:build linux

package recovery_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/driftlesskv/driftless/atomicfile"
	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
)

// A cutStep is one operation of a daemon on the device of a name.
type cutStep struct{ op, name, parent string }

// steps parses a script: operations with a name and, after a colon, a parent.
func steps(script string) (list []cutStep) {
	for word := range strings.FieldsSeq(script) {
		op, rest, _ := strings.Cut(word, "(")
		name, parent, _ := strings.Cut(strings.TrimSuffix(rest, ")"), ":")
		list = append(list, cutStep{op, name, parent})
	}
	return list
}

// cutBase is a device that is there before every script, for others to be copies of.
const cutBase = "lone-base"

// A cutDevice is what a model knows of a device.
type cutDevice struct {
	claimed, recorded, child bool
	text                     string
}

// A cutModel is what a script leaves, step by step.
type cutModel struct {
	devices map[string]cutDevice
	faulty  map[string]bool // ids of devices that were given up, by the name
	either  map[string]bool // faulty ids that may be free already: they are freed lazily
}

// modelAfter returns what the first n steps leave.
func modelAfter(script []cutStep, n int) cutModel {
	m := cutModel{map[string]cutDevice{}, map[string]bool{}, map[string]bool{}}
	for _, s := range script[:n] {
		dev := m.devices[s.name]
		switch s.op {
		case "prepare", "create":
			dev = cutDevice{claimed: s.op == "create"}
			if s.parent != "" {
				dev.child, dev.text = true, m.devices[s.parent].text
			}
			if s.parent == cutBase {
				dev.text = cutBase
			}
		case "fill":
			dev.text = "content of " + s.name
		case "record":
			dev.recorded = true
		case "forget":
			dev.recorded = false
		case "claim", "unclaim":
			dev.claimed = s.op == "claim"
		case "commit", "uncommit":
			dev.claimed, dev.recorded = s.op == "commit", s.op == "commit"
		case "giveup":
			m.faulty[s.name] = true
		case "reclaim":
			delete(m.faulty, s.name)
			m.either[s.name] = true
		}
		if s.op == "remove" || s.op == "giveup" {
			delete(m.devices, s.name)
		} else if s.name != "" && s.op != "reclaim" {
			m.devices[s.name] = dev
		}
	}
	return m
}

// picture returns what a daemon must find after recovery: what is not claimed is
// claimed or removed, as its owner says.
func (m cutModel) picture() map[string]string {
	want := map[string]string{}
	for name, dev := range m.devices {
		if strings.HasPrefix(name, "own-") && dev.recorded {
			dev.claimed = true
		}
		if !dev.claimed && !strings.HasPrefix(name, "lone-") {
			continue
		}
		parent := store.DeviceID(0)
		if dev.child {
			parent = 1
		}
		want[name] = describe(dev.claimed, dev.recorded, parent, dev.text)
	}
	for name := range m.faulty {
		want["faulty "+name] = ""
	}
	return want
}

// admits tells whether a daemon may have found this.
func (m cutModel) admits(found map[string]string) bool {
	found = maps.Clone(found)
	for name := range m.either {
		delete(found, "faulty "+name)
	}
	return maps.Equal(found, m.picture())
}

// An actor goes through one script.
type actor struct {
	*daemon
	w       *faultfs.W
	number  int
	dir     string
	handles map[string]store.Device // by name
}

// play does the steps and marks each. A handle goes into the mark as its id and stamp.
func (a *actor) play(script []cutStep) error {
	a.handles = map[string]store.Device{}
	for i, s := range script {
		a.w.Begin("step", a.number, i)
		if err := a.do(s); err != nil {
			return fmt.Errorf("step %d, %s of %q: %w", i, s.op, s.name, err)
		}
		dev := a.handles[s.name]
		a.w.Ack("step", a.number, i, dev.ID, dev.Stamp.String())
	}
	return nil
}

func (a *actor) do(s cutStep) (err error) {
	ctx, dev := context.Background(), a.handles[s.name]
	switch s.op {
	case "prepare":
		a.handles[s.name], err = a.devices.Prepare(ctx, s.name, store.Spec{Parent: s.parent})
	case "create":
		a.handles[s.name], err = a.devices.Create(ctx, s.name, store.Spec{Parent: s.parent})
	case "fill":
		err = a.fill(dev.ID, "content of "+s.name)
	case "record":
		err = a.own.WriteFile(s.name, []byte(s.name), atomicfile.Options{})
	case "forget":
		err = a.own.Remove(s.name)
	case "claim":
		err = a.devices.Claim(ctx, dev)
	case "unclaim":
		err = a.devices.Unclaim(ctx, dev)
	case "commit", "uncommit":
		err = a.db.Update(ctx, func(tx *store.Tx) error {
			if s.op == "commit" {
				return errors.Join(tx.Bucket(txBucket).Put([]byte(s.name), []byte("1")), a.devices.ClaimTx(tx, dev))
			}
			return errors.Join(tx.Bucket(txBucket).Delete([]byte(s.name)), a.devices.UnclaimTx(tx, dev))
		})
	case "remove":
		err = a.devices.Remove(ctx, dev)
	case "giveup":
		err = a.devices.MarkFaulty(ctx, dev, "the test says so")
	default:
		return a.look(ctx, s, dev)
	}
	return err
}

// look does the steps that change nothing, or only by finishing what is done.
func (a *actor) look(ctx context.Context, s cutStep, dev store.Device) error {
	switch s.op {
	case "get":
		got, err := a.devices.Get(s.name)
		if err == nil && got.Ref() != dev.Ref() {
			err = fmt.Errorf("it is %v, the handle %v", got.Ref(), dev.Ref())
		}
		return err
	case "list":
		listed := map[store.Ref]bool{}
		for got, err := range a.devices.List() {
			if err != nil {
				return err
			}
			listed[got.Ref()] = true
		}
		if !listed[dev.Ref()] {
			return fmt.Errorf("%v is not listed", dev.Ref())
		}
		return nil
	case "settle":
		outcome, err := a.devices.Settle(ctx, dev.ID)
		if err == nil && outcome != store.Settled {
			err = fmt.Errorf("settled: %v", outcome)
		}
		return err
	case "reclaim":
		outcome, err := a.devices.Reclaim(ctx, dev.ID)
		if err == nil && outcome != store.Released {
			err = fmt.Errorf("reclaimed: %v", outcome)
		}
		return err
	case "scrub":
		_, err := recovery.Scrub(ctx, a.devices)
		return err
	case "restart":
		if err := a.stop(); err != nil {
			return err
		}
		d, err := startDaemon(a.dir)
		a.daemon = d // to be stopped whatever the error is
		return err
	}
	return fmt.Errorf("no operation %q", s.op)
}

// cutSetup makes a daemon's directory with the base device.
func cutSetup(dir string) error {
	d, err := startDaemon(dir)
	if err != nil {
		return err
	}
	dev, err := d.devices.Create(context.Background(), cutBase, store.Spec{})
	if err == nil {
		err = d.fill(dev.ID, cutBase)
	}
	return errors.Join(err, d.stop())
}

// cutWork plays the scripts, several at once.
func cutWork(scripts ...[]cutStep) func(w *faultfs.W) error {
	return func(w *faultfs.W) error {
		d, err := startDaemon(w.Dir())
		if err != nil {
			return err
		}
		if len(scripts) == 1 {
			a := &actor{daemon: d, w: w, dir: w.Dir()}
			err := a.play(scripts[0])
			return errors.Join(err, a.stop())
		}
		errs := make([]error, len(scripts))
		var crew sync.WaitGroup
		for i, script := range scripts {
			crew.Go(func() { errs[i] = (&actor{daemon: d, w: w, number: i}).play(script) })
		}
		crew.Wait()
		return errors.Join(errors.Join(errs...), d.stop())
	}
}
