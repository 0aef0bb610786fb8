package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/careful"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/naive"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
	"github.com/driftlesskv/driftless/store"
)

// Bug 8: one record that cannot be decoded stops the whole plugin, and as there are
// no checksums, a flipped bit in an id hands out one that is in use.
func TestBug08DamagedRecord(t *testing.T) {
	each(t, func(p *place) {
		p.prepare("a", "b")
		p.edit(filepath.Join(p.dir, naive.PoolFile), naive.DevicesBucket, []byte("a"), func(value []byte) { value[0] ^= 1 })
		_, err := p.tryOpen(fault{})
		require.ErrorContains(p, err, "invalid character")
	}, func(p *place) {
		p.prepare("a", "b")
		key := binary.BigEndian.AppendUint32(nil, p.holder("a"))
		p.edit(filepath.Join(p.dir, careful.DevicesDir, "data.db"), []byte("d/"+careful.Table), key, func(value []byte) { value[len(value)/2] ^= 1 })
		p.session(fault{}, func(s snapshot.Snapshotter) {
			_, err := s.View(p.Context(), "b")
			require.NoError(p, err, "the others work")
			_, err = s.View(p.Context(), "a")
			require.Error(p, err, "nothing is handed out on doubt")
			_, err = s.Prepare(p.Context(), "c", "", p.archive)
			require.NoError(p, err)
		})
		found := p.picture()
		owners := map[uint32]string{}
		for _, v := range found.Volumes {
			owners[v.ID] = v.Owner
		}
		require.Equal(p, map[uint32]string{1: "a", 2: "b", 3: "c"}, owners, "the content is left alone, the id not used again")
	})
}

// edit changes the stored bytes of a key behind everybody's back.
func (p *place) edit(file string, bucket, key []byte, change func(value []byte)) {
	db, err := bbolt.Open(file, 0o600, nil)
	require.NoError(p, err)
	require.NoError(p, db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		require.NotNil(p, b)
		value := bytes.Clone(b.Get(key))
		require.NotEmpty(p, value)
		change(value)
		return b.Put(key, value)
	}))
	require.NoError(p, db.Close())
}

// Bug 9: the pool has no identity, so one that is another under the same name, or an
// empty mount point, is not noticed, and its emptiness is believed.
func TestBug09PoolWithoutIdentity(t *testing.T) {
	away := func(p *place) {
		p.prepare("s")
		require.NoError(p, os.Rename(p.volumes(), p.volumes()+".away"))
	}
	back := func(p *place) {
		require.NoError(p, os.RemoveAll(p.volumes()))
		require.NoError(p, os.Rename(p.volumes()+".away", p.volumes()))
	}
	each(t, func(p *place) {
		away(p)
		p.session(fault{}, nil)
		back(p)
		p.session(fault{}, func(s snapshot.Snapshotter) {
			_, err := s.View(p.Context(), "s")
			require.ErrorContains(p, err, "state 13")
		})
	}, func(p *place) {
		away(p)
		_, err := p.tryOpen(fault{})
		require.ErrorIs(p, err, store.ErrIdentity)
		back(p)
		p.session(fault{}, func(s snapshot.Snapshotter) {
			_, err := s.View(p.Context(), "s")
			require.NoError(p, err)
		})
	})
}

// Bug 10: a second opener waits for the lock without end, and does not say for whom.
func TestBug10SecondOpenerHangs(t *testing.T) {
	each(t, func(p *place) {
		first, err := p.tryOpen(fault{})
		require.NoError(p, err)
		second := make(chan error, 1)
		go func() {
			s, err := p.tryOpen(fault{})
			if err == nil {
				err = s.Close()
			}
			second <- err
		}()
		select {
		case err := <-second:
			require.Fail(p, "did not wait", "%v", err)
		case <-time.After(500 * time.Millisecond): // longer would be the same
		}
		require.NoError(p, first.Close())
		require.NoError(p, <-second)
	}, func(p *place) {
		p.Parallel() // it waits some seconds
		p.session(fault{}, func(snapshot.Snapshotter) {
			_, err := p.tryOpen(fault{})
			var locked *store.LockedError
			require.ErrorAs(p, err, &locked)
			require.Equal(p, os.Getpid(), locked.PID)
		})
		p.session(fault{}, nil) // the open that failed left no lock behind
	})
}

// Bug 11: keys that are decimal strings sort as 1 10 11 2, so that the lowest free
// id is not the one that is given out.
func TestBug11KeysOutOfOrder(t *testing.T) {
	reused := func(p *place) uint32 {
		var keys []string
		for i := range 12 {
			keys = append(keys, fmt.Sprintf("s%d", i+1))
		}
		p.prepare(keys...)
		p.session(fault{}, func(s snapshot.Snapshotter) {
			require.NoError(p, s.Remove(p.Context(), "s2"))
			require.NoError(p, s.Remove(p.Context(), "s10"))
		})
		p.prepare("new")
		return p.holder("new")
	}
	each(t, func(p *place) {
		require.Equal(p, uint32(10), reused(p))
	}, func(p *place) {
		require.Equal(p, uint32(2), reused(p))
	})
}

// Bug 12: an id that the records give to one and the pool to another is opened as if
// all was well, and a new owner reads an old one's data. Here the databases are
// restored from an older copy.
func TestBug12StaleIDIsReopened(t *testing.T) {
	restore := func(p *place) {
		p.prepare("old")
		for _, path := range p.databases() {
			p.copy(path+".copy", path)
		}
		p.session(fault{}, func(s snapshot.Snapshotter) { require.NoError(p, s.Remove(p.Context(), "old")) })
		p.prepare("new") // under the same id
		for _, path := range p.databases() {
			require.NoError(p, os.RemoveAll(path))
			p.copy(path, path+".copy")
		}
		p.session(fault{}, nil)
		require.Equal(p, "new", p.picture().Volumes[0].Owner, "nothing is destroyed")
	}
	each(t, func(p *place) {
		restore(p)
		device := p.picture().Devices[0]
		require.Equal(p, "old", device.Name)
		require.True(p, device.Usable, "and so it is opened")
	}, func(p *place) {
		restore(p)
		p.session(fault{}, func(s snapshot.Snapshotter) {
			_, err := s.View(p.Context(), "old")
			require.ErrorIs(p, err, store.ErrStale)
		})
	})
}

// copy copies a file or a directory.
func (p *place) copy(to, from string) {
	info, err := os.Stat(from)
	require.NoError(p, err)
	if info.IsDir() {
		require.NoError(p, os.CopyFS(to, os.DirFS(from)))
		return
	}
	content, err := os.ReadFile(from)
	require.NoError(p, err)
	require.NoError(p, os.WriteFile(to, content, 0o600))
}
