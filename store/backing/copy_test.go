//go:build linux

package backing_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/internal/testenv"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// fillTree makes one of everything that a copy must keep.
func fillTree(t *testing.T, dir string) {
	t.Helper()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, content string, mode fs.FileMode) {
		require.NoError(t, os.WriteFile(path(name), []byte(content), 0o600))
		require.NoError(t, os.Chmod(path(name), mode))
	}
	for _, name := range []string{"a/b/c", "empty", "sticky", "closed"} {
		require.NoError(t, os.MkdirAll(path(name), 0o755))
	}
	require.NoError(t, os.Chmod(path("sticky"), 0o777|fs.ModeSticky|fs.ModeSetgid))
	write("plain", "plain", 0o644)
	write("zero", "", 0o400)
	write("a/setuid", "program", 0o755|fs.ModeSetuid)
	write("a/b/c/large", strings.Repeat("0123456789abcdef", 60000), 0o640)
	write("closed/file", "in a directory without write permission", 0o444)
	write(strings.Repeat("n", 255), "long name", 0o600)
	write("line\nfeed \xff\\040", "strange name", 0o600)
	require.NoError(t, os.Link(path("plain"), path("a/hard link")))
	require.NoError(t, os.Link(path("plain"), path("a/b/second hard link")))
	for name, target := range map[string]string{"link": "plain", "dangling": "no/where", "away": "/etc/passwd", "up": ".."} {
		require.NoError(t, os.Symlink(target, path(name)))
	}
	require.NoError(t, os.Link(path("link"), path("a/hard link to a link")))
	require.NoError(t, unix.Mkfifo(path("fifo"), 0o620))
	require.NoError(t, unix.Mknod(path("socket"), unix.S_IFSOCK|0o600, 0))
	if os.Geteuid() == 0 {
		fillAsRoot(t, path)
	}
	if err := unix.Lsetxattr(path("plain"), "user.note", []byte("kept\x00too"), 0); err == nil {
		require.NoError(t, unix.Lsetxattr(path("a"), "user.note", nil, 0))
	} else {
		require.ErrorIs(t, err, unix.ENOTSUP)
	}
	for i, name := range []string{"plain", "a/b/c", "link", "fifo", "empty", "a", "."} {
		ts := unix.NsecToTimespec(time.Date(2001, 2, 3, 4, 5, 6+i, 789, time.UTC).UnixNano())
		require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, path(name), []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
	require.NoError(t, os.Chmod(path("closed"), 0o500))
	require.NoError(t, os.Chmod(dir, 0o751))
}

