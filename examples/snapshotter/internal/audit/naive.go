package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"go.etcd.io/bbolt"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/naive"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
)

// Naive returns the picture of a naive snapshotter's directory. No process may have
// it open.
func Naive(dir string) (p Picture, err error) {
	p.Records = map[string]snapshot.Record{}
	err = view(filepath.Join(dir, naive.OwnerFile), func(tx *bbolt.Tx) error {
		return tx.Bucket(naive.Bucket).ForEach(func(key, value []byte) error {
			var record snapshot.Record
			err := json.Unmarshal(value, &record)
			p.Records[string(key)] = record
			return err
		})
	})
	if err != nil {
		return Picture{}, fmt.Errorf("read owner's records: %w", err)
	}
	err = view(filepath.Join(dir, naive.PoolFile), func(tx *bbolt.Tx) error {
		p.Devices, err = naiveDevices(tx)
		return err
	})
	if err != nil {
		return Picture{}, fmt.Errorf("read pool: %w", err)
	}
	p.Volumes, err = naiveVolumes(filepath.Join(dir, naive.VolumesDir))
	return p, err
}

func view(path string, fn func(*bbolt.Tx) error) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(db.View(fn), db.Close())
}

// naiveDevices returns the ids that are not free, each with the record that names
// it, if there is one.
func naiveDevices(tx *bbolt.Tx) (devices []Device, err error) {
	named := map[string]naive.Info{}
	err = tx.Bucket(naive.DevicesBucket).ForEach(func(_, value []byte) error {
		var info naive.Info
		err := json.Unmarshal(value, &info)
		named[strconv.FormatUint(uint64(info.ID), 10)] = info
		return err
	})
	if err != nil {
		return nil, err
	}
	err = tx.Bucket(naive.IDsBucket).ForEach(func(key, state []byte) error {
		info, ok := named[string(key)]
		if !ok && state[0] == 0 {
			return nil
		}
		id, err := strconv.ParseUint(string(key), 10, 32)
		devices = append(devices, Device{
			ID: uint32(id), Name: info.Name, Usable: info.State == naive.Activated,
			State: fmt.Sprintf("in state %d", info.State),
		})
		return err
	})
	return devices, err
}
