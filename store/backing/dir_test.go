//go:build linux

package backing_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/internal/testenv"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
	"github.com/driftlesskv/driftless/store/storetest"
)

// harness offers the kit everything that the directory at root can do.
func harness(root string) storetest.Harness {
	path := func(id store.DeviceID, elem ...string) string {
		return filepath.Join(append([]string{root, "devices", fmt.Sprintf("%08x", uint32(id)), "data"}, elem...)...)
	}
	h := storetest.Harness{
		Open: func() (store.Backing, error) { return backing.OpenDir(root) },
		Write: func(id store.DeviceID, content string) error {
			return os.WriteFile(path(id, "file"), []byte(content), 0o600)
		},
		Read: func(id store.DeviceID) (string, error) {
			content, err := os.ReadFile(path(id, "file"))
			return string(content), err
		},
		// The directory at the path is no longer the one that is open, as after an
		// unmount.
		Break: func() (func() error, error) {
			devices := filepath.Join(root, "devices")
			err := errors.Join(os.Rename(devices, devices+".gone"), os.Mkdir(devices, 0o700))
			return func() error { return errors.Join(os.Remove(devices), os.Rename(devices+".gone", devices)) }, err
		},
		Interrupt: func(_ context.Context, dev store.Device) error {
			half := filepath.Join(root, "staging", fmt.Sprintf("%08x-%v", uint32(dev.ID), dev.Stamp), "data")
			if err := os.MkdirAll(half, 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(half, "file"), []byte("half a copy"), 0o600)
		},
	}
	if os.Geteuid() == 0 {
		h.Busy = func(id store.DeviceID) (func() error, error) {
			point := path(id, "mount point")
			err := errors.Join(os.Mkdir(point, 0o700), unix.Mount("tmpfs", point, "tmpfs", 0, ""))
			return func() error { return unix.Unmount(point, 0) }, err
		}
	}
	return h
}

func TestDirConforms(t *testing.T) {
	storetest.Backing(t, func(t testing.TB) storetest.Harness {
		h := harness(t.TempDir())
		h.In = harness
		return h
	})
}

func TestDirConformsOn(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name string
		make func(t *testing.T) string
	}{
		{"tmpfs", func(t *testing.T) string { return testenv.Tmpfs(t, 16*mib) }},
		{"ext4", func(t *testing.T) string { return testenv.LoopFS(t, "ext4", 16*mib) }},
		{"xfs", func(t *testing.T) string { return testenv.LoopFS(t, "xfs", 300*mib) }},
		{"btrfs", func(t *testing.T) string { return testenv.LoopFS(t, "btrfs", 128*mib) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parent, n := tt.make(t), 0
			storetest.Backing(t, func(testing.TB) storetest.Harness {
				n++
				return harness(filepath.Join(parent, fmt.Sprint(n)))
			})
		})
	}
}

func stamp(n uint64) store.Stamp { return store.Stamp{Incarnation: 0xabc, Sequence: n} }

func device(id store.DeviceID, intent uint64) store.Device {
	return store.Device{ID: id, Stamp: stamp(intent), Name: fmt.Sprintf("device %d", intent)}
}

func childOf(parent store.Device, id store.DeviceID, intent uint64) store.Device {
	dev := device(id, intent)
	dev.Parent = parent.Ref()
	return dev
}

// openDir opens a backing in a new directory.
func openDir(t *testing.T) (*backing.Dir, string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	t.Cleanup(func() { // an ordinary user cannot empty directories without write permission
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				err = os.Chmod(path, 0o700)
			}
			return err
		})
		if !errors.Is(err, fs.ErrNotExist) {
			require.NoError(t, err)
		}
	})
	return openAt(t, root), root
}

