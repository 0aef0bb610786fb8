package main

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/churn"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/naive"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
)

// The tests in this file and the next are named for bugs that containerd's devmapper
// snapshotter has. Each is shown twice: by the naive snapshotter, which works in
// containerd's order, and not by the careful one, in the same circumstances.

// Bug 1: when the owner's commit is lost after the pool has recorded the device as
// activated, the name "already exists" for ever. A full disk at that commit does the
// same without a crash: what is left is what is left here.
func TestBug01NameExistsForEver(t *testing.T) {
	each(t, func(p *place) {
		p.kill("before Owner.Commit", churn.Prepare, "s")
		for range 2 {
			p.session(fault{}, func(s snapshot.Snapshotter) {
				_, err := s.Prepare(p.Context(), "s", "", p.archive)
				require.ErrorIs(p, err, naive.ErrExists)
			})
		}
	}, func(p *place) {
		for _, at := range []string{"after Backing.Create", "after Devices.Prepare", "before DB.Update", "after DB.Update", "before Devices.Claim"} {
			p.kill(at, churn.Prepare, "s")
			p.session(fault{}, func(s snapshot.Snapshotter) {
				_, err := s.Prepare(p.Context(), "s", "", p.archive)
				require.NoError(p, err, at)
				_, err = s.View(p.Context(), "s")
				require.NoError(p, err, at)
				require.NoError(p, s.Remove(p.Context(), "s"))
			})
			p.requireNothing()
		}
	})
}

// Bug 2: after a crash between the removal of the pool's record and the owner's
// commit, Remove fails for ever: that there is nothing to remove counts as a failure.
func TestBug02RemoveFailsForEver(t *testing.T) {
	each(t, func(p *place) {
		p.prepare("s")
		p.kill("after Pool.Remove", churn.Remove, "s")
		for range 2 {
			p.session(fault{}, func(s snapshot.Snapshotter) {
				require.ErrorIs(p, s.Remove(p.Context(), "s"), naive.ErrNotFound)
			})
		}
	}, func(p *place) {
		for _, at := range []string{"after Devices.Unclaim", "before DB.Update", "after DB.Update", "before Backing.Remove", "after Backing.Remove", "after Devices.Remove"} {
			p.prepare("s")
			p.kill(at, churn.Remove, "s")
			p.session(fault{}, func(s snapshot.Snapshotter) {
				require.NoError(p, s.Remove(p.Context(), "s"), at)
			})
			p.requireNothing()
		}
	})
}

// Bug 3: one transient error of the backend at start-up turns a healthy device into
// a faulty one, for good.
func TestBug03TransientErrorMakesFaulty(t *testing.T) {
	away := fault{look: always(syscall.EIO)}
	each(t, func(p *place) {
		p.prepare("s")
		p.session(away, nil)
		p.session(fault{}, func(s snapshot.Snapshotter) {
			_, err := s.View(p.Context(), "s")
			require.ErrorContains(p, err, "state 13")
		})
	}, func(p *place) {
		p.prepare("s")
		for range 10 { // more often than a step may fail
			p.session(away, nil)
		}
		p.session(fault{}, func(s snapshot.Snapshotter) {
			_, err := s.View(p.Context(), "s")
			require.NoError(p, err)
		})
		// The same for a device that the crash left half way.
		p.kill("after Backing.Create", churn.Prepare, "t")
		for range 10 {
			p.session(away, nil)
		}
		p.session(fault{}, nil)
		require.Len(p, p.picture().Devices, 1)
		require.True(p, p.picture().Devices[0].Usable)
	})
}

