package naive

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"
)

// Errors of the pool's database.
var (
	ErrExists   = errors.New("device already exists")
	ErrNotFound = errors.New("device not found")
)

// A State is how far a device has come.
type State int

// Those of containerd's states that a directory can have, with its numbers.
const (
	Unknown   State = 0
	Creating  State = 1
	Created   State = 2
	Activated State = 4
	Removing  State = 11
	Removed   State = 12
	Faulty    State = 13
)

// States of an id. A free one has been used before; the sequence of the bucket
// tells which have not.
const (
	idFree   = 0
	idTaken  = 1
	idFaulty = 2
)

// Buckets of pool.db.
var (
	DevicesBucket = []byte("devices")    // name -> Info as JSON
	IDsBucket     = []byte("device_ids") // id in decimal -> one byte
)

// Info is the pool's record of one device.
type Info struct {
	ID     uint32 `json:"device_id"`
	Name   string `json:"name"`
	Parent string `json:"parent_name"`
	State  State  `json:"state"`
	Error  string `json:"error"`
}

// metadata is pool.db: which name has which id, and how far it has come.
type metadata struct{ db *bbolt.DB }

// add gives a new device an id. A device of the same name is in the way, unless it
// is faulty: then its record is replaced.
func (m metadata) add(info *Info) error {
	return m.db.Update(func(tx *bbolt.Tx) error {
		old, err := getInfo(tx, info.Name)
		if err == nil && old.State != Faulty {
			return fmt.Errorf("%q: %w", info.Name, ErrExists)
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if info.ID, err = nextID(tx); err != nil {
			return err
		}
		return putInfo(tx, *info)
	})
}

func nextID(tx *bbolt.Tx) (uint32, error) {
	ids := tx.Bucket(IDsBucket)
	cursor := ids.Cursor()
	for key, state := cursor.First(); key != nil; key, state = cursor.Next() {
		if state[0] != idFree {
			continue
		}
		id, err := strconv.ParseUint(string(key), 10, 32)
		if err != nil {
			return 0, err
		}
		return uint32(id), putID(tx, uint32(id), idTaken)
	}
	id, err := ids.NextSequence()
	if err != nil {
		return 0, err
	}
	return uint32(id), putID(tx, uint32(id), idTaken)
}

// change sets the state of a device.
func (m metadata) change(name string, state State, reason string) error {
	return m.db.Update(func(tx *bbolt.Tx) error {
		info, err := getInfo(tx, name)
		if err != nil {
			return err
		}
		info.State, info.Error = state, reason
		if state == Faulty {
			if err := putID(tx, info.ID, idFaulty); err != nil {
				return err
			}
		}
		return putInfo(tx, info)
	})
}

// remove deletes the record of a device and frees its id.
func (m metadata) remove(name string) error {
	return m.db.Update(func(tx *bbolt.Tx) error {
		info, err := getInfo(tx, name)
		if err != nil {
			return err
		}
		if err := tx.Bucket(DevicesBucket).Delete([]byte(name)); err != nil {
			return err
		}
		return putID(tx, info.ID, idFree)
	})
}

func (m metadata) get(name string) (info Info, err error) {
	err = m.db.View(func(tx *bbolt.Tx) error {
		info, err = getInfo(tx, name)
		return err
	})
	return info, err
}

func (m metadata) all() (infos []Info, err error) {
	err = m.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(DevicesBucket).ForEach(func(_, value []byte) error {
			var info Info
			err := json.Unmarshal(value, &info)
			infos = append(infos, info)
			return err
		})
	})
	return infos, err
}

func getInfo(tx *bbolt.Tx, name string) (info Info, err error) {
	value := tx.Bucket(DevicesBucket).Get([]byte(name))
	if value == nil {
		return info, fmt.Errorf("%q: %w", name, ErrNotFound)
	}
	return info, json.Unmarshal(value, &info)
}

func putInfo(tx *bbolt.Tx, info Info) error {
	value, err := json.Marshal(info)
	if err != nil {
		return err
	}
	return tx.Bucket(DevicesBucket).Put([]byte(info.Name), value)
}

func putID(tx *bbolt.Tx, id uint32, state byte) error {
	return tx.Bucket(IDsBucket).Put([]byte(strconv.FormatUint(uint64(id), 10)), []byte{state})
}
