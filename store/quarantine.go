package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// quarantineBucket keeps damaged values as they were found: its keys are the
// physical bucket, NUL, and the key; its values the stored bytes.
const quarantineBucket = "q"

// Quarantine looks at every value of the store and moves the damaged ones aside, so
// that the rest can be used: later reads of their keys return ErrNotFound, and the
// damaged bytes are kept under Quarantined. The id of a damaged device record
// becomes faulty, and its table hands out no id before Reconcile has run; a damaged
// name index is made anew from the records. It returns what it moved. ErrInUse:
// a device table is open; call it before OpenDevices, as recovery.Open does.
func (db *DB) Quarantine(ctx context.Context) (moved []*CorruptError, err error) {
	db.mu.Lock()
	err = db.enter()
	if err == nil && len(db.tables) > 0 {
		db.active.Done()
		err = fmt.Errorf("a device table is open: %w", ErrInUse)
	}
	db.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	defer db.active.Done()
	if moved, err = db.damaged(); err != nil || len(moved) == 0 {
		return nil, err
	}
	err = db.update(ctx, func(tx *Tx) error {
		rebuild := map[string]bool{}
		for _, bad := range moved {
			if err := tx.quarantine(bad, rebuild); err != nil {
				return err
			}
		}
		for table := range rebuild {
			if err := tx.rebuildNames(table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	return moved, nil
}

// damaged returns an error for every value that is not what was written.
func (db *DB) damaged() (bad []*CorruptError, err error) {
	err = db.inspect(func(bucket, key string, stored []byte) {
		var corrupt *CorruptError
		if errors.As(verify(bucket, key, stored), &corrupt) {
			bad = append(bad, corrupt)
		}
	})
	return bad, err
}

// inspect calls f for every stored value of the durable state.
func (db *DB) inspect(f func(bucket, key string, stored []byte)) error {
	tx, err := db.beginView()
	if err != nil {
		return err
	}
	defer tx.end()
	buckets, err := tx.read.buckets()
	if err != nil {
		return err
	}
	for _, bucket := range buckets {
		c := tx.read.cursor(bucket)
		for ok := c.first(); ok; ok = c.next() {
			f(bucket, c.key(), c.stored())
		}
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// verify checks one stored value as far as its bucket tells what it must be.
func verify(bucket, key string, stored []byte) error {
	if strings.HasPrefix(bucket, recordsPrefix) {
		_, err := openRecord(bucket, key, stored)
		return err
	}
	value, err := unseal(bucket, key, stored)
	if err == nil && strings.HasPrefix(bucket, namesPrefix) && len(value) != 4 {
		err = &CorruptError{bucket, []byte(key), "value is not an id"}
	}
	return err
}

func (tx *Tx) quarantine(bad *CorruptError, rebuild map[string]bool) error {
	key := string(bad.Key)
	stored, err := tx.read.get(bad.Bucket, key)
	if err != nil || stored == nil || verify(bad.Bucket, key, stored) == nil {
		return err // written anew since it was looked at
	}
	tx.put(quarantineBucket, bad.Bucket+"\x00"+key, stored)
	if bad.Bucket == metaBucket {
		// Not deleted: a table whose identity is lost is not a new table, and a
		// doubt is not cleared by damage. The header is not reached: Open needs it.
		tx.put(metaBucket, key, nil)
		return nil
	}
	if err := tx.delete(bad.Bucket, key); err != nil {
		return err
	}
	if table, ok := strings.CutPrefix(bad.Bucket, namesPrefix); ok {
		rebuild[table] = true
	}
	if table, ok := strings.CutPrefix(bad.Bucket, recordsPrefix); ok {
		rebuild[table] = true
		tx.put(metaBucket, doubtPrefix+table, nil)
		if id, ok := keyID(key); ok && id != 0 {
			return tx.putDamaged(table, id, bad)
		}
	}
	return nil
}

// putDamaged puts a faulty record in place of a damaged one. Its name is the one
// that the index still has for the id.
func (tx *Tx) putDamaged(table string, id DeviceID, bad *CorruptError) error {
	rec := Record{Device: Device{ID: id}, State: Faulty, Phase: Ready, Since: now()}
	rec.note(bad.Error())
	c := tx.read.cursor(namesPrefix + table)
	for ok := c.first(); ok; ok = c.next() {
		if value, err := unseal(namesPrefix+table, c.key(), c.stored()); err == nil && string(value) == idKey(id) {
			rec.Name = c.key()
		}
	}
	tx.put(recordsPrefix+table, idKey(id), rec.encode())
	return c.err
}

// rebuildNames makes the name index of a table anew from its records.
func (tx *Tx) rebuildNames(table string) error {
	var stale []string
	c := tx.snapshot().cursor(namesPrefix + table)
	for ok := c.first(); ok; ok = c.next() {
		stale = append(stale, c.key())
	}
	for _, name := range stale {
		if err := tx.delete(namesPrefix+table, name); err != nil {
			return err
		}
	}
	for rec, err := range tx.deviceRecords(recordsPrefix + table) {
		if err != nil {
			return err
		}
		if named(rec) {
			tx.put(namesPrefix+table, rec.Name, []byte(idKey(rec.ID)))
		}
	}
	return c.err
}

// Quarantined yields the damaged values that Quarantine has moved aside, with the
// bucket and key that they were found under. Reason holds the stored bytes, quoted.
func (db *DB) Quarantined() (kept []*CorruptError, err error) {
	err = db.View(func(tx *Tx) error {
		c := tx.read.cursor(quarantineBucket)
		for ok := c.first(); ok; ok = c.next() {
			raw, err := unseal(quarantineBucket, c.key(), c.stored())
			if err != nil {
				return err
			}
			bucket, key, _ := strings.Cut(c.key(), "\x00")
			kept = append(kept, &CorruptError{bucket, []byte(key), fmt.Sprintf("stored bytes %q", raw)})
		}
		return c.err
	})
	return kept, err
}