// fillAsRoot adds what only root may make.
func fillAsRoot(t *testing.T, path func(string) string) {
	t.Helper()
	require.NoError(t, os.Lchown(path("link"), 1000, 1001))
	require.NoError(t, os.Chown(path("a/setuid"), 1002, 1003))
	require.NoError(t, os.Chmod(path("a/setuid"), 0o755|fs.ModeSetuid|fs.ModeSetgid))
	require.NoError(t, os.Chown(path("empty"), 1004, 1005))
	require.NoError(t, unix.Mknod(path("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	require.NoError(t, unix.Mknod(path("whiteout"), unix.S_IFCHR, 0))
	require.NoError(t, unix.Mknod(path("block"), unix.S_IFBLK|0o640, int(unix.Mkdev(259, 70000))))
	// A capability: cap_net_bind_service, in the kernel's revision 2 of the format.
	capability := []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if err := unix.Lsetxattr(path("a/b/c/large"), "security.capability", capability, 0); err != nil {
		require.ErrorIs(t, err, unix.ENOTSUP)
	}
	if err := unix.Lsetxattr(path("link"), "trusted.note", []byte("of the link"), 0); err != nil {
		require.ErrorIs(t, err, unix.ENOTSUP)
	}
}

func TestCopyKeepsEverything(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name string
		make func(t *testing.T) string
	}{
		{"temporary directory", func(t *testing.T) string { return t.TempDir() }},
		{"tmpfs", func(t *testing.T) string { return testenv.Tmpfs(t, 16*mib) }},
		{"ext4", func(t *testing.T) string { return testenv.LoopFS(t, "ext4", 32*mib) }},
		{"xfs", func(t *testing.T) string { return testenv.LoopFS(t, "xfs", 300*mib) }},
		{"btrfs", func(t *testing.T) string { return testenv.LoopFS(t, "btrfs", 128*mib) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := openAt(t, tt.make(t))
			parent := device(1, 1)
			create(t, d, parent)
			fillTree(t, d.Path(1))
			want := treeOf(t, d.Path(1))
			child := childOf(parent, 2, 2)
			create(t, d, child)
			require.Equal(t, want, treeOf(t, d.Path(2)))
			require.Equal(t, want, treeOf(t, d.Path(1)), "the parent is left alone")
			require.NoError(t, d.Remove(t.Context(), child))
			require.NoDirExists(t, filepath.Dir(d.Path(2)))
			require.Equal(t, want, treeOf(t, d.Path(1)))
			require.NoError(t, d.Remove(t.Context(), parent), "read-only directories too")
		})
	}
}

// Six copies of a file that fills half of the file system fit only as long as they
// share its blocks.
func TestCopyShares(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		fstype string
		size   int64
	}{{"xfs", 300 * mib}, {"btrfs", 160 * mib}} {
		t.Run(tt.fstype, func(t *testing.T) {
			d := openAt(t, testenv.LoopFS(t, tt.fstype, tt.size))
			parent := device(1, 1)
			create(t, d, parent)
			f, err := os.Create(filepath.Join(d.Path(1), "large"))
			require.NoError(t, err)
			for range 60 {
				_, err := f.WriteString(strings.Repeat("x", mib))
				require.NoError(t, err)
			}
			require.NoError(t, f.Sync())
			require.NoError(t, f.Close())
			for i := range 6 {
				create(t, d, childOf(parent, store.DeviceID(i+2), uint64(i+2)))
			}
			info, err := os.Stat(filepath.Join(d.Path(7), "large"))
			require.NoError(t, err)
			require.EqualValues(t, 60*mib, info.Size())
		})
	}
}

func TestCopyKeepsHoles(t *testing.T) {
	d, _ := openDir(t)
	parent := device(1, 1)
	create(t, d, parent)
	const size = 1 << 30
	f, err := os.Create(filepath.Join(d.Path(1), "sparse"))
	require.NoError(t, err)
	for _, at := range []int64{0, size / 2, size - 3} {
		_, err = f.WriteAt([]byte("abc"), at)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	require.NoError(t, os.Truncate(filepath.Join(d.Path(1), "sparse"), size+100_000))
	create(t, d, childOf(parent, 2, 2))
	info, err := os.Stat(filepath.Join(d.Path(2), "sparse"))
	require.NoError(t, err)
	require.EqualValues(t, size+100_000, info.Size())
	require.Less(t, info.Sys().(*syscall.Stat_t).Blocks*512, int64(1<<20), "bytes on the medium")
	f, err = os.Open(filepath.Join(d.Path(2), "sparse"))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	for _, at := range []int64{0, size / 2, size - 3} {
		got := make([]byte, 4)
		_, err := f.ReadAt(got, at)
		require.NoError(t, err)
		require.Equal(t, "abc\x00", string(got))
	}
}

func TestCopyRefuses(t *testing.T) {
	t.Run("mount", func(t *testing.T) {
		testenv.NeedRoot(t)
		d, _ := openDir(t)
		create(t, d, device(1, 1))
		point := filepath.Join(d.Path(1), "point")
		require.NoError(t, os.Mkdir(point, 0o700))
		outside := t.TempDir()
		require.NoError(t, unix.Mount(outside, point, "", unix.MS_BIND, ""))
		t.Cleanup(func() { require.NoError(t, unix.Unmount(point, 0)) })
		_, err := d.Create(t.Context(), childOf(device(1, 1), 2, 2))
		require.ErrorIs(t, err, store.ErrBusy)
	})
	t.Run("unreadable", func(t *testing.T) {
		testenv.SkipAsRoot(t, "root may read it")
		d, _ := openDir(t)
		create(t, d, device(1, 1))
		require.NoError(t, os.WriteFile(filepath.Join(d.Path(1), "f"), nil, 0o200))
		_, err := d.Create(t.Context(), childOf(device(1, 1), 2, 2))
		require.ErrorIs(t, err, fs.ErrPermission)
		requireProbe(t, d, 2, store.Partial, stamp(2))
		require.NoError(t, d.Remove(t.Context(), device(2, 2)))
	})
	t.Run("content is a link", func(t *testing.T) {
		d, _ := openDir(t)
		create(t, d, device(1, 1))
		require.NoError(t, os.Remove(d.Path(1)))
		require.NoError(t, os.Symlink("/etc", d.Path(1)))
		_, err := d.Create(t.Context(), childOf(device(1, 1), 2, 2))
		require.ErrorIs(t, err, store.ErrCorrupt)
	})
}

// Canceled wherever it looks at its context, a copy is partial or absent, and the
// next Create completes it.
func TestCopyCanceledAnywhere(t *testing.T) {
	d, _ := openDir(t)
	parent, child := device(1, 1), childOf(device(1, 1), 2, 2)
	create(t, d, parent)
	fillTree(t, d.Path(1))
	want := treeOf(t, d.Path(1))
	n := int64(0)
	for ; ; n++ {
		require.Less(t, n, int64(1000))
		_, err := d.Create(newCountdown(t.Context(), n), child)
		if err == nil {
			break
		}
		require.ErrorIs(t, err, context.Canceled)
		presence, got, err := d.Probe(t.Context(), 2)
		require.NoError(t, err)
		require.Contains(t, []store.Presence{store.Absent, store.Partial}, presence)
		if presence == store.Partial {
			require.Equal(t, child.Stamp, got)
		}
	}
	require.Greater(t, n, int64(20), "the context is looked at before each entry")
	require.Equal(t, want, treeOf(t, d.Path(2)))
	for n = 0; d.Remove(newCountdown(t.Context(), n), child) != nil; n++ {
		require.Less(t, n, int64(1000))
		presence, _, err := d.Probe(t.Context(), 2)
		require.NoError(t, err)
		require.NotEqual(t, store.Absent, presence)
	}
	require.Greater(t, n, int64(5), "though each attempt leaves less")
	requireProbe(t, d, 2, store.Absent, store.Stamp{})
}

func TestCopyOnFullMedium(t *testing.T) {
	d := openAt(t, testenv.LoopFS(t, "ext4", 16<<20))
	parent, child := device(1, 1), childOf(device(1, 1), 2, 2)
	create(t, d, parent)
	for i := range 8 {
		name := filepath.Join(d.Path(1), fmt.Sprint(i))
		require.NoError(t, os.WriteFile(name, []byte(strings.Repeat("x", 1<<20)), 0o600))
	}
	for range 2 {
		_, err := d.Create(t.Context(), child)
		require.ErrorIs(t, err, store.ErrNoSpace)
		require.ErrorIs(t, err, unix.ENOSPC)
		requireProbe(t, d, 2, store.Partial, stamp(2))
	}
	require.NoError(t, d.Remove(t.Context(), child), "removing needs no space")
	requireProbe(t, d, 2, store.Absent, store.Stamp{})
	for i := range 6 {
		require.NoError(t, os.Remove(filepath.Join(d.Path(1), fmt.Sprint(i))))
	}
	create(t, d, child)
	requireProbe(t, d, 2, store.Present, stamp(2))
}

func TestDescriptorsAreClosed(t *testing.T) {
	d, _ := openDir(t)
	parent := device(1, 1)
	create(t, d, parent)
	fillTree(t, d.Path(1))
	before := descriptors(t)
	for i := range 50 {
		child := childOf(parent, 2, uint64(i+2))
		create(t, d, child)
		_, err := d.Create(t.Context(), device(2, 1000))
		require.ErrorIs(t, err, store.ErrExists)
		_, err = d.Create(newCountdown(t.Context(), 7), childOf(parent, 3, 1001))
		require.Error(t, err)
		require.NoError(t, d.Remove(t.Context(), child))
		_, err = backing.OpenDir(filepath.Join(d.Path(1), "plain"))
		require.Error(t, err, "a file")
		for _, err := range d.List(t.Context()) {
			require.NoError(t, err)
			break
		}
	}
	require.InDelta(t, before, descriptors(t), 5)
}
