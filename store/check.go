package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// A Violation is one thing that Check found wrong.
type Violation struct {
	Invariant int    // number in the package comment; 0: the database file itself
	Where     string // bucket or table
	Text      string
}

// String returns the violation on one line.
func (v Violation) String() string {
	return fmt.Sprintf("(%d) %s: %s", v.Invariant, v.Where, v.Text)
}

// A CheckReport is the result of Check.
type CheckReport struct {
	Values     int // looked at
	Devices    int // records looked at
	Violations []Violation
}

// Err returns nil when nothing is wrong, else an error that lists the violations
// and is ErrCorrupt.
func (r *CheckReport) Err() error {
	if len(r.Violations) == 0 {
		return nil
	}
	lines := make([]string, len(r.Violations))
	for i, v := range r.Violations {
		lines[i] = v.String()
	}
	return fmt.Errorf("%w: %s", ErrCorrupt, strings.Join(lines, "; "))
}

func (r *CheckReport) add(invariant int, where, format string, args ...any) {
	r.Violations = append(r.Violations, Violation{invariant, where, fmt.Sprintf(format, args...)})
}

// Check reads the whole durable state and compares it with itself: the pages of the
// file, the checksum of every value, records with names, parents and stamps. It
// writes nothing and works on a read-only store. It does not ask the backing; that
// is Reconcile. The error is that of reading, not of what was found.
func (db *DB) Check(ctx context.Context) (*CheckReport, error) {
	db.mu.Lock()
	err := db.enter()
	db.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	defer db.active.Done()
	r := &CheckReport{}
	tx, err := db.beginView()
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	defer tx.end()
	if err := db.checkFilePages(r, tx.read.file); err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	err = db.inspect(func(bucket, key string, stored []byte) {
		r.Values++
		if err := verify(bucket, key, stored); err != nil {
			r.add(9, bucket, "%v", err)
		}
	})
	if err != nil {
		r.add(0, dataName, "%v", err)
		return r, nil
	}
	tables, err := tx.tables()
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	stamps := map[Stamp]string{}
	for _, table := range tables {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("check: %w", err)
		}
		if err := tx.checkTable(r, table, stamps); err != nil {
			return nil, fmt.Errorf("check table %q: %w", table, err)
		}
	}
	return r, nil
}

// checkFilePages checks the pages that a transaction of the file can reach. They
// stay as they are while it is open.
func (db *DB) checkFilePages(r *CheckReport, tx *bolt.Tx) error {
	f, err := openAt(db.dir, dataName, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	size := uint64(db.file.Info().PageSize)
	err = checkPages(f, fileShape{
		pageSize: size,
		root:     uint64(tx.Cursor().Bucket().Root()),
		pages:    uint64(tx.Size()) / size,
	})
	if errors.Is(err, ErrCorrupt) {
		r.add(0, dataName, "%v", err)
		return nil
	}
	return err
}

// checkTable compares the records of a table with its names and with each other.
func (tx *Tx) checkTable(r *CheckReport, table string, stamps map[Stamp]string) error {
	names := map[string]DeviceID{} // as the records have them
	records := map[DeviceID]Record{}
	for rec, err := range tx.deviceRecords(recordsPrefix + table) {
		if errors.Is(err, ErrCorrupt) {
			continue // reported as a value
		}
		if err != nil {
			return err
		}
		r.Devices++
		records[rec.ID] = rec
		if named(rec) {
			if other, ok := names[rec.Name]; ok {
				r.add(4, table, "name %q held by ids %d and %d", rec.Name, other, rec.ID)
			}
			names[rec.Name] = rec.ID
		}
		where := fmt.Sprintf("%s id %d", table, rec.ID)
		if other, ok := stamps[rec.Stamp]; ok && !rec.Stamp.IsZero() {
			r.add(5, table, "%s has the stamp of %s", where, other)
		}
		stamps[rec.Stamp] = where
		if s := rec.Stamp; s.Incarnation == tx.db.incarnation && s.Sequence > tx.db.sequence.Load() {
			r.add(5, table, "id %d has stamp %v, which is not handed out yet", rec.ID, s)
		}
	}
	for _, rec := range records {
		if parent, ok := records[rec.Parent.ID]; !rec.Parent.IsZero() && (!ok || parent.Stamp != rec.Parent.Stamp) {
			r.add(4, table, "id %d has parent %d, stamp %v, which does not exist", rec.ID, rec.Parent.ID, rec.Parent.Stamp)
		}
	}
	c := tx.read.cursor(namesPrefix + table)
	for ok := c.first(); ok; ok = c.next() {
		value, err := unseal(namesPrefix+table, c.key(), c.stored())
		if err != nil {
			continue
		}
		if id, _ := keyID(string(value)); names[c.key()] != id {
			r.add(4, table, "name %q leads to id %d, whose record does not hold it", c.key(), id)
		}
		delete(names, c.key())
	}
	for name, id := range names {
		r.add(4, table, "name %q of id %d is not in the index", name, id)
	}
	return c.err
}

// tables returns the names of the device tables.
func (tx *Tx) tables() (tables []string, err error) {
	buckets, err := tx.read.buckets()
	for _, bucket := range buckets {
		if table, ok := strings.CutPrefix(bucket, recordsPrefix); ok {
			tables = append(tables, table)
		}
	}
	return tables, err
}

// Tables returns the names of the device tables that have ever held a device.
func (db *DB) Tables() (tables []string, err error) {
	err = db.View(func(tx *Tx) (err error) {
		tables, err = tx.tables()
		return err
	})
	return tables, err
}
