package store_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/internal/testenv"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// TestFullDisk fills a real file system below Prepare, Claim, Unclaim and Remove:
// each says ErrNoSpace and changes nothing, and once there is space each works, on
// the same open store.
func TestFullDisk(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		t.Run(fs, func(t *testing.T) {
			testenv.NeedRoot(t)
			var mount string
			switch fs {
			case "tmpfs":
				mount = testenv.Tmpfs(t, 16<<20)
			case "xfs":
				mount = testenv.LoopFS(t, fs, 320<<20) // the smallest that mkfs makes
			case "btrfs":
				mount = testenv.LoopFS(t, fs, 128<<20)
			default:
				mount = testenv.LoopFS(t, fs, 32<<20)
			}
			fullDisk(t, mount)
		})
	}
}

func fullDisk(t *testing.T, mount string) {
	mem := backing.NewMemory("pool")
	dir := filepath.Join(mount, "store")
	db, err := store.Open(ctx, dir, store.Options{SettleDelay: time.Hour})
	require.NoError(t, err)
	p := &pool{t: t, mem: mem, dir: dir, db: db, opt: store.DevicesOptions{Backing: mem}}
	p.Devices, err = db.OpenDevices(ctx, "pool", p.opt)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.db.Close() }) // nil, or closed already, unless the test has failed
	big := store.Spec{Meta: make([]byte, 30<<10)}
	claimed := p.create("claimed", big)
	prepared, err := p.Prepare(ctx, "prepared", big)
	require.NoError(t, err)
	doomed, faulty := p.create("doomed", big), p.create("faulty", big)

	steps := []struct {
		name string
		do   func() error
	}{
		{"prepare", func() error { _, err := p.Prepare(ctx, "new", big); return err }},
		{"create", func() error { _, err := p.Create(ctx, "newer", big); return err }},
		{"claim", func() error { return p.Claim(ctx, prepared) }},
		{"unclaim", func() error { return p.Unclaim(ctx, claimed) }},
		{"mark faulty", func() error { return p.MarkFaulty(ctx, faulty, "reason") }},
		{"remove", func() error { return p.Remove(ctx, doomed) }},
	}
	// For each step there is a reader that keeps every page of the file in use, so
	// that the step's commit needs new ones.
	var run func(i int) error
	run = func(i int) error {
		if i == len(steps) {
			return nil
		}
		step := steps[i]
		free := fillUp(t, mount)
		before, resources := p.states(), mem.Resources()
		for range 3 {
			err := step.do()
			require.ErrorIs(t, err, store.ErrNoSpace, step.name)
			require.NotErrorIs(t, err, store.ErrFailed, step.name)
			require.Equal(t, before, p.states(), "%s changed something", step.name)
			require.Equal(t, resources, mem.Resources())
		}
		free()
		require.NoError(t, step.do(), "%s, with space again", step.name)
		return db.View(func(*store.Tx) error { return run(i + 1) })
	}
	require.NoError(t, db.View(func(*store.Tx) error { return run(0) }))
	require.Zero(t, mem.Collisions())
	states := p.states()
	p.reopen()
	require.Equal(t, states, p.states(), "settled on the disk too, although a full disk had thrown that out")
	check(t, p.db)
	require.NoError(t, p.db.Close())
}

// fillUp writes until the file system has no byte left, and returns what frees it.
func fillUp(t *testing.T, mount string) (free func()) {
	t.Helper()
	path := filepath.Join(mount, "filler")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	end := int64(0)
	for chunk := int64(1 << 30); chunk >= 512; {
		if err := unix.Fallocate(int(f.Fd()), 0, end, chunk); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			chunk /= 2
			continue
		}
		end += chunk
	}
	require.NoError(t, f.Close())
	return func() {
		require.NoError(t, os.Remove(path))
		syscall.Sync() // btrfs gives space back with its next transaction
	}
}
