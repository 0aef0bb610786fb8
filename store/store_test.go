package store_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/store"
)

// open opens a store in dir and checks it, closed and reopened, when the test ends.
func open(t testing.TB, dir string, opts store.Options) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), dir, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	t.Cleanup(func() { check(t, db) })
	return db
}

// check requires that Check finds nothing.
func check(t testing.TB, db *store.DB) {
	t.Helper()
	report, err := db.Check(context.Background())
	if err != nil {
		require.ErrorIs(t, err, store.ErrClosed)
		return
	}
	require.NoError(t, report.Err())
}

func put(t testing.TB, db *store.DB, bucket, key, value string) {
	t.Helper()
	require.NoError(t, db.Update(context.Background(), func(tx *store.Tx) error {
		return tx.Bucket(bucket).Put([]byte(key), []byte(value))
	}))
}

func get(t testing.TB, db *store.DB, bucket, key string) (value string, err error) {
	t.Helper()
	err = db.View(func(tx *store.Tx) error {
		b, err := tx.Bucket(bucket).Get([]byte(key))
		value = string(b)
		return err
	})
	return value, err
}

func TestPutGetReopen(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(context.Background(), dir, store.Options{})
	require.NoError(t, err)
	put(t, db, "config", "a", "1")
	put(t, db, "config", "b", "")
	value, err := get(t, db, "config", "a")
	require.NoError(t, err)
	require.Equal(t, "1", value)
	require.NoError(t, db.Close())

	db = open(t, dir, store.Options{})
	value, err = get(t, db, "config", "a")
	require.NoError(t, err)
	require.Equal(t, "1", value)
	value, err = get(t, db, "config", "b")
	require.NoError(t, err)
	require.Empty(t, value)
	_, err = get(t, db, "config", "c")
	require.ErrorIs(t, err, store.ErrNotFound)
}
