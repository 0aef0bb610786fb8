package snapshot_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/audit"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/careful"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/naive"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/step"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
	"github.com/driftlesskv/driftless/store"
)

// A kind of snapshotter, and how to see what it has on the disk.
type kind struct {
	name    string
	open    func(dir string) (snapshot.Snapshotter, error)
	picture func(dir string) (audit.Picture, error)
}

var kinds = []kind{
	{"careful", func(dir string) (snapshot.Snapshotter, error) {
		return careful.Open(context.Background(), dir, &step.Points{}, func(b store.Backing) store.Backing { return b })
	}, func(dir string) (audit.Picture, error) { return audit.Careful(context.Background(), dir) }},
	{"naive", func(dir string) (snapshot.Snapshotter, error) {
		return naive.Open(dir, &step.Points{}, func(v naive.Volumes) naive.Volumes { return v })
	}, audit.Naive},
}

// A subject is one snapshotter under test.
type subject struct {
	*testing.T
	kind
	snapshot.Snapshotter
	dir      string
	archives []string
	oracle   *audit.Oracle
}

// forEach runs a test on both snapshotters: without a crash they are equally good.
func forEach(t *testing.T, test func(s *subject)) {
	archives, _, err := layer.Sources(t.TempDir())
	require.NoError(t, err)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			s := &subject{T: t, kind: k, dir: t.TempDir(), archives: archives, oracle: audit.NewOracle()}
			s.Snapshotter, err = k.open(s.dir)
			require.NoError(t, err)
			test(s)
			require.NoError(t, s.Close())
		})
	}
}

func (s *subject) reopen() {
	require.NoError(s, s.Close())
	var err error
	s.Snapshotter, err = s.open(s.dir)
	require.NoError(s, err)
}

// requireNothing closes the snapshotter, sees that it has nothing on the disk, and
// opens it again.
func (s *subject) requireNothing() {
	require.NoError(s, s.Close())
	found, err := s.picture(s.dir)
	require.NoError(s, err)
	require.Equal(s, audit.Picture{Records: map[string]snapshot.Record{}}, found)
	s.Snapshotter, err = s.open(s.dir)
	require.NoError(s, err)
}

func (s *subject) prepare(key, parent, archive string) string {
	digest, err := s.Prepare(s.Context(), key, parent, archive)
	require.NoError(s, err)
	return digest
}

// TestChain makes three snapshots on top of one another, doing everything twice.
func TestChain(t *testing.T) {
	forEach(t, func(s *subject) {
		ctx, parent := s.Context(), ""
		for i, key := range []string{"a", "b", "c"} {
			want, err := s.oracle.Expect(key, s.archives[:i+1])
			require.NoError(s, err)
			for range 2 {
				require.Equal(s, want.Digest(), s.prepare(key, parent, s.archives[i]))
				s.reopen()
			}
			for range 2 {
				require.NoError(s, s.Commit(ctx, key))
				digest, err := s.View(ctx, key)
				require.NoError(s, err)
				require.Equal(s, want.Digest(), digest)
			}
			parent = key
		}
		require.ErrorIs(s, s.Remove(ctx, "a"), snapshot.ErrInUse)
		s.reopen()
		_, err := s.View(ctx, "a")
		require.NoError(s, err, "a refused removal changes nothing")
		for _, key := range []string{"c", "b", "a"} {
			require.NoError(s, s.Remove(ctx, key))
			require.NoError(s, s.Remove(ctx, key))
			_, err := s.View(ctx, key)
			require.ErrorIs(s, err, snapshot.ErrNotFound)
		}
		s.requireNothing()
	})
}

