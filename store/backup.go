package store

import (
	"fmt"
	"io"

	bolt "go.etcd.io/bbolt"
)

// WriteTo writes a copy of the whole store, as of the latest commit, to w while the
// store goes on. The copy is a data.db: placed into an empty directory it opens. It
// bears the same identity, so it must replace this store, not run beside it. ErrFailed after a failed commit: what the file holds is then in doubt.
func (db *DB) WriteTo(w io.Writer) (int64, error) {
	db.mu.Lock()
	err := db.enter()
	db.mu.Unlock()
	if err != nil {
		return 0, fmt.Errorf("back up: %w", err)
	}
	defer db.active.Done()
	file, err := db.durableFile()
	if err != nil {
		return 0, fmt.Errorf("back up: %w", err)
	}
	defer rollback(file)
	n, err := file.WriteTo(w)
	if err != nil {
		return n, fmt.Errorf("back up: %w", err)
	}
	return n, nil
}

// durableFile begins a read transaction between two commits, so that its pages
// hold nothing that is not durable.
func (db *DB) durableFile() (*bolt.Tx, error) {
	db.leader <- struct{}{}
	defer func() { <-db.leader }()
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.failed != nil {
		return nil, db.failed
	}
	return db.file.Begin(false)
}
