//go:build amd64 && !race

package sqlitetest_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/internal/capture"
	"github.com/driftlesskv/driftless/faultfs/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"
)

// transactions is how many are committed; each inserts two rows.
const transactions = 3

// open opens the database in dir as one connection with the pragmas given.
func open(dir string, pragmas ...string) (*sql.DB, error) {
	dsn := "file:" + filepath.Join(dir, "db") + "?_pragma=" + strings.Join(pragmas, "&_pragma=")
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// setup makes the table. The journal mode WAL stays with the file, the others are
// set at each opening.
func setup(pragmas []string) func(dir string) error {
	return func(dir string) error {
		db, err := open(dir, pragmas...)
		if err != nil {
			return err
		}
		_, err = db.Exec("CREATE TABLE t (n INTEGER, half INTEGER, data BLOB, PRIMARY KEY (n, half))")
		return errors.Join(err, db.Close())
	}
}

// work commits transactions and acknowledges each.
func work(pragmas []string) func(w *faultfs.W) error {
	return func(w *faultfs.W) error {
		db, err := open(w.Dir(), pragmas...)
		if err != nil {
			return err
		}
		for n := 1; n <= transactions && err == nil; n++ {
			w.Begin("insert", n)
			if err = insert(db, n); err == nil {
				w.Ack("insert", n)
			}
		}
		return errors.Join(err, db.Close())
	}
}

func insert(db *sql.DB, n int) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	for half := range 2 {
		if _, err := tx.Exec("INSERT INTO t VALUES (?, ?, zeroblob(900))", n, half); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// errHot is the one violation that SQLite documents.
var errHot = errors.New("its journal is still there")

// verify demands an intact database with all that was acknowledged, nothing by
// halves, and that the next transaction works. It returns errHot if what is wrong is
// that the last transaction was acknowledged, its journal is still there, and so it
// is rolled back.
func verify(s *faultfs.State, pragmas []string) error {
	_, err := os.Stat(filepath.Join(s.Dir(), "db-journal"))
	journal := err == nil
	db, err := open(s.Dir(), pragmas...)
	if err != nil {
		return err
	}
	last, err := check(db)
	acked, begun := len(s.Acked("insert")), len(s.Begun("insert"))
	switch {
	case err != nil:
	case last > begun:
		err = fmt.Errorf("transaction %d was not begun", last)
	case last == acked-1 && journal:
		err = fmt.Errorf("transaction %d was acknowledged and is rolled back: %w", acked, errHot)
	case last < acked:
		err = fmt.Errorf("%d transactions were acknowledged, %d are there", acked, last)
	}
	if err == nil || errors.Is(err, errHot) {
		if next := insert(db, 1000); next != nil {
			err = fmt.Errorf("the next transaction: %w", next) // errHot or not
		}
	}
	return errors.Join(err, db.Close())
}

// check returns which transaction is the last one that is there.
func check(db *sql.DB) (last int, err error) {
	var integrity string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&integrity); err != nil {
		return 0, err
	}
	if integrity != "ok" {
		return 0, fmt.Errorf("integrity_check: %s", integrity)
	}
	var rows int
	if err := db.QueryRow("SELECT count(*), ifnull(max(n), 0) FROM t").Scan(&rows, &last); err != nil {
		return 0, err
	}
	if rows != 2*last {
		return 0, fmt.Errorf("%d rows up to transaction %d: one is there by halves", rows, last)
	}
	return last, nil
}

// test is the workload with the pragmas. What is accepted is no violation.
func test(pragmas []string, accepted error) faultfs.Test {
	return faultfs.Test{
		Setup: setup(pragmas),
		Work:  work(pragmas),
		Verify: func(s *faultfs.State) error {
			err := verify(s, pragmas)
			if accepted != nil && errors.Is(err, accepted) {
				return nil
			}
			return err
		},
	}
}

// TestRollbackFull shows the gap that SQLite documents for synchronous=FULL: a
// transaction of a rollback journal is committed when the journal is removed, and
// the directory is not synced after that. The transaction can be rolled back, it is
// the last one, and there is no other harm.
func TestRollbackFull(t *testing.T) {
	pragmas := []string{"journal_mode(DELETE)", "synchronous(FULL)"}
	t.Run("fails", func(t *testing.T) {
		var report faultfs.Report
		c := capture.Run(t, func(t faultfs.TB) {
			report = faultfs.Run(t, test(pragmas, nil), faultfs.Models(model.All()...), faultfs.States(500))
		})
		require.Len(t, report.Models, len(model.All()), c.Text())
		for _, m := range report.Models {
			require.Positive(t, m.Found, m)
			assert.Contains(t, m.Violations[0].Story, "unlink db-journal", m.Model)
			assert.Contains(t, m.Violations[0].Story, "missing: an fsync of the directory", m.Model)
		}
	})
	t.Run("only there", func(t *testing.T) {
		clean(t, faultfs.Run(t, test(pragmas, errHot), faultfs.Models(model.All()...)), all...)
	})
}

// TestRollbackExtra shows that synchronous=EXTRA, which syncs the directory, has no
// gap.
func TestRollbackExtra(t *testing.T) {
	pragmas := []string{"journal_mode(DELETE)", "synchronous(EXTRA)"}
	clean(t, faultfs.Run(t, test(pragmas, nil), faultfs.Models(model.All()...)), all...)
}

// TestWAL shows that a write-ahead log with synchronous=FULL has no gap. The index
// of the log is a file that all processes map and write, and no state holds what is
// in it. That is as it should be: SQLite rebuilds it from the log whenever the
// database was not in use, as after every power cut.
func TestWAL(t *testing.T) {
	clean(t, faultfs.Run(t, test(wal, nil), faultfs.Models(model.All()...),
		faultfs.AcceptBlind("db-shm", "it is rebuilt from the log at the first opening")))
}

var wal = []string{"journal_mode(WAL)", "synchronous(FULL)"}

// TestWALIsNotSilent shows that the shared index is reported unless it is accepted.
func TestWALIsNotSilent(t *testing.T) {
	c := capture.Run(t, func(t faultfs.TB) {
		faultfs.Run(t, test(wal, nil), faultfs.Models(model.Ext4), faultfs.States(1))
	})
	assert.True(t, c.Failed())
	assert.Contains(t, c.Text(), "blind spot")
	assert.Contains(t, c.Text(), "db-shm")
}

// all are the models under which the states with a rollback journal are few enough
// to verify every one.
var all = []string{model.Posix4K.Name, model.Ext4.Name, model.XFS.Name, model.Btrfs.Name}

// clean demands that nothing was found, in every state of the models named and in
// many of the others.
func clean(t *testing.T, report faultfs.Report, exhaustive ...string) {
	t.Helper()
	require.Len(t, report.Models, len(model.All()))
	for _, m := range report.Models {
		assert.Zero(t, m.Found, m)
		assert.Greater(t, m.Distinct, 500, m)
		if slices.Contains(exhaustive, m.Model) {
			assert.True(t, m.Exhaustive, m)
		}
	}
}
