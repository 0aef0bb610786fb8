package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/careful"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
	"github.com/driftlesskv/driftless/store"
)

// Careful returns the picture of a careful snapshotter's directory. It opens the
// stores for reading only, and without a backing: the directories are read here.
func Careful(ctx context.Context, dir string) (p Picture, err error) {
	p.Records = map[string]snapshot.Record{}
	err = read(ctx, filepath.Join(dir, careful.OwnerDir), func(db *store.DB) error {
		return db.View(func(tx *store.Tx) error {
			for entry, err := range tx.Bucket(careful.Bucket).Range(nil, nil) {
				if err != nil {
					return err
				}
				var record snapshot.Record
				if err := json.Unmarshal(entry.Value, &record); err != nil {
					return err
				}
				p.Records[string(entry.Key)] = record
			}
			return nil
		})
	})
	if err != nil {
		return Picture{}, fmt.Errorf("read owner's records: %w", err)
	}
	err = read(ctx, filepath.Join(dir, careful.DevicesDir), func(db *store.DB) error {
		table, err := db.OpenDevices(ctx, careful.Table, store.DevicesOptions{})
		if err != nil {
			return err
		}
		for record, err := range table.Records() {
			if err != nil {
				return err
			}
			p.Devices = append(p.Devices, device(record))
		}
		return nil
	})
	if err != nil {
		return Picture{}, fmt.Errorf("read device table: %w", err)
	}
	p.Volumes, err = carefulVolumes(filepath.Join(dir, careful.VolumesDir))
	return p, err
}

func read(ctx context.Context, dir string, fn func(*store.DB) error) error {
	db, err := store.Open(ctx, dir, store.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(fn(db), db.Close())
}

func device(r store.Record) Device {
	state := fmt.Sprintf("%v, %v", r.State, r.Phase)
	if !r.Claimed {
		state += ", unclaimed"
	}
	if r.Reason != "" {
		state += ": " + r.Reason
	}
	return Device{
		ID: uint32(r.ID), Name: r.Name, Stamp: r.Stamp.String(), State: state,
		Usable: r.State == store.Taken && r.Phase == store.Ready && r.Claimed,
	}
}
