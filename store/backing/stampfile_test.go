package backing_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// golden is a stamp file as version 1 writes it. It must be readable for ever.
const golden = `driftless device 1
id 0000002a
stamp 5f0e9d3c1b2a4857-0000000000000007
name "base"
parent 00000029-5f0e9d3c1b2a4857-0000000000000006
label "" ""
label "layer" "sha256:\u00e9\n\xff"
`

func goldenDevice() store.Device {
	const incarnation = 0x5f0e9d3c1b2a4857
	return store.Device{
		ID:     42,
		Stamp:  store.Stamp{Incarnation: incarnation, Sequence: 7},
		Name:   "base",
		Parent: store.Ref{ID: 41, Stamp: store.Stamp{Incarnation: incarnation, Sequence: 6}},
		Labels: map[string]string{"layer": "sha256:é\n\xff", "": ""},
	}
}

func TestStampFile(t *testing.T) {
	want := goldenDevice()
	data, err := backing.EncodeStamp(want)
	require.NoError(t, err)
	require.Equal(t, golden+"crc32c 8fed6531\n", string(data))
	got, err := backing.DecodeStamp(data)
	require.NoError(t, err)
	require.Equal(t, store.Resource{
		ID: want.ID, Stamp: want.Stamp, Presence: store.Present,
		Name: want.Name, Parent: want.Parent, Labels: want.Labels,
	}, got)
	bare := store.Device{ID: 1, Stamp: store.Stamp{Sequence: 1}}
	data, err = backing.EncodeStamp(bare)
	require.NoError(t, err)
	got, err = backing.DecodeStamp(data)
	require.NoError(t, err)
	require.Equal(t, store.Resource{ID: 1, Stamp: bare.Stamp, Presence: store.Present}, got)
}

// Every single flipped bit and every truncation is found.
func TestStampFileDamage(t *testing.T) {
	data, err := backing.EncodeStamp(goldenDevice())
	require.NoError(t, err)
	for i := range len(data) * 8 {
		bad := []byte(string(data))
		bad[i/8] ^= 1 << (i % 8)
		_, err := backing.DecodeStamp(bad)
		require.ErrorIs(t, err, store.ErrCorrupt, "bit %d", i)
	}
	for n := range data {
		_, err := backing.DecodeStamp(data[:n])
		require.ErrorIs(t, err, store.ErrCorrupt, "%d bytes", n)
	}
	_, err = backing.DecodeStamp(append(data, '\n'))
	require.ErrorIs(t, err, store.ErrCorrupt)
	_, err = backing.DecodeStamp(make([]byte, 4096))
	require.ErrorIs(t, err, store.ErrCorrupt)
}

// Files with a right checksum that this package would not have written.
func TestStampFileForms(t *testing.T) {
	const head = "driftless device 1\nid 0000002a\nstamp 5f0e9d3c1b2a4857-0000000000000007\n"
	for _, tt := range []struct {
		name, body string
		want       error
	}{
		{"later version", strings.Replace(golden, "device 1", "device 2", 1), store.ErrVersion},
		{"other magic", strings.Replace(golden, "driftless", "somethingelse", 1), store.ErrCorrupt},
		{"nothing", "", store.ErrCorrupt},
		{"no name", head, store.ErrCorrupt},
		{"no id", "driftless device 1\nstamp 5f0e9d3c1b2a4857-0000000000000007\nname \"\"\n", store.ErrCorrupt},
		{"id 0", strings.Replace(golden, "0000002a", "00000000", 1), store.ErrCorrupt},
		{"id in capitals", strings.Replace(golden, "0000002a", "0000002A", 1), store.ErrCorrupt},
		{"short id", strings.Replace(golden, "0000002a", "2a", 1), store.ErrCorrupt},
		{"bad stamp", strings.Replace(golden, "5f0e", "5F0E", 1), store.ErrCorrupt},
		{"name without quotes", head + "name base\n", store.ErrCorrupt},
		{"name in other quotes", head + "name `base`\n", store.ErrCorrupt},
		{"name not escaped", head + "name \"é\"\n", store.ErrCorrupt},
		{"bad parent", head + "name \"\"\nparent 00000029\n", store.ErrCorrupt},
		{"labels out of order", head + "name \"\"\nlabel \"b\" \"\"\nlabel \"a\" \"\"\n", store.ErrCorrupt},
		{"label twice", head + "name \"\"\nlabel \"a\" \"\"\nlabel \"a\" \"\"\n", store.ErrCorrupt},
		{"label without value", head + "name \"\"\nlabel \"a\"\n", store.ErrCorrupt},
		{"label with a bare value", head + "name \"\"\nlabel \"a\" b\n", store.ErrCorrupt},
		{"label without key", head + "name \"\"\nlabel\n", store.ErrCorrupt},
		{"unknown line", head + "name \"\"\nsize 1\n", store.ErrCorrupt},
		{"empty line", head + "name \"\"\n\n", store.ErrCorrupt},
		{"fields out of order", "driftless device 1\nstamp 5f0e9d3c1b2a4857-0000000000000007\nid 0000002a\nname \"\"\n", store.ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := backing.DecodeStamp([]byte(tt.body + backing.Trailer(tt.body)))
			require.ErrorIs(t, err, tt.want)
		})
	}
}

func isOneOf(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func FuzzDecodeStamp(f *testing.F) {
	f.Add(golden)
	f.Add("driftless device 1\nid 00000001\nstamp 0000000000000000-0000000000000001\nname \"\"\n")
	f.Fuzz(func(t *testing.T, body string) {
		data := []byte(body + backing.Trailer(body)) // past the checksum
		res, err := backing.DecodeStamp(data)
		if err != nil {
			if !isOneOf(err, store.ErrCorrupt, store.ErrVersion) {
				t.Fatalf("untyped error: %v", err)
			}
			return
		}
		again, err := backing.EncodeStamp(store.Device{
			ID: res.ID, Stamp: res.Stamp, Name: res.Name, Parent: res.Parent, Labels: res.Labels,
		})
		if err != nil || string(again) != string(data) {
			t.Fatalf("accepted %q, writes %q: %v", data, again, err)
		}
	})
}

func FuzzParseWorkName(f *testing.F) {
	f.Add("0000002a-5f0e9d3c1b2a4857-0000000000000007")
	f.Add("0000002a-")
	f.Add("lost+found")
	f.Fuzz(func(t *testing.T, name string) {
		ref := backing.ParseWorkName(name)
		switch {
		case ref.ID == 0 && !ref.Stamp.IsZero():
			t.Fatalf("%q has a stamp and no id", name)
		case ref.ID != 0 && !strings.HasPrefix(backing.WorkName(ref), name[:9]):
			t.Fatalf("%q has id %v", name, ref.ID)
		case !ref.Stamp.IsZero() && backing.WorkName(ref) != name:
			t.Fatalf("%q is read as %q", name, backing.WorkName(ref))
		}
	})
}
