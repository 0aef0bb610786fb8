//go:build linux

package backing_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/internal/testenv"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

func list(t *testing.T, b store.Backing) []store.Resource {
	t.Helper()
	var all []store.Resource
	for res, err := range b.List(t.Context()) {
		require.NoError(t, err)
		all = append(all, res)
	}
	return all
}

// What somebody else put under an id is there, is not ours, and stays.
func TestForeignEntries(t *testing.T) {
	for _, tt := range []struct {
		name  string
		plant func(t *testing.T, path string)
	}{
		{"directory", func(t *testing.T, path string) { require.NoError(t, os.MkdirAll(filepath.Join(path, "data"), 0o700)) }},
		{"file", func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, nil, 0o600)) }},
		{"fifo", func(t *testing.T, path string) { require.NoError(t, unix.Mkfifo(path, 0o600)) }},
		{"link", func(t *testing.T, path string) { require.NoError(t, os.Symlink("00000001", path)) }},
		{"dangling link", func(t *testing.T, path string) { require.NoError(t, os.Symlink("nowhere", path)) }},
		{"copy of another device", func(t *testing.T, path string) {
			other := os.DirFS(filepath.Join(filepath.Dir(path), "00000001"))
			require.NoError(t, os.CopyFS(path, other))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, root := openDir(t)
			create(t, d, device(1, 1))
			tt.plant(t, filepath.Join(root, "devices/00000002"))
			before := treeOf(t, root)
			requireProbe(t, d, 2, store.Present, store.Stamp{})
			require.Contains(t, list(t, d), store.Resource{ID: 2, Presence: store.Present})
			_, err := d.Create(t.Context(), device(2, 2))
			require.ErrorIs(t, err, store.ErrExists)
			require.ErrorIs(t, d.Remove(t.Context(), device(2, 2)), store.ErrStale)
			require.Equal(t, before, treeOf(t, root))
		})
	}
}

// A stamp that cannot be read decides nothing.
func TestUnreadableStamps(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, stamp string)
		want   error
	}{
		{"empty", func(t *testing.T, stamp string) { require.NoError(t, os.Truncate(stamp, 0)) }, store.ErrCorrupt},
		{"torn", func(t *testing.T, stamp string) { require.NoError(t, os.Truncate(stamp, 40)) }, store.ErrCorrupt},
		{"too large", func(t *testing.T, stamp string) { require.NoError(t, os.Truncate(stamp, 1<<30)) }, store.ErrCorrupt},
		{"directory", func(t *testing.T, stamp string) {
			require.NoError(t, os.Remove(stamp))
			require.NoError(t, os.Mkdir(stamp, 0o700))
		}, store.ErrCorrupt},
		{"fifo", func(t *testing.T, stamp string) {
			require.NoError(t, os.Remove(stamp))
			require.NoError(t, unix.Mkfifo(stamp, 0o600))
		}, store.ErrCorrupt},
		{"link", func(t *testing.T, stamp string) {
			require.NoError(t, os.Rename(stamp, stamp+".real"))
			require.NoError(t, os.Symlink("stamp.real", stamp))
		}, store.ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, root := openDir(t)
			dev := device(2, 2)
			create(t, d, dev)
			tt.damage(t, filepath.Join(root, "devices/00000002/stamp"))
			presence, stamp, err := d.Probe(t.Context(), 2)
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, store.Unknown, presence)
			require.Zero(t, stamp)
			require.Equal(t, []store.Resource{{ID: 2, Presence: store.Unknown}}, list(t, d))
			_, err = d.Create(t.Context(), dev)
			require.ErrorIs(t, err, tt.want)
			_, err = d.Create(t.Context(), childOf(dev, 3, 3))
			require.ErrorIs(t, err, tt.want)
			require.ErrorIs(t, d.Remove(t.Context(), dev), tt.want)
			require.DirExists(t, d.Path(2))
		})
	}
}

func TestListTellsEverything(t *testing.T) {
	d, root := openDir(t)
	parent := device(0x10, 1)
	child := childOf(parent, 0xfffffffe, 2)
	child.Labels = map[string]string{"k": "v"}
	create(t, d, parent)
	create(t, d, child)
	for _, name := range []string{
		"devices/README", "devices/0000000A", "devices/00000000",
		"staging/00000020-" + stamp(3).String(), "staging/00000021-junk", "staging/junk",
		"trash/00000030-" + stamp(4).String(), "trash/00000030-" + stamp(5).String(), "trash/lost+found",
	} {
		require.NoError(t, os.Mkdir(filepath.Join(root, name), 0o700))
	}
	require.ElementsMatch(t, []store.Resource{
		{ID: 0x10, Stamp: stamp(1), Presence: store.Present, Name: "device 1"},
		{
			ID: 0xfffffffe, Stamp: stamp(2), Presence: store.Present, Name: "device 2",
			Parent: parent.Ref(), Labels: map[string]string{"k": "v"},
		},
		{Name: "README", Presence: store.Present},
		{Name: "0000000A", Presence: store.Present},
		{Name: "00000000", Presence: store.Present},
		{ID: 0x20, Stamp: stamp(3), Presence: store.Partial},
		{ID: 0x21, Presence: store.Partial},
		{Name: "junk", Presence: store.Partial},
		{ID: 0x30, Stamp: stamp(4), Presence: store.Partial},
		{ID: 0x30, Stamp: stamp(5), Presence: store.Partial},
		{Name: "lost+found", Presence: store.Partial},
	}, list(t, d))
	requireProbe(t, d, 0x21, store.Partial, store.Stamp{})
	for i := range int64(3) {
		n := 0
		var err error
		for _, err = range d.List(newCountdown(t.Context(), i)) {
			n++
		}
		require.ErrorIs(t, err, context.Canceled, "after %d", n)
	}
}

