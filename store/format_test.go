package store_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/driftlesskv/driftless/store"
)

// TestGolden opens the databases of every format version that was ever released.
// They must open for ever. testdata/v1 was written by TestWriteGolden.
func TestGolden(t *testing.T) {
	dir := t.TempDir()
	golden, err := os.ReadFile(filepath.Join("testdata", "v1", "data.db"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data.db"), golden, 0o600))

	for _, opts := range []store.Options{{ReadOnly: true}, {}} {
		db, err := store.Open(context.Background(), dir, opts)
		require.NoError(t, err)
		check(t, db)
		require.Equal(t, "53c7df66-5e8f-4a2e-8c7d-3d2d1b0f0001", db.Identity())
		value, err := get(t, db, "config", "answer")
		require.NoError(t, err)
		require.Equal(t, "42", value)
		tables, err := db.Tables()
		require.NoError(t, err)
		require.Equal(t, []string{"golden"}, tables)
		d, err := db.OpenDevices(context.Background(), "golden", store.DevicesOptions{Backing: identified("golden pool")})
		require.NoError(t, err)
		var records []store.Record
		for rec, err := range d.Records() {
			require.NoError(t, err)
			records = append(records, rec)
		}
		require.Equal(t, goldenRecords(), records)
		require.NoError(t, db.Close())
	}
}

// identified is a backing that knows its name and does nothing else.
type identity struct {
	store.Backing
	name string
}

func identified(name string) store.Backing { return identity{name: name} }

func (i identity) Identity(context.Context) (string, error) { return i.name, nil }

func goldenRecords() []store.Record {
	since := time.Date(2026, 11, 21, 12, 0, 0, 123456000, time.UTC)
	stamp := func(n uint64) store.Stamp { return store.Stamp{Incarnation: 0x0102030405060708, Sequence: n} }
	base := store.Record{
		Device: store.Device{
			ID: 1, Name: "base", Stamp: stamp(1), Claimed: true,
			Labels: map[string]string{"a": "1", "b": "ü"}, Attrs: store.Attrs{"path": "devices/00000001"}, Meta: []byte{0, 255},
		},
		State: store.Taken, Phase: store.Ready, Since: since,
	}
	child := store.Record{
		Device: store.Device{ID: 2, Name: "child", Stamp: stamp(2), Parent: base.Ref()},
		State:  store.Taken, Phase: store.Creating, Since: since,
	}
	broken := store.Record{
		Device: store.Device{ID: 0xffffff, Name: "broken", Stamp: stamp(3)},
		State:  store.Faulty, Phase: store.Removing, Since: since, Attempts: 5, Reason: "device or resource busy",
		History: []store.Event{{Time: since, Text: "first"}, {Time: since.Add(time.Second), Text: "device or resource busy"}},
	}
	return []store.Record{base, child, broken}
}

// TestWriteGolden writes testdata again when DRIFTLESS_GOLDEN=write is set. The
// format of a released version never changes: a new one gets a new directory.
func TestWriteGolden(t *testing.T) {
	if os.Getenv("DRIFTLESS_GOLDEN") != "write" {
		t.Skip("writes testdata only with DRIFTLESS_GOLDEN=write")
	}
	dir := t.TempDir()
	db, err := store.Open(context.Background(), dir, store.Options{})
	require.NoError(t, err)
	put(t, db, "config", "answer", "42")
	_, err = db.OpenDevices(context.Background(), "golden", store.DevicesOptions{Backing: identified("golden pool")})
	require.NoError(t, err)
	require.NoError(t, db.Update(context.Background(), store.PutRecords("golden", goldenRecords())))
	var out bytes.Buffer
	_, err = db.WriteTo(&out)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	rewrite(t, dir, "m", "header", func(h []byte) []byte {
		copy(h[16:], []byte{0x53, 0xc7, 0xdf, 0x66, 0x5e, 0x8f, 0x4a, 0x2e, 0x8c, 0x7d, 0x3d, 0x2d, 0x1b, 0x0f, 0, 1})
		return h
	})
	db = open(t, dir, store.Options{})
	out.Reset()
	_, err = db.WriteTo(&out)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join("testdata", "v1"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join("testdata", "v1", "data.db"), out.Bytes(), 0o644))
}

// rewrite changes a value of a closed store, checksum included.
func rewrite(t testing.TB, dir, bucket, key string, change func([]byte) []byte) {
	t.Helper()
	edit(t, dir, func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		value := change(bytes.Clone(b.Get([]byte(key))[4:]))
		return b.Put([]byte(key), store.Seal(bucket, key, value))
	})
}