// Bug 4: faulty is the end. The reason is overwritten when the name is used again,
// and nothing ever looks whether the id could be freed.
func TestBug04FaultyIsTerminal(t *testing.T) {
	each(t, func(p *place) {
		p.session(fault{made: always(syscall.EIO)}, func(s snapshot.Snapshotter) {
			_, err := s.Prepare(p.Context(), "s", "", p.archive)
			require.ErrorIs(p, err, syscall.EIO)
		})
		p.prepare("s")
		p.session(fault{}, func(s snapshot.Snapshotter) { require.NoError(p, s.Remove(p.Context(), "s")) })
		p.session(fault{}, nil)
		found := p.picture()
		require.Len(p, found.Devices, 1, "the id is faulty")
		require.Empty(p, found.Devices[0].Name, "nobody knows for what")
		require.Len(p, found.Volumes, 1, "its directory is there")
	}, func(p *place) {
		stuck := fault{remove: always(syscall.EIO)}
		p.prepare("s")
		p.session(stuck, func(s snapshot.Snapshotter) {
			require.ErrorIs(p, s.Remove(p.Context(), "s"), syscall.EIO)
			_, err := s.View(p.Context(), "s")
			require.ErrorIs(p, err, snapshot.ErrNotFound, "the name is free")
		})
		for range 6 {
			p.session(stuck, nil)
		}
		found := p.picture()
		require.Len(p, found.Devices, 1)
		require.Contains(p, found.Devices[0].State, "faulty")
		require.Contains(p, found.Devices[0].State, syscall.EIO.Error(), "the reason is kept")
		p.session(fault{}, nil)
		p.requireNothing()
	})
}

// Bug 5: failures that created nothing burn ids. On a pool that is read-only, 20
// attempts leave 20 faulty ids and no device.
func TestBug05FailuresBurnIDs(t *testing.T) {
	attempts := func(p *place) {
		p.session(fault{create: always(syscall.EROFS)}, func(s snapshot.Snapshotter) {
			for range 20 {
				_, err := s.Prepare(p.Context(), "s", "", p.archive)
				require.ErrorIs(p, err, syscall.EROFS)
			}
		})
	}
	each(t, func(p *place) {
		attempts(p)
		require.Len(p, p.picture().Devices, 20)
		require.Empty(p, p.picture().Volumes)
	}, func(p *place) {
		attempts(p)
		p.requireNothing()
		p.prepare("s")
		require.Equal(p, uint32(1), p.holder("s"))
	})
}

// Bug 6: the pool is never listed. When the database is lost, creates fail until
// they have run through all ids that the pool still holds, and these are leaked.
func TestBug06PoolIsNeverListed(t *testing.T) {
	keys := []string{"a", "b", "c", "d", "e"}
	each(t, func(p *place) {
		p.lose(keys...)
		p.session(fault{}, func(s snapshot.Snapshotter) {
			for range keys {
				_, err := s.Prepare(p.Context(), "new", "", p.archive)
				require.ErrorIs(p, err, os.ErrExist)
			}
		})
	}, func(p *place) {
		p.lose(keys...)
		p.prepare("new")
		require.Equal(p, uint32(len(keys)+1), p.holder("new"), "the ids in use are known")
	})
}

// lose makes snapshots and deletes the databases that know of them.
func (p *place) lose(keys ...string) {
	p.prepare(keys...)
	for _, path := range p.databases() {
		require.NoError(p, os.RemoveAll(path))
	}
}

// Bug 7: after the loss of the database, a name collision force-removes a running
// foreign device. Directories are called by their ids and have no names of their own
// that could collide, so the naive snapshotter has no way to show it, and this test
// has the careful one only: what belongs to nobody known is left alone, whatever is
// made and removed under the same names.
func TestBug07ForeignDeviceIsRemoved(t *testing.T) {
	each(t, func(*place) {}, func(p *place) {
		keys := []string{"a", "b", "c"}
		p.lose(keys...)
		p.session(fault{}, func(s snapshot.Snapshotter) {
			for _, key := range keys {
				_, err := s.Prepare(p.Context(), key, "", p.archive)
				require.NoError(p, err)
				require.NoError(p, s.Remove(p.Context(), key))
			}
		})
		owners := map[string]bool{}
		for _, v := range p.picture().Volumes {
			owners[v.Owner] = len(v.Tree) > 1
		}
		require.Equal(p, map[string]bool{"a": true, "b": true, "c": true}, owners)
	})
}
