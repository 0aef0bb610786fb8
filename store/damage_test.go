package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// TestDamageAnywhere flips a bit, zeroes a page, swaps two pages or cuts the file
// off, at many places, and opens what is left. It is refused as damaged, or every
// value that is still there is the one that was written, and Check or a missing
// value tells. Nothing panics, hangs, or reads what nobody wrote.
func TestDamageAnywhere(t *testing.T) {
	dir := t.TempDir()
	written := map[string]string{}
	db, err := store.Open(ctx, dir, store.Options{})
	require.NoError(t, err)
	for i := range 400 { // enough for branch pages
		key := fmt.Sprintf("key %03d", i)
		written[key] = strings.Repeat(fmt.Sprint(i, " "), 10)
	}
	require.NoError(t, db.Update(ctx, func(tx *store.Tx) error {
		for key, value := range written {
			if err := tx.Bucket("b").Put([]byte(key), []byte(value)); err != nil {
				return err
			}
		}
		return errors.Join(tx.Bucket("small").Put([]byte("k"), []byte("v")),
			tx.Bucket("big").Put([]byte("k"), make([]byte, 10<<10)))
	}))
	mem := backing.NewMemory("pool")
	d, err := db.OpenDevices(ctx, "pool", store.DevicesOptions{Backing: mem})
	require.NoError(t, err)
	for i := range 5 {
		_, err := d.Create(ctx, fmt.Sprint("d", i), store.Spec{})
		require.NoError(t, err)
	}
	var out bytes.Buffer
	_, err = db.WriteTo(&out)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	whole := out.Bytes()

	const page = 4096
	rounds := 600
	if testing.Short() {
		rounds = 200
	}
	random := rand.New(rand.NewPCG(1, 2))
	refused, told := 0, 0
	for range rounds {
		data := bytes.Clone(whole)
		at := random.IntN(len(data))
		switch random.IntN(12) {
		case 0:
			clear(data[at/page*page:][:page])
		case 1:
			other := random.IntN(len(data)) / page * page
			a, b := data[at/page*page:][:page], data[other:][:page]
			swapped := bytes.Clone(a)
			copy(a, b)
			copy(b, swapped)
		case 2:
			data = data[:at]
		case 3, 4, 5, 6, 7: // headers and elements stand at the start of a page
			data[at/page*page+at%128] ^= 1 << random.IntN(8)
		default:
			data[at] ^= 1 << random.IntN(8)
		}
		switch damaged(t, data, written, mem.Clone()) {
		case "refused":
			refused++
		case "told":
			told++
		}
	}
	t.Logf("%d rounds: %d refused, %d told", rounds, refused, told)
	require.Greater(t, refused, rounds/10)
	require.Greater(t, told, rounds/10)
}

// damaged opens a damaged database and says what came of it.
func damaged(t *testing.T, data []byte, written map[string]string, mem *backing.Memory) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data.db"), data, 0o600))
	db, err := store.Open(context.Background(), dir, store.Options{})
	if err != nil {
		require.Conditionf(t, func() bool { return errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrVersion) }, "%v", err)
		after, rerr := os.ReadFile(filepath.Join(dir, "data.db"))
		require.NoError(t, rerr)
		require.True(t, bytes.Equal(data, after), "a refused file was changed")
		require.NoError(t, os.RemoveAll(dir))
		return "refused"
	}
	report, err := db.Check(ctx)
	require.NoError(t, err)
	missing := maps.Clone(written)
	require.NoError(t, db.View(func(tx *store.Tx) error {
		for e, err := range tx.Bucket("b").Range(nil, nil) {
			if err != nil {
				require.ErrorIs(t, err, store.ErrCorrupt)
				continue
			}
			require.Equal(t, written[string(e.Key)], string(e.Value), "read what nobody wrote")
			delete(missing, string(e.Key))
		}
		return nil
	}))
	told := report.Err() != nil
	require.True(t, told || len(missing) == 0, "values are missing, and nothing tells")
	_, err = db.Quarantine(ctx)
	require.NoError(t, err)
	d, err := db.OpenDevices(ctx, "pool", store.DevicesOptions{Backing: mem})
	if !errors.Is(err, store.ErrIdentity) {
		require.NoError(t, err)
		_, err = d.Create(ctx, "another", store.Spec{})
		require.NoError(t, err)
		require.Zero(t, mem.Collisions(), "an id in use was handed out")
	}
	put(t, db, "b", "another", "value")
	require.NoError(t, db.Close())
	require.NoError(t, os.RemoveAll(dir))
	if told {
		return "told"
	}
	return "unharmed"
}