// A device that moves from place to place while it is listed is never missed.
func TestListWhileDevicesMove(t *testing.T) {
	d, _ := openDir(t)
	for id := range store.DeviceID(20) {
		create(t, d, device(id+1, uint64(id)+1))
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	for id := store.DeviceID(101); id <= 104; id++ {
		wg.Go(func() {
			for n := uint64(1); ; n++ {
				select {
				case <-done:
					return
				default:
				}
				dev := device(id, n)
				if _, err := d.Create(t.Context(), dev); err != nil {
					t.Errorf("create: %v", err)
				}
				if err := d.Remove(t.Context(), dev); err != nil {
					t.Errorf("remove: %v", err)
				}
			}
		})
	}
	for range 50 {
		seen := map[store.DeviceID]int{}
		for _, res := range list(t, d) {
			require.NotZero(t, res.ID)
			require.NotZero(t, res.Stamp, "id %v, %v", res.ID, res.Presence)
			seen[res.ID]++
		}
		for id := range store.DeviceID(20) {
			require.Equal(t, 1, seen[id+1])
		}
	}
	close(done)
	wg.Wait()
}

// Nothing is absent while what is open is not what the path leads to, or while the
// medium does not answer.
func TestAbsenceNeedsTheRoot(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, root string)
	}{
		{"devices moved away", func(t *testing.T, root string) {
			require.NoError(t, os.Rename(filepath.Join(root, "devices"), filepath.Join(root, "devices.old")))
		}},
		{"staging replaced", func(t *testing.T, root string) {
			require.NoError(t, os.Rename(filepath.Join(root, "staging"), filepath.Join(root, "staging.old")))
			require.NoError(t, os.Mkdir(filepath.Join(root, "staging"), 0o700))
		}},
		{"everything deleted", func(t *testing.T, root string) { require.NoError(t, os.RemoveAll(root)) }},
		{"identity changed", func(t *testing.T, root string) {
			text := []byte("00000000-0000-4000-8000-000000000000\n")
			require.NoError(t, os.WriteFile(filepath.Join(root, "identity"), text, 0o600))
		}},
		{"no permission", func(t *testing.T, root string) {
			testenv.SkipAsRoot(t, "root needs none")
			devices := filepath.Join(root, "devices")
			require.NoError(t, os.Chmod(devices, 0))
			t.Cleanup(func() { require.NoError(t, os.Chmod(devices, 0o700)) })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, root := openDir(t)
			tt.spoil(t, root)
			requireUnknown(t, d)
		})
	}
}

// requireUnknown fails unless d, which holds nothing, claims nothing and does nothing.
func requireUnknown(t *testing.T, d *backing.Dir) {
	t.Helper()
	presence, _, err := d.Probe(t.Context(), 2)
	require.Error(t, err)
	require.Equal(t, store.Unknown, presence)
	n := 0
	for _, err = range d.List(t.Context()) {
		n++
	}
	require.Error(t, err)
	require.Equal(t, 1, n)
	_, err = d.Create(t.Context(), device(2, 2))
	require.Error(t, err)
	require.Error(t, d.Remove(t.Context(), device(2, 2)))
}

// A file system that has shut down, as after a pulled cable, answers EIO.
func TestDeadMedium(t *testing.T) {
	for _, fstype := range []string{"ext4", "xfs"} {
		t.Run(fstype, func(t *testing.T) {
			dir := testenv.LoopFS(t, fstype, 300<<20)
			d := openAt(t, filepath.Join(dir, "root"))
			create(t, d, device(1, 1))
			require.NoError(t, d.Remove(t.Context(), device(1, 1)))
			f, err := os.Open(dir)
			require.NoError(t, err)
			const shutdown, noLogFlush = 0x8004587d, 2
			err = unix.IoctlSetPointerInt(int(f.Fd()), shutdown, noLogFlush)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			requireUnknown(t, d)
		})
	}
}

// Absence is what Probe and Remove agree on, however often they are asked.
func TestManyDevices(t *testing.T) {
	d, _ := openDir(t)
	var wg sync.WaitGroup
	for worker := range store.DeviceID(8) {
		wg.Go(func() {
			for i := range store.DeviceID(20) {
				id := worker*100 + i + 1
				dev := device(id, uint64(id))
				if _, err := d.Create(t.Context(), dev); err != nil {
					t.Errorf("create: %v", err)
				}
				if err := os.WriteFile(filepath.Join(d.Path(id), "f"), []byte(fmt.Sprint(id)), 0o600); err != nil {
					t.Errorf("fill: %v", err)
				}
				if id%2 == 0 {
					if err := d.Remove(t.Context(), dev); err != nil {
						t.Errorf("remove: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	all := list(t, d)
	require.Len(t, all, 80)
	for _, res := range all {
		content, err := os.ReadFile(filepath.Join(d.Path(res.ID), "f"))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(res.ID), string(content))
	}
}
