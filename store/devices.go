package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Devices is a device table: it gives names to numbered resources of a backing and
// keeps both the same through any crash. Its methods may be called from any number
// of goroutines; operations on one name take turns, others run in parallel.
//
// Every error of an operation is an *OpError around one of this package's
// sentinels, the context's error or the backing's.
type Devices struct {
	db       *DB
	table    string
	opts     DevicesOptions
	records  string      // physical bucket: id, 4 bytes big endian -> Record
	names    string      // physical bucket: name -> id
	identity string      // of the backing the table was made with
	known    atomic.Bool // the backing has told that identity since the table was opened

	ids       idIndex // guarded by the db's writer
	nameLocks keyLocks[string]
	idLocks   keyLocks[DeviceID] // held while the outside world is touched
	ctx       context.Context    // of work that outlives its caller; ends with Close
	stop      context.CancelFunc

	loaded bool // guarded by db.mu

	mu   sync.Mutex
	lazy map[DeviceID]*lazyRecord
}

// DevicesOptions of a device table. Only Backing is required.
type DevicesOptions struct {
	// Backing holds the resources. Required, except in a read-only store.
	Backing Backing
	// FirstID and LastID bound the ids that are handed out, both included.
	// 0 means 1 and 1<<24 - 1, the range of dm-thin.
	FirstID, LastID DeviceID
	// Order is the order in which free ids are handed out.
	Order AllocationOrder
	// MaxAttempts is how often settling a device may fail before its id becomes
	// faulty. 0 means 5.
	MaxAttempts int
}

// AllocationOrder says which of the free ids is handed out next.
type AllocationOrder uint8

const (
	// LowestFirst hands out the lowest free id. It is the default.
	LowestFirst AllocationOrder = iota
	// ReuseLast goes through the range in order and comes back to a released id
	// only after all others. It starts at FirstID whenever the table is opened.
	ReuseLast
)

// maxID is the last id that a table hands out by default: dm-thin has 24 bits.
const maxID = 1<<24 - 1

const (
	recordsPrefix  = "d/"
	namesPrefix    = "n/"
	identityPrefix = "identity/" // key of the meta bucket
	doubtPrefix    = "doubt/"    // key of the meta bucket: allocate only after Reconcile
)

// MaxName is the length limit of device and table names, in bytes.
const MaxName = 255

func checkName(what, name string) error {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%s %.40q: want 1 to %d bytes of UTF-8 without NUL and slash: %w", what, name, MaxName, ErrInvalid)
	}
	return nil
}

func (o DevicesOptions) withDefaults(readOnly bool) (DevicesOptions, error) {
	if o.FirstID == 0 {
		o.FirstID = 1
	}
	if o.LastID == 0 {
		o.LastID = maxID
	}
	if o.MaxAttempts == 0 {
		o.MaxAttempts = 5
	}
	switch {
	case o.Backing == nil && !readOnly:
		return o, fmt.Errorf("no backing: %w", ErrInvalid)
	case o.FirstID > o.LastID:
		return o, fmt.Errorf("ids %d to %d: %w", o.FirstID, o.LastID, ErrInvalid)
	case o.Order > ReuseLast || o.MaxAttempts < 0:
		return o, fmt.Errorf("order %d, attempts %d: %w", o.Order, o.MaxAttempts, ErrInvalid)
	}
	return o, nil
}

// OpenDevices opens the device table of that name, making it when it is missing.
// It settles nothing: recovery.Open does. It returns ErrInvalid for a bad name or
// option, ErrExists when the table is open already, ErrIdentity when the backing is
// not the one that the table was made with. A backing that cannot tell its identity
// now is accepted for a table that exists; until it can, nothing is concluded from
// what it says.
func (db *DB) OpenDevices(ctx context.Context, table string, opts DevicesOptions) (*Devices, error) {
	d, err := db.openDevices(ctx, table, opts)
	if err != nil {
		return nil, fmt.Errorf("open device table %.40q: %w", table, err)
	}
	return d, nil
}

func (db *DB) openDevices(ctx context.Context, table string, opts DevicesOptions) (*Devices, error) {
	if err := checkName("table", table); err != nil {
		return nil, err
	}
	opts, err := opts.withDefaults(db.opts.ReadOnly)
	if err != nil {
		return nil, err
	}
	d := &Devices{
		db: db, table: table, opts: opts,
		records: recordsPrefix + table, names: namesPrefix + table,
		lazy: map[DeviceID]*lazyRecord{},
	}
	d.ctx, d.stop = context.WithCancel(context.Background())
	db.mu.Lock()
	if err := db.enter(); err != nil {
		db.mu.Unlock()
		return nil, err
	}
	defer db.active.Done()
	if db.tables[table] != nil {
		db.mu.Unlock()
		return nil, fmt.Errorf("open already: %w", ErrExists)
	}
	db.tables[table] = d // reserves the name; not usable before load is done
	db.mu.Unlock()
	if err = d.load(ctx); err != nil {
		d.stop()
		db.mu.Lock()
		delete(db.tables, table)
		db.mu.Unlock()
		return nil, err
	}
	return d, nil
}

// Devices returns the open device table of that name, ErrNotFound when there is none.
func (db *DB) Devices(table string) (*Devices, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	d := db.tables[table]
	if d == nil || !d.loaded {
		return nil, fmt.Errorf("device table %.40q is not open: %w", table, ErrNotFound)
	}
	return d, nil
}

// load checks the backing's identity and builds the index.
func (d *Devices) load(ctx context.Context) error {
	tx, err := d.db.beginView()
	if err != nil {
		return err
	}
	known, err := tx.read.value(metaBucket, identityPrefix+d.table)
	tx.end()
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	d.identity = string(known)
	if d.opts.Backing != nil {
		if err := d.bind(ctx, err != nil); err != nil {
			return err
		}
	}
	if tx, err = d.db.beginView(); err != nil {
		return err
	}
	defer tx.end()
	ids, err := d.loadIndex(tx)
	if err != nil {
		return err
	}
	if err := d.checkNames(ctx, tx, &ids); err != nil {
		return err
	}
	d.db.mu.Lock()
	defer d.db.mu.Unlock()
	d.ids, d.loaded = ids, true
	return nil
}

// beginView begins a read of the durable state, for callers that have entered.
func (db *DB) beginView() (*Tx, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.begin(db.undo)
}

// observe reports one call of the backing.
func (d *Devices) observe(op string, id DeviceID, start time.Time, err error) {
	if o := d.db.opts.Observer; o != nil {
		o.Backing(BackingEvent{d.table, op, id, time.Since(start), err})
	}
}

// Table returns the table's name.
func (d *Devices) Table() string { return d.table }