func TestRefusals(t *testing.T) {
	forEach(t, func(s *subject) {
		ctx := s.Context()
		s.prepare("active", "", s.archives[0])
		_, err := s.Prepare(ctx, "new", "active", s.archives[0])
		require.ErrorIs(s, err, snapshot.ErrNotCommitted)
		_, err = s.Prepare(ctx, "new", "missing", s.archives[0])
		require.ErrorIs(s, err, snapshot.ErrNotFound)
		_, err = s.Prepare(ctx, "active", "", s.archives[1])
		require.ErrorIs(s, err, snapshot.ErrExists)
		_, err = s.Prepare(ctx, "active", "", filepath.Join(s.TempDir(), filepath.Base(s.archives[0])))
		require.ErrorIs(s, err, snapshot.ErrExists, "an archive of the same name elsewhere")
		require.ErrorIs(s, s.Commit(ctx, "missing"), snapshot.ErrNotFound)
		_, err = s.View(ctx, "missing")
		require.ErrorIs(s, err, snapshot.ErrNotFound)
		require.NoError(s, s.Remove(ctx, "active"))
		s.requireNothing()
	})
}

// TestBadLayer shows that a layer that cannot be unpacked leaves nothing behind, and
// that the key can be used afterwards.
func TestBadLayer(t *testing.T) {
	hostile := filepath.Join(t.TempDir(), "hostile.tar")
	f, err := os.Create(hostile)
	require.NoError(t, err)
	w := tar.NewWriter(f)
	for _, name := range []string{"good", "../evil"} {
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600}))
	}
	require.NoError(t, errors.Join(w.Close(), f.Close()))
	forEach(t, func(s *subject) {
		_, err := s.Prepare(s.Context(), "s", "", hostile)
		require.ErrorIs(s, err, layer.ErrEscape)
		_, err = s.Prepare(s.Context(), "s", "", filepath.Join(s.dir, "missing.tar"))
		require.ErrorIs(s, err, os.ErrNotExist)
		ctx, cancel := context.WithCancel(s.Context())
		cancel()
		_, err = s.Prepare(ctx, "s", "", s.archives[0])
		require.ErrorIs(s, err, context.Canceled)
		s.requireNothing()
		s.prepare("s", "", s.archives[0])
	})
}

func TestViewFindsDamage(t *testing.T) {
	forEach(t, func(s *subject) {
		s.prepare("s", "", s.archives[0])
		owners, err := filepath.Glob(filepath.Join(s.dir, "volumes", "*", layer.OwnerFile))
		require.NoError(s, err)
		deeper, err := filepath.Glob(filepath.Join(s.dir, "volumes", "*", "*", "*", layer.OwnerFile))
		require.NoError(s, err)
		owners = append(owners, deeper...)
		require.Len(s, owners, 1)
		require.NoError(s, os.WriteFile(owners[0], []byte("another"), 0o600))
		_, err = s.View(s.Context(), "s")
		require.ErrorIs(s, err, snapshot.ErrContent)
	})
}

// TestConcurrent has chains made and removed at the same time.
func TestConcurrent(t *testing.T) {
	forEach(t, func(s *subject) {
		var wait sync.WaitGroup
		for worker := range 4 {
			wait.Go(func() {
				for round := range 3 {
					base, top := fmt.Sprintf("base-%d", worker), fmt.Sprintf("top-%d-%d", worker, round)
					_, err := s.Prepare(s.Context(), base, "", s.archives[worker])
					err = errors.Join(err, s.Commit(s.Context(), base))
					_, perr := s.Prepare(s.Context(), top, base, s.archives[worker+1])
					_, verr := s.View(s.Context(), top)
					err = errors.Join(err, perr, verr, s.Remove(s.Context(), top), s.Remove(s.Context(), base))
					if err != nil {
						s.Errorf("worker %d: %v", worker, err)
					}
				}
			})
		}
		wait.Wait()
		s.requireNothing()
	})
}

// TestCopy belongs to the naive snapshotter: its copies must be faithful, or it
// would seem to lose what it merely copied badly.
func TestCopy(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(from, "d", "e"), 0o711))
	require.NoError(t, os.WriteFile(filepath.Join(from, "d", "f"), []byte("x"), 0o640))
	require.NoError(t, os.Symlink("../nowhere", filepath.Join(from, "d", "l")))
	require.NoError(t, tree.Copy(to, from))
	want, err := tree.Scan(from)
	require.NoError(t, err)
	got, err := tree.Scan(to)
	require.NoError(t, err)
	require.Empty(t, got.Difference(want))
	require.Len(t, got, 4)
}
