package store_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/driftlesskv/driftless/store"
)

func TestBucketBadInput(t *testing.T) {
	db := open(t, t.TempDir(), store.Options{})
	require.NoError(t, db.Update(context.Background(), func(tx *store.Tx) error {
		for _, name := range []string{"", strings.Repeat("x", 256), "a\x00b", "\xff"} {
			b := tx.Bucket(name)
			require.ErrorIs(t, b.Put([]byte("k"), nil), store.ErrInvalid, "%q", name)
			require.ErrorIs(t, b.Delete([]byte("k")), store.ErrInvalid)
			_, err := b.Get([]byte("k"))
			require.ErrorIs(t, err, store.ErrInvalid)
			require.False(t, b.Cursor().First())
			require.ErrorIs(t, b.Cursor().Err(), store.ErrInvalid)
			for _, err := range b.Range(nil, nil) {
				require.ErrorIs(t, err, store.ErrInvalid)
			}
		}
		b := tx.Bucket(strings.Repeat("ü", 127))
		for _, key := range [][]byte{nil, {}, make([]byte, store.MaxKey+1)} {
			require.ErrorIs(t, b.Put(key, nil), store.ErrInvalid)
		}
		require.NoError(t, b.Put(make([]byte, store.MaxKey), []byte("the longest key")))
		require.NoError(t, b.Put([]byte{0}, nil))
		require.ErrorIs(t, b.Put([]byte("k"), make([]byte, store.MaxValue+1)), store.ErrInvalid)
		require.NoError(t, b.Delete([]byte("no such key")))
		_, err := b.Cursor().Value()
		require.ErrorIs(t, err, store.ErrNotFound)
		return nil
	}))
	require.NoError(t, db.View(func(tx *store.Tx) error {
		require.ErrorIs(t, tx.Bucket("b").Put([]byte("k"), nil), store.ErrReadOnly)
		require.ErrorIs(t, tx.Bucket("b").Delete([]byte("k")), store.ErrReadOnly)
		return nil
	}))
}

func TestBuckets(t *testing.T) {
	db := open(t, t.TempDir(), store.Options{})
	put(t, db, "b", "k", "v")
	put(t, db, "a", "k", "v")
	put(t, db, "gone", "k", "v")
	require.NoError(t, db.Update(context.Background(), func(tx *store.Tx) error {
		require.NoError(t, tx.Bucket("new").Put([]byte("k"), nil))
		require.NoError(t, tx.Bucket("gone").Delete([]byte("k")))
		var names []string
		for name, err := range tx.Buckets() {
			require.NoError(t, err)
			names = append(names, name)
		}
		require.Equal(t, []string{"a", "b", "new"}, names)
		return nil
	}))
}

func TestRangeWhileChanging(t *testing.T) {
	db := open(t, t.TempDir(), store.Options{})
	for _, k := range []string{"a", "b", "c", "d"} {
		put(t, db, "b", k, k)
	}
	require.NoError(t, db.Update(context.Background(), func(tx *store.Tx) error {
		b := tx.Bucket("b")
		var seen []string
		for e, err := range b.Range([]byte("b"), []byte("d")) {
			require.NoError(t, err)
			seen = append(seen, string(e.Key))
			require.NoError(t, b.Delete(e.Key))
			require.NoError(t, b.Put(append(e.Key, 'x'), e.Value))
		}
		require.Equal(t, []string{"b", "c"}, seen)
		return nil
	}))
	_, err := get(t, db, "b", "b")
	require.ErrorIs(t, err, store.ErrNotFound)
	value, err := get(t, db, "b", "cx")
	require.NoError(t, err)
	require.Equal(t, "c", value)
}

// TestCursorModel walks a bucket that lies partly in the file and partly in the
// transaction's own writes, in both directions, against a sorted slice.
func TestCursorModel(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		db, err := store.Open(context.Background(), filepath.Join(dir, "s"), store.Options{})
		require.NoError(rt, err)
		defer func() {
			require.NoError(rt, db.Close())
			require.NoError(rt, os.RemoveAll(filepath.Join(dir, "s")))
		}()
		model := map[string]string{}
		key := rapid.StringMatching(`[a-e]{1,2}`)
		write := func(tx *store.Tx) error {
			for range rapid.IntRange(0, 12).Draw(rt, "writes") {
				k := key.Draw(rt, "key")
				if rapid.Bool().Draw(rt, "delete") {
					delete(model, k)
					require.NoError(rt, tx.Bucket("b").Delete([]byte(k)))
					continue
				}
				v := rapid.StringN(0, 3, -1).Draw(rt, "value")
				model[k] = v
				require.NoError(rt, tx.Bucket("b").Put([]byte(k), []byte(v)))
			}
			return nil
		}
		require.NoError(rt, db.Update(context.Background(), write))
		require.NoError(rt, db.Update(context.Background(), func(tx *store.Tx) error {
			if err := write(tx); err != nil {
				return err
			}
			walk(rt, tx.Bucket("b").Cursor(), model)
			return nil
		}))
		require.NoError(rt, db.View(func(tx *store.Tx) error {
			walk(rt, tx.Bucket("b").Cursor(), model)
			return nil
		}))
	})
	require.Positive(t, n)
}

