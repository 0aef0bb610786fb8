//go:build linux

package recovery_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/driftlesskv/driftless/atomicfile"
	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// A daemon is what one process has open below one directory: a store with a device
// table, the directories of the devices, and records of its own outside the store.
// Power cuts hit all of it at once.
//
// It uses the table in the three ways that there are, told apart by the names of
// devices: own-* have a record in a file of its own, with Prepare before and Claim
// after it; tx-* have a record in the same store, with ClaimTx; lone-* have none.
type daemon struct {
	db      *store.DB
	devices *store.Devices
	pool    *backing.Dir
	own     *atomicfile.Dir
	report  *recovery.Report // of the opening
}

// txBucket holds the records of tx-* devices.
const txBucket = "own"

// startDaemon opens everything, making what is missing, and recovers.
func startDaemon(dir string) (d *daemon, err error) {
	d = &daemon{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.stop())
		}
	}()
	if err := atomicfile.MkdirAll(filepath.Join(dir, "own"), 0o700); err != nil {
		return d, err
	}
	if d.own, err = atomicfile.OpenDir(filepath.Join(dir, "own")); err != nil {
		return d, err
	}
	if d.pool, err = backing.OpenDir(filepath.Join(dir, "pool")); err != nil {
		return d, err
	}
	d.db, d.report, err = recovery.Open(context.Background(), filepath.Join(dir, "store"), recovery.Options{
		Store: store.Options{SettleDelay: time.Hour}, // nothing is written but what is asked for
		Tables: []recovery.Table{{
			Name:           tableName,
			DevicesOptions: store.DevicesOptions{Backing: d.pool, FirstID: 1, LastID: 64},
			Owner:          d.owner,
		}},
	})
	if err != nil {
		return d, err
	}
	if d.devices, err = d.db.Devices(tableName); err != nil {
		return d, err
	}
	return d, d.removeUncommitted()
}

// removeUncommitted removes the tx-* devices that are not claimed: their record and
// the claim are one transaction, so there is no record.
func (d *daemon) removeUncommitted() error {
	for dev, err := range d.devices.List() {
		if err == nil && strings.HasPrefix(dev.Name, "tx-") && !dev.Claimed {
			err = d.devices.Remove(context.Background(), dev)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stop closes what is open.
func (d *daemon) stop() error {
	var errs []error
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	if d.pool != nil {
		errs = append(errs, d.pool.Close())
	}
	if d.own != nil {
		errs = append(errs, d.own.Close())
	}
	return errors.Join(errs...)
}

// restarted starts a daemon and stops it: what runs first after a crash.
func restarted(dir string) error {
	d, err := startDaemon(dir)
	if err != nil {
		return err
	}
	return d.stop()
}

// owner decides about an own-* by its record. Of the others nothing outside the store
// tells.
func (d *daemon) owner(_ context.Context, name string) (recovery.Liveness, error) {
	if !strings.HasPrefix(name, "own-") {
		return recovery.Unknown, nil
	}
	_, err := d.own.Root().Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return recovery.Gone, nil
	}
	return recovery.Live, err
}

// contentPath returns where the content of a device is.
func (d *daemon) contentPath(id store.DeviceID) string {
	return filepath.Join(d.pool.Path(id), "content")
}

// content returns what a device was filled with, empty when it was not; an error when
// that is torn.
func (d *daemon) content(id store.DeviceID) (string, error) {
	data, err := os.ReadFile(d.contentPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	text, _, _ := strings.Cut(string(data), "\n")
	if string(data) != expanded(text) {
		return "", fmt.Errorf("(2) the content of id %v is torn: %d bytes, starting %.40q", id, len(data), data)
	}
	return text, nil
}

// fill writes the content of a device, durably, as its owner does.
func (d *daemon) fill(id store.DeviceID, text string) error {
	return atomicfile.WriteFile(d.contentPath(id), []byte(expanded(text)), atomicfile.Options{})
}

// expanded returns a content of several sectors, and less than a page, each of which
// tells what it is part of.
func expanded(text string) string {
	const size = 3000
	return strings.Repeat(text+"\n", size/(len(text)+1))
}

// recorded returns the names of which the daemon has records of its own.
func (d *daemon) recorded() (map[string]bool, error) {
	names := map[string]bool{}
	entries, err := fs.ReadDir(d.own.Root().FS(), ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), atomicfile.TempPrefix) {
			names[e.Name()] = true
		}
	}
	return names, d.db.View(func(tx *store.Tx) error {
		for e, err := range tx.Bucket(txBucket).Range(nil, nil) {
			if err != nil {
				return err
			}
			names[string(e.Key)] = true
		}
		return nil
	})
}

// picture returns what there is after recovery, by name: whether a device is claimed
// and recorded, its parent and its content. Faulty ids are under "faulty" and the
// name.
func (d *daemon) picture() (map[string]string, error) {
	found := map[string]string{}
	recorded, err := d.recorded()
	if err != nil {
		return nil, err
	}
	names := map[store.DeviceID]string{}
	for rec, err := range d.devices.Records() {
		if err != nil {
			return nil, err
		}
		names[rec.ID] = rec.Name
		switch {
		case rec.State == store.Faulty:
			found["faulty "+rec.Name] = ""
		case rec.Phase != store.Ready:
			found[rec.Phase.String()+" "+rec.Name] = "not settled"
		default:
			text, err := d.content(rec.ID)
			if err != nil {
				return nil, err
			}
			found[rec.Name] = describe(rec.Claimed, recorded[rec.Name], rec.Parent.ID, text)
			delete(recorded, rec.Name)
		}
	}
	for name := range recorded {
		found[name] = "no device, but a record"
	}
	return found, nil
}

// describe returns the text of a device in a picture.
func describe(claimed, recorded bool, parent store.DeviceID, text string) string {
	return fmt.Sprintf("claimed %t, recorded %t, child %t, content %q", claimed, recorded, parent != 0, text)
}
