package store

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Get returns the usable device of that name. ErrNotFound: there is none.
// ErrPending: an operation on the name is under way, or was cut off and is not
// settled. ErrCorrupt: its record is damaged.
func (d *Devices) Get(name string) (Device, error) {
	return d.get("get", name, 0, func(tx *Tx) (Record, error) { return d.byName(tx, name) })
}

// Lookup returns the usable device of that id; errors are those of Get.
func (d *Devices) Lookup(id DeviceID) (Device, error) {
	return d.get("lookup", "", id, func(tx *Tx) (Record, error) { return d.current(tx, id) })
}

func (d *Devices) get(op, name string, id DeviceID, read func(*Tx) (Record, error)) (Device, error) {
	var rec Record
	for range 2 { // a settling that became durable between read and overlay shows in the second read
		err := d.db.View(func(tx *Tx) (err error) {
			rec, err = read(tx)
			return err
		})
		if err == nil && (rec.State == Faulty || rec.Phase == Removing) {
			err = fmt.Errorf("id %d is %v, %v: %w", rec.ID, rec.State, rec.Phase, ErrNotFound)
		}
		if err != nil {
			return Device{}, &OpError{Op: op, Name: name, ID: id, Err: err}
		}
		if rec.Phase == Ready {
			return rec.Device.clone(), nil
		}
	}
	return Device{}, &OpError{op, rec.Name, rec.ID, rec.Phase, ErrPending}
}

// lookup returns the current record of an id.
func (d *Devices) lookup(id DeviceID) (rec Record, err error) {
	tx, err := d.db.beginView()
	if err != nil {
		return rec, err
	}
	defer tx.end()
	return d.current(tx, id)
}

// List yields the usable devices in order of their ids. It shows one moment; the
// loop's body may change the table. Errors are those of Records.
func (d *Devices) List() iter.Seq2[Device, error] {
	return func(yield func(Device, error) bool) {
		for rec, err := range d.Records() {
			usable := rec.State == Taken && rec.Phase == Ready
			if (err != nil || usable) && !yield(rec.Device, err) {
				return
			}
		}
	}
}

// Faulty yields the records of the faulty ids in order. Errors are those of Records.
func (d *Devices) Faulty() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for rec, err := range d.Records() {
			if rec.State == Faulty && !yield(rec, err) {
				return
			}
		}
	}
}

// Records yields the records of all ids that are not free, in order, those of
// unsettled and faulty ones included. A record that cannot be read is yielded as
// faulty with its id and a CorruptError, and the walk goes on; any other error,
// such as ErrClosed, ends it.
func (d *Devices) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		d.mu.Lock()
		lazy := maps.Clone(d.lazy) // before the view: what is durable by then shows there
		d.mu.Unlock()
		stopped := errors.New("stopped")
		err := d.db.View(func(tx *Tx) error {
			for rec, err := range tx.deviceRecords(d.records) {
				ok := true
				if err == nil {
					l, found := lazy[rec.ID]
					rec, ok = l.over(rec, found)
				}
				rec.Device, rec.History = rec.Device.clone(), slices.Clone(rec.History)
				if ok && !yield(rec, err) {
					return stopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(Record{}, &OpError{Op: "list", Err: err})
		}
	}
}

// deviceRecords yields the stored records of a table.
func (tx *Tx) deviceRecords(bucket string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		c := tx.read.cursor(bucket)
		for ok := c.first(); ok; ok = c.next() {
			rec, err := openRecord(bucket, c.key(), c.stored())
			if err != nil {
				id, _ := keyID(c.key())
				rec = Record{Device: Device{ID: id}, State: Faulty, Reason: err.Error()}
			}
			if !yield(rec, err) {
				return
			}
		}
		if c.err != nil {
			yield(Record{}, c.err)
		}
	}
}
