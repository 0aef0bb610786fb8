package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/driftlesskv/driftless/atomicfile"
)

// What a store's directory holds.
const (
	dataName = "data.db"
	tempName = "data.db.new" // a store in creation; never opened
	lockName = "LOCK"
)

// maxSize is the most that data.db may grow to: 16 GiB, 512 MiB where pointers
// have 32 bits. So much address space is mapped from the start, because bbolt
// otherwise waits for all readers to end when the file outgrows the map.
const maxSize = 1 << (29 + 5*(^uint(0)>>63))

// growth is the step in which data.db is extended, sparsely. Each costs a flush.
const growth = 1 << 20

// Open opens the store in dir, creating both when they are missing. Directories
// that it makes are 0700, files 0600, whatever the umask.
//
// ErrLocked (a *LockedError): another opener did not go away in time. ErrCorrupt:
// there is something in dir that is no store, or damaged; it is left untouched.
// ErrVersion: a newer format. ErrInvalid: dir is a file, or an option is out of
// range. fs.ErrNotExist: read-only, and there is no store. ErrReadOnly: the file
// system is read-only and the options are not. A ctx that ends stops the waiting
// for the lock. On systems other than Linux: errors.ErrUnsupported.
//
// After an error nothing is held.
func Open(ctx context.Context, dir string, opts Options) (*DB, error) {
	opts, err := opts.withDefaults()
	if err == nil {
		db := &DB{
			opts:   opts,
			writer: make(chan struct{}, 1),
			leader: make(chan struct{}, 1),
			tables: map[string]*Devices{},
		}
		if err = db.open(ctx, dir); err == nil {
			return db, nil
		}
		_ = db.release(false) // the error that matters is the first
	}
	return nil, fmt.Errorf("open store %s: %w", dir, describe(err))
}

// describe adds the sentinel that fits an error of the operating system.
func describe(err error) error {
	switch {
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return err
}

func (db *DB) open(ctx context.Context, path string) (err error) {
	if path == "" {
		return fmt.Errorf("no directory given: %w", ErrInvalid)
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	if !db.opts.ReadOnly {
		if err := atomicfile.MkdirAll(path, 0o700); err != nil {
			return err
		}
	}
	if db.dir, err = os.Open(path); err != nil {
		return err
	}
	if db.lock, err = lockDir(ctx, db.dir, db.opts); err != nil {
		return err
	}
	if !db.opts.ReadOnly {
		if err := db.prepareFile(); err != nil {
			return err
		}
	}
	if err := db.openFile(); err != nil {
		return err
	}
	return db.load()
}

// prepareFile sees to it that data.db exists and that what the page cache shows of
// it is what the disk holds. The lock is held.
func (db *DB) prepareFile() error {
	f, err := openAt(db.dir, dataName, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return db.create()
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // synced explicitly where it matters
	if db.lock.clean {
		return nil
	}
	// The last writer did not get to Close. A flush of its may have failed, which
	// leaves pages in the cache that look written and are not; or it died between
	// the rename and the flush of the directory.
	if err := f.Sync(); err != nil {
		return err
	}
	if err := dropCache(f); err != nil {
		return err
	}
	return db.dir.Sync()
}

// create makes data.db: complete and durable under another name, then renamed. A
// crash leaves no store or a whole one.
func (db *DB) create() error {
	if err := removeAt(db.dir, tempName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := db.writeEmpty()
	if err == nil {
		err = renameAt(db.dir, tempName, dataName)
	}
	if err != nil {
		_ = removeAt(db.dir, tempName) // the next Open tries again
		return err
	}
	return db.dir.Sync() // the directory's own name is durable: MkdirAll has seen to it
}

func (db *DB) writeEmpty() (err error) {
	head, err := newHeader()
	if err != nil {
		return err
	}
	file, _, err := openBolt(db.dir, tempName, os.O_CREATE|os.O_EXCL, bolt.Options{})
	if err != nil {
		return err
	}
	defer func() {
		if cerr := file.Close(); err == nil {
			err = cerr
		}
	}()
	return explained(file.Update(func(tx *bolt.Tx) error {
		meta, err := tx.CreateBucket([]byte(metaBucket))
		if err != nil {
			return err
		}
		return meta.Put([]byte(headerKey), seal(metaBucket, headerKey, head.encode()))
	}))
}

// openBolt opens the database file called name below dir, without following a
// symbolic link there.
func openBolt(dir *os.File, name string, flags int, opts bolt.Options) (file *bolt.DB, data *os.File, err error) {
	opts.FreelistType = bolt.FreelistMapType
	opts.NoFreelistSync = true // a freelist written with each commit costs more than the scan at Open
	opts.Timeout = time.Second // our own lock is held: only foreign tools could be in the way
	opts.NoStatistics = true
	opts.OpenFile = func(_ string, flag int, mode os.FileMode) (_ *os.File, err error) {
		data, err = openAt(dir, name, flag&^os.O_CREATE|flags, mode)
		return data, err
	}
	err = guard(func() (err error) {
		file, err = bolt.Open(filepath.Join(dir.Name(), name), 0o600, &opts)
		return err
	})
	if err != nil && data != nil {
		_ = data.Close() // bbolt has done so, unless it panicked
	}
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, nil, fmt.Errorf("%s is open in another program: %w", name, ErrLocked)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, nil, &CorruptError{Reason: err.Error()}
	case err != nil:
		return nil, nil, err
	}
	file.AllocSize = growth
	return file, data, nil
}

func (db *DB) openFile() error {
	err := db.checkFile()
	if err != nil {
		return err
	}
	opts := bolt.Options{ReadOnly: db.opts.ReadOnly}
	if !db.opts.ReadOnly {
		opts.InitialMmapSize, opts.MaxSize = maxSize, maxSize
	}
	db.file, db.data, err = openBolt(db.dir, dataName, 0, opts)
	return err
}

// load reads the header and draws the incarnation.
func (db *DB) load() error {
	tx, err := db.begin()
	if err != nil {
		return err
	}
	defer tx.end()
	b, err := tx.read.value(metaBucket, headerKey)
	if errors.Is(err, ErrNotFound) {
		return &CorruptError{Reason: "a bbolt database, but not of this package"}
	}
	if err != nil {
		return err
	}
	if db.head, err = decodeHeader(b); err != nil {
		return err
	}
	if err := db.head.usable(db.opts.ReadOnly); err != nil {
		return err
	}
	db.incarnation, err = newIncarnation()
	return err
}
