package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// A lazyRecord is what settling made of a record, from the moment it is sequenced
// until it is durable. Views show the durable state only; for a record that is
// settled but lazily so, the outcome is certain, because a crash would come to the
// same one, and the table shows it.
type lazyRecord struct {
	stamp Stamp   // of the record that it replaces
	rec   *Record // nil: the id is free
}

// change replaces was by rec in tx (nil: frees its id), if was is still there as it
// was read, and says whether it did. Keeps (5): a slow settler never touches a
// successor.
func (d *Devices) change(tx *Tx, was Record, rec *Record) (bool, error) {
	cur, err := d.read(tx, was.ID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if cur.Stamp != was.Stamp || cur.State != was.State || cur.Phase != was.Phase {
		return false, nil
	}
	if rec == nil {
		if err := tx.delete(d.records, idKey(was.ID)); err != nil {
			return false, err
		}
		d.ids.addChild(tx, was.Parent, -1)
		d.ids.release(tx, was.ID)
	} else {
		tx.put(d.records, idKey(rec.ID), rec.encode())
	}
	if named(cur) && (rec == nil || !named(*rec)) {
		return true, tx.delete(d.names, cur.Name)
	}
	return true, nil
}

// named tells whether the name of a record is taken by it.
func named(r Record) bool { return r.State == Taken && r.Phase != Removing && r.Name != "" }

// changeLazily is change in a transaction of its own that nobody waits for. The
// transaction may be sequenced again, after a full disk.
func (d *Devices) changeLazily(was Record, rec *Record) error {
	entry := &lazyRecord{stamp: was.Stamp, rec: rec}
	forget := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.lazy[was.ID] == entry {
			delete(d.lazy, was.ID)
		}
	}
	return d.db.lazily(context.Background(), func(tx *Tx) error {
		done, err := d.change(tx, was, rec)
		if err != nil || !done {
			forget()
			return err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.lazy[was.ID] = entry
		tx.durable = append(tx.durable, forget)
		return nil
	})
}

// overlay returns what is true of a record that was read: itself, or what settling
// has made of it since. ok is false when its id is free.
func (d *Devices) overlay(rec Record) (_ Record, ok bool) {
	d.mu.Lock()
	l, found := d.lazy[rec.ID]
	d.mu.Unlock()
	return l.over(rec, found)
}

// over is overlay for one entry of d.lazy, or none.
func (l *lazyRecord) over(rec Record, found bool) (_ Record, ok bool) {
	switch {
	case !found || l.stamp != rec.Stamp:
		return rec, true
	case l.rec == nil:
		return rec, false // no later record bears this stamp
	case rec.State != Taken || rec.Phase == Ready:
		return rec, true
	case l.rec.Phase == Ready && rec.Phase == Removing:
		return rec, true // settled, then removed: the read is the later one
	}
	return *l.rec, true
}

// read returns the record of an id as tx sees it, ErrNotFound when the id is free.
func (d *Devices) read(tx *Tx, id DeviceID) (Record, error) {
	stored, err := tx.read.get(d.records, idKey(id))
	if err != nil {
		return Record{}, err
	}
	if stored == nil {
		return Record{}, fmt.Errorf("id %d: %w", id, ErrNotFound)
	}
	return openRecord(d.records, idKey(id), stored)
}

// current is read, in a View with the overlay.
func (d *Devices) current(tx *Tx, id DeviceID) (Record, error) {
	rec, err := d.read(tx, id)
	if err != nil || tx.own != nil { // an Update reads what is sequenced
		return rec, err
	}
	rec, ok := d.overlay(rec)
	if !ok {
		return rec, fmt.Errorf("id %d: %w", id, ErrNotFound)
	}
	return rec, nil
}

// byName returns the current record that holds a name, ErrNotFound when none does.
func (d *Devices) byName(tx *Tx, name string) (Record, error) {
	value, err := tx.read.value(d.names, name)
	if err != nil {
		return Record{}, err
	}
	id, ok := keyID(string(value))
	if !ok {
		return Record{}, &CorruptError{d.names, []byte(name), "value is not an id"}
	}
	rec, err := d.current(tx, id)
	if err != nil {
		return rec, err
	}
	if !named(rec) || rec.Name != name {
		return rec, fmt.Errorf("name %q: %w", name, ErrNotFound)
	}
	return rec, nil
}

// clone returns d with maps and slices of its own.
func (d Device) clone() Device {
	d.Labels, d.Attrs, d.Meta = maps.Clone(d.Labels), maps.Clone(d.Attrs), slices.Clone(d.Meta)
	return d
}