// edit changes a closed store behind its back.
func edit(t testing.TB, dir string, change func(*bolt.Tx) error) {
	t.Helper()
	file, err := bolt.Open(filepath.Join(dir, "data.db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, file.Update(change))
	require.NoError(t, file.Close())
}

func FuzzRecord(f *testing.F) {
	for _, rec := range goldenRecords() {
		f.Add(store.EncodeRecord(&rec))
	}
	f.Add([]byte{})
	f.Add([]byte{1, 1, 1, 0})
	f.Fuzz(func(t *testing.T, stored []byte) {
		rec, err := store.DecodeRecord(7, stored)
		if err != nil {
			return
		}
		require.Equal(t, stored, store.EncodeRecord(&rec), "accepted, but not what is written")
	})
}

func FuzzStamp(f *testing.F) {
	f.Add("0123456789abcdef-000000000000002a")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := store.ParseStamp(text)
		if err != nil {
			require.ErrorIs(t, err, store.ErrInvalid)
			return
		}
		again, err := store.ParseStamp(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}

func TestRecordRoundTrip(t *testing.T) {
	text := rapid.StringN(0, 20, 60)
	table := rapid.MapOfN(text, text, 0, 4)
	at := rapid.Custom(func(t *rapid.T) time.Time { return time.UnixMicro(rapid.Int64Range(-1e15, 1e16).Draw(t, "µs")).UTC() })
	stamp := rapid.Custom(func(t *rapid.T) store.Stamp {
		return store.Stamp{Incarnation: rapid.Uint64().Draw(t, "incarnation"), Sequence: rapid.Uint64().Draw(t, "sequence")}
	})
	rapid.Check(t, func(t *rapid.T) {
		rec := store.Record{
			Device: store.Device{
				ID: 7, Name: text.Draw(t, "name"), Stamp: stamp.Draw(t, "stamp"), Claimed: rapid.Bool().Draw(t, "claimed"),
				Parent: store.Ref{ID: store.DeviceID(rapid.Uint32().Draw(t, "parent")), Stamp: stamp.Draw(t, "parent's")},
				Labels: table.Draw(t, "labels"), Attrs: table.Draw(t, "attrs"), Meta: rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "meta"),
			},
			State: store.State(rapid.IntRange(1, 2).Draw(t, "state")), Phase: store.Phase(rapid.IntRange(1, 3).Draw(t, "phase")),
			Attempts: rapid.IntRange(0, 1<<31-1).Draw(t, "attempts"), Reason: text.Draw(t, "reason"), Since: at.Draw(t, "since"),
		}
		for range rapid.IntRange(0, 8).Draw(t, "events") {
			rec.History = append(rec.History, store.Event{Time: at.Draw(t, "time"), Text: text.Draw(t, "text")})
		}
		got, err := store.DecodeRecord(7, store.EncodeRecord(&rec))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%+v", rec), fmt.Sprintf("%+v", got))
	})
}

func TestIDSetModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const top = 40
		var s store.IDSet
		model := map[store.DeviceID]bool{}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			id := store.DeviceID(rapid.IntRange(0, top).Draw(t, "id"))
			if rapid.Bool().Draw(t, "remove") {
				require.Equal(t, model[id], s.Remove(id))
				delete(model, id)
				continue
			}
			last := id
			for !model[last] && !model[last+1] && last < top && rapid.Bool().Draw(t, "more") {
				last++
			}
			if !model[id] && !model[last] {
				s.Add(id, last)
				for i := id; i <= last; i++ {
					model[i] = true
				}
			}
		}
		ranges := 0
		for id := store.DeviceID(0); id <= top+1; id++ {
			require.Equal(t, model[id], s.Has(id), "id %d", id)
			if model[id] && (id == 0 || !model[id-1]) {
				ranges++
			}
			next, ok := s.Next(id)
			want := id
			for want <= top && !model[want] {
				want++
			}
			require.Equal(t, want <= top, ok)
			if ok {
				require.Equal(t, want, next)
			}
		}
		require.Equal(t, ranges, s.Ranges(), "neighbouring ranges are joined")
	})
}

func TestIDSetEnds(t *testing.T) {
	const last = store.DeviceID(1<<32 - 1)
	var s store.IDSet
	s.Add(0, last)
	require.True(t, s.Remove(last))
	require.True(t, s.Remove(0))
	s.Add(last, last)
	s.Add(0, 0)
	require.Equal(t, 1, s.Ranges())
	next, ok := s.Next(last)
	require.True(t, ok)
	require.Equal(t, last, next)
}