func openAt(t *testing.T, root string) *backing.Dir {
	t.Helper()
	d, err := backing.OpenDir(root)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func create(t *testing.T, d *backing.Dir, dev store.Device) {
	t.Helper()
	attrs, err := d.Create(t.Context(), dev)
	require.NoError(t, err)
	require.Equal(t, store.Attrs{backing.AttrPath: d.Path(dev.ID)}, attrs)
}

func requireProbe(t *testing.T, b store.Backing, id store.DeviceID, want store.Presence, stamp store.Stamp) {
	t.Helper()
	presence, got, err := b.Probe(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, want, presence)
	require.Equal(t, stamp, got)
}

func TestOpenDirMakesTheRoot(t *testing.T) {
	root := filepath.Join(t.TempDir(), "above", "root")
	d := openAt(t, root)
	identity, err := d.Identity(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, identity)
	text, err := os.ReadFile(filepath.Join(root, "identity"))
	require.NoError(t, err)
	require.Equal(t, identity+"\n", string(text))
	create(t, d, device(0x2a, 1))
	require.Equal(t, filepath.Join(root, "devices/0000002a/data"), d.Path(0x2a))
	require.DirExists(t, d.Path(0x2a))
	t.Chdir(root)
	require.Equal(t, d.Path(1), openAt(t, ".").Path(1), "the path is absolute")
}

func TestOpenDirRefuses(t *testing.T) {
	plant := func(name, text string) func(t *testing.T, root string) {
		return func(t *testing.T, root string) {
			require.NoError(t, os.RemoveAll(filepath.Join(root, name)))
			require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
		}
	}
	link := func(name string) func(t *testing.T, root string) {
		return func(t *testing.T, root string) {
			require.NoError(t, os.Rename(filepath.Join(root, name), filepath.Join(root, "elsewhere")))
			require.NoError(t, os.Symlink("elsewhere", filepath.Join(root, name)))
		}
	}
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, root string)
		want    error
	}{
		{"devices is a file", plant("devices", ""), unix.ENOTDIR},
		{"staging is a file", plant("staging", ""), unix.ENOTDIR},
		{"trash is a file", plant("trash", ""), unix.ENOTDIR},
		{"devices is a link", link("devices"), errSymlink},
		{"staging is a link", link("staging"), errSymlink},
		{"trash is a link", link("trash"), errSymlink},
		{"identity is a link", link("identity"), errSymlink},
		{"identity is empty", plant("identity", ""), store.ErrCorrupt},
		{"identity is garbage", plant("identity", "garbage"), store.ErrCorrupt},
		{"identity is too long", plant("identity", string(make([]byte, 100))), store.ErrCorrupt},
		{"identity is a directory", func(t *testing.T, root string) {
			require.NoError(t, os.Remove(filepath.Join(root, "identity")))
			require.NoError(t, os.Mkdir(filepath.Join(root, "identity"), 0o700))
		}, store.ErrCorrupt},
		{"identity is lost", func(t *testing.T, root string) {
			require.NoError(t, os.Remove(filepath.Join(root, "identity")))
		}, store.ErrIdentity},
		{"root is a link", func(t *testing.T, root string) {
			require.NoError(t, os.Rename(root, root+".real"))
			require.NoError(t, os.Symlink("root.real", root))
		}, errSymlink},
		{"root is a dangling link", func(t *testing.T, root string) {
			require.NoError(t, os.Rename(root, root+".real"))
			require.NoError(t, os.Symlink("nowhere", root))
		}, errSymlink},
		{"root is a file", func(t *testing.T, root string) {
			require.NoError(t, os.Rename(root, root+".real"))
			require.NoError(t, os.WriteFile(root, nil, 0o600))
		}, unix.ENOTDIR},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "root")
			d, err := backing.OpenDir(root)
			require.NoError(t, err)
			create(t, d, device(1, 1))
			require.NoError(t, d.Close())
			tt.prepare(t, root)
			before := treeOf(t, filepath.Dir(root))
			_, err = backing.OpenDir(root)
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, before, treeOf(t, filepath.Dir(root)), "nothing changed")
		})
	}
	for _, path := range []string{"", "nul\x00"} {
		_, err := backing.OpenDir(path)
		require.ErrorIs(t, err, store.ErrInvalid)
	}
}

func TestOpenDirReadOnly(t *testing.T) {
	t.Run("directory", func(t *testing.T) {
		testenv.SkipAsRoot(t, "root may write to it")
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o500))
		t.Cleanup(func() { require.NoError(t, os.Chmod(dir, 0o700)) })
		for _, root := range []string{dir, filepath.Join(dir, "root")} {
			_, err := backing.OpenDir(root)
			require.ErrorIs(t, err, fs.ErrPermission)
		}
	})
	t.Run("file system", func(t *testing.T) {
		dir := testenv.Tmpfs(t, 1<<20)
		d := openAt(t, dir)
		create(t, d, device(1, 1))
		require.NoError(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		_, err := d.Create(t.Context(), device(2, 2))
		require.ErrorIs(t, err, unix.EROFS)
		require.ErrorIs(t, d.Remove(t.Context(), device(1, 1)), unix.EROFS)
		requireProbe(t, d, 1, store.Present, stamp(1))
		requireProbe(t, d, 2, store.Absent, store.Stamp{})
		_, err = backing.OpenDir(filepath.Join(dir, "root"))
		require.ErrorIs(t, err, unix.EROFS)
		reader, err := backing.OpenDir(dir)
		require.NoError(t, err, "there is nothing to make")
		require.NoError(t, reader.Close())
	})
}

func TestCloseEndsEverything(t *testing.T) {
	d, err := backing.OpenDir(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, d.Close())
	require.NoError(t, d.Close(), "a second time")
	_, err = d.Identity(t.Context())
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = d.Create(t.Context(), device(1, 1))
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, d.Remove(t.Context(), device(1, 1)), fs.ErrClosed)
	presence, _, err := d.Probe(t.Context(), 1)
	require.ErrorIs(t, err, fs.ErrClosed)
	require.Equal(t, store.Unknown, presence)
	for _, err := range d.List(t.Context()) {
		require.ErrorIs(t, err, fs.ErrClosed)
	}
}

func TestInvalidDevices(t *testing.T) {
	d, root := openDir(t)
	before := treeOf(t, root)
	orphan := device(2, 2)
	orphan.Parent = store.Ref{ID: 1}
	huge := device(3, 3)
	huge.Labels = map[string]string{"large": string(make([]byte, 1<<20))}
	for _, dev := range []store.Device{{}, {ID: 1}, {Stamp: stamp(1)}, orphan, childOf(device(5, 5), 5, 6), huge} {
		_, err := d.Create(t.Context(), dev)
		require.ErrorIs(t, err, store.ErrInvalid)
	}
	for _, dev := range []store.Device{{}, {ID: 1}, {Stamp: stamp(1)}} {
		require.ErrorIs(t, d.Remove(t.Context(), dev), store.ErrInvalid)
	}
	_, _, err := d.Probe(t.Context(), 0)
	require.ErrorIs(t, err, store.ErrInvalid)
	require.Equal(t, before, treeOf(t, root))
}