func walk(t *rapid.T, c *store.Cursor, model map[string]string) {
	keys := slices.Sorted(maps.Keys(model))
	at := -1 // index in keys; -1: on no key
	for range rapid.IntRange(1, 30).Draw(t, "moves") {
		var ok bool
		switch rapid.IntRange(0, 9).Draw(t, "move") {
		case 0:
			ok, at = c.First(), 0
		case 1:
			ok, at = c.Last(), len(keys)-1
		case 2:
			k := rapid.StringMatching(`[a-f]{1,3}`).Draw(t, "seek")
			at, _ = slices.BinarySearch(keys, k)
			ok = c.Seek([]byte(k))
		case 3, 4, 5, 6:
			if ok = c.Next(); at >= 0 {
				at++
			}
		default:
			ok = c.Prev()
			at = max(at-1, -1)
		}
		if at >= len(keys) {
			at = -1
		}
		require.Equal(t, at >= 0, ok)
		if !ok {
			require.Nil(t, c.Key())
			continue
		}
		require.Equal(t, keys[at], string(c.Key()))
		value, err := c.Value()
		require.NoError(t, err)
		require.Equal(t, model[keys[at]], string(value))
	}
	require.NoError(t, c.Err())
}

// flip changes one bit of data.db where it holds the given text.
func flip(t testing.TB, dir, text string) {
	t.Helper()
	path := filepath.Join(dir, "data.db")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Positive(t, bytes.Count(data, []byte(text)), "%q is not in the file", text)
	data = bytes.ReplaceAll(data, []byte(text), append([]byte{text[0] ^ 1}, text[1:]...))
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

func TestFlippedBit(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(context.Background(), dir, store.Options{})
	require.NoError(t, err)
	put(t, db, "b", "before", "fine")
	put(t, db, "b", "damaged", "precious value")
	put(t, db, "b", "further", "fine")
	require.NoError(t, db.Close())
	flip(t, dir, "precious value")

	db, err = store.Open(context.Background(), dir, store.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = get(t, db, "b", "damaged")
	var corrupt *store.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.ErrorIs(t, err, store.ErrCorrupt)
	require.Equal(t, "damaged", string(corrupt.Key))
	var good, bad int
	require.NoError(t, db.View(func(tx *store.Tx) error {
		for e, err := range tx.Bucket("b").Range(nil, nil) {
			switch {
			case err == nil:
				require.Equal(t, "fine", string(e.Value))
				good++
			case errors.Is(err, store.ErrCorrupt):
				require.Equal(t, "damaged", string(e.Key))
				bad++
			}
		}
		return nil
	}))
	require.Equal(t, 2, good)
	require.Equal(t, 1, bad)
	report, err := db.Check(context.Background())
	require.NoError(t, err)
	require.ErrorIs(t, report.Err(), store.ErrCorrupt)
	require.Len(t, report.Violations, 1)
	require.Equal(t, 9, report.Violations[0].Invariant)

	moved, err := db.Quarantine(context.Background())
	require.NoError(t, err)
	require.Len(t, moved, 1)
	check(t, db)
	_, err = get(t, db, "b", "damaged")
	require.ErrorIs(t, err, store.ErrNotFound)
	kept, err := db.Quarantined()
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Contains(t, kept[0].Reason, "recious value")
	put(t, db, "b", "damaged", "written anew")
}

func TestBackup(t *testing.T) {
	db := open(t, t.TempDir(), store.Options{})
	for _, k := range []string{"a", "b", "c"} {
		put(t, db, "b", k, "value of "+k)
	}
	var copied bytes.Buffer
	n, err := db.WriteTo(&copied)
	require.NoError(t, err)
	require.EqualValues(t, copied.Len(), n)
	put(t, db, "b", "a", "later")

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data.db"), copied.Bytes(), 0o600))
	backup := open(t, dir, store.Options{})
	require.Equal(t, db.Identity(), backup.Identity())
	require.NotEqual(t, db.Incarnation(), backup.Incarnation())
	value, err := get(t, backup, "b", "a")
	require.NoError(t, err)
	require.Equal(t, "value of a", value)
}
