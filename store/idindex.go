package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// An idIndex is what a table keeps in memory: the free ids and the number of
// children of each device. It follows the sequenced state, which is ahead of the
// durable one; changes are undone when their transaction fails. Guarded by the
// db's writer.
type idIndex struct {
	free     idSet
	order    AllocationOrder
	after    DeviceID // ReuseLast: the id handed out last
	first    DeviceID
	last     DeviceID
	children map[DeviceID]int
	named    int  // records that hold a name, when the index was loaded
	doubt    bool // a record's key may be damaged: an id that looks free may not be
}

func idKey(id DeviceID) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(id)))
}

func keyID(key string) (DeviceID, bool) {
	if len(key) != 4 {
		return 0, false
	}
	return DeviceID(binary.BigEndian.Uint32([]byte(key))), true
}

// loadIndex reads every record. One that is damaged keeps its id from being free;
// as its key may be what is damaged, nothing is handed out before Reconcile.
func (d *Devices) loadIndex(tx *Tx) (idIndex, error) {
	x := idIndex{
		order: d.opts.Order, first: d.opts.FirstID, last: d.opts.LastID,
		children: map[DeviceID]int{},
	}
	_, err := tx.read.value(metaBucket, doubtPrefix+d.table)
	x.doubt = !errors.Is(err, ErrNotFound)
	gap := uint64(x.first) // the lowest id that may be free
	c := tx.read.cursor(d.records)
	for ok := c.first(); ok; ok = c.next() {
		id, valid := keyID(c.key())
		if !valid {
			x.doubt = true
			continue
		}
		rec, err := openRecord(d.records, c.key(), c.stored())
		if err != nil {
			x.doubt = true
		} else if !rec.Parent.IsZero() {
			x.children[rec.Parent.ID]++
		}
		if err == nil && named(rec) {
			x.named++
		}
		if id < x.first || id > x.last {
			continue
		}
		if uint64(id) > gap {
			x.free.add(DeviceID(gap), id-1)
		}
		gap = uint64(id) + 1
	}
	if gap <= uint64(x.last) {
		x.free.add(DeviceID(gap), x.last)
	}
	return x, c.err
}

// checkNames compares the sizes of the name index and of what the records say. They
// differ only if one of the two buckets was damaged as a whole: the index is made
// anew, and as records may be what is gone, no id is handed out before Reconcile.
func (d *Devices) checkNames(ctx context.Context, tx *Tx, x *idIndex) error {
	names := 0
	c := tx.read.cursor(d.names)
	for ok := c.first(); ok; ok = c.next() {
		names++
	}
	if c.err != nil || names == x.named || x.doubt || d.db.opts.ReadOnly {
		return c.err
	}
	x.doubt = true
	return d.db.update(ctx, func(tx *Tx) error {
		tx.put(metaBucket, doubtPrefix+d.table, nil)
		return tx.rebuildNames(d.table)
	})
}

// openRecord checks and decodes a stored record.
func openRecord(bucket, key string, stored []byte) (Record, error) {
	id, valid := keyID(key)
	if !valid {
		return Record{}, &CorruptError{bucket, []byte(key), "key is not an id"}
	}
	value, err := unseal(bucket, key, stored)
	if err != nil {
		return Record{}, err
	}
	rec, err := decodeRecord(id, value)
	if err != nil {
		return Record{}, &CorruptError{bucket, []byte(key), err.Error()}
	}
	return rec, nil
}

// allocate takes a free id for tx. An id that usable refuses, because somebody
// still works on it, is passed over.
func (x *idIndex) allocate(tx *Tx, usable func(DeviceID) bool) (DeviceID, error) {
	start := x.first
	if x.order == ReuseLast && x.after >= x.first && x.after < x.last {
		start = x.after + 1
	}
	id, ok := x.search(start, x.last, usable)
	if !ok && start > x.first {
		id, ok = x.search(x.first, start-1, usable)
	}
	if !ok {
		return 0, fmt.Errorf("no free id from %d to %d: %w", x.first, x.last, ErrExhausted)
	}
	was := x.after
	x.free.remove(id)
	x.after = id
	tx.aborts = append(tx.aborts, func() {
		x.free.add(id, id)
		x.after = was
	})
	return id, nil
}

func (x *idIndex) search(from, to DeviceID, usable func(DeviceID) bool) (DeviceID, bool) {
	for id, ok := x.free.next(from); ok && id <= to; id, ok = x.free.next(id + 1) {
		if usable(id) {
			return id, true
		}
		if id == to {
			break
		}
	}
	return 0, false
}

// release makes id free once tx is sequenced: the next intent to take it follows.
func (x *idIndex) release(tx *Tx, id DeviceID) {
	if id < x.first || id > x.last {
		return
	}
	x.free.add(id, id)
	tx.aborts = append(tx.aborts, func() { x.free.remove(id) })
}

// reserve takes one certain id out of the free ones.
func (x *idIndex) reserve(tx *Tx, id DeviceID) {
	if x.free.remove(id) {
		tx.aborts = append(tx.aborts, func() { x.free.add(id, id) })
	}
}

// addChild counts a child of parent, or with -1 one less.
func (x *idIndex) addChild(tx *Tx, parent Ref, n int) {
	if parent.IsZero() {
		return
	}
	x.count(parent.ID, n)
	tx.aborts = append(tx.aborts, func() { x.count(parent.ID, -n) })
}

func (x *idIndex) count(parent DeviceID, n int) {
	if x.children[parent] += n; x.children[parent] == 0 {
		delete(x.children, parent)
	}
}
