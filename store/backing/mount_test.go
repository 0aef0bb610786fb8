//go:build linux

package backing_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/internal/testenv"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

func TestFindMount(t *testing.T) {
	const mountinfo = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
30 22 0:30 / /pool/devices/00000001/data/a\040b\011c\134d rw - tmpfs tmpfs rw
31 22 0:31 / /pool/devices/00000002 rw - tmpfs tmpfs rw
32 22 0:32 / /pool/devices/00000003x rw - tmpfs tmpfs rw
33 22 0:33 / /pool/devices/00000004/` + "\u00a0\r" + `x/\0400 rw master:2 - overlay overlay rw,lowerdir=/a
`
	for _, tt := range []struct{ dir, want string }{
		{"/pool/devices/00000001", "/pool/devices/00000001/data/a b\tc\\d"},
		{"/pool/devices/00000001/data/a b\tc\\d", "/pool/devices/00000001/data/a b\tc\\d"},
		{"/pool/devices/00000002", "/pool/devices/00000002"},
		{"/pool/devices/00000002/data", ""},
		{"/pool/devices/00000003", ""},
		{"/pool/devices/00000004", "/pool/devices/00000004/\u00a0\rx/ 0"},
		{"/", "/"},
		{"/else", ""},
	} {
		got, err := backing.FindMount(strings.NewReader(mountinfo), tt.dir)
		require.NoError(t, err)
		require.Equal(t, tt.want, got, tt.dir)
	}
	_, err := backing.FindMount(strings.NewReader("22 1 8:1 /\n"), "/")
	require.Error(t, err, "a line that is no mount must not read as no mounts")
	_, err = backing.FindMount(brokenReader{}, "/")
	require.ErrorIs(t, err, unix.EIO)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, unix.EIO }

func FuzzFindMount(f *testing.F) {
	f.Add("30 22 0:30 / /pool/a\\040b rw - tmpfs tmpfs rw\n", "/pool")
	f.Add("1 2 3 4 \\777\\0", "\xff")
	f.Fuzz(func(t *testing.T, mountinfo, dir string) {
		got, err := backing.FindMount(strings.NewReader(mountinfo), dir)
		if err == nil && got != "" && got != dir && !strings.HasPrefix(got, strings.TrimSuffix(dir, "/")+"/") {
			t.Fatalf("%q is not in %q", got, dir)
		}
	})
}

// bind mounts a directory with a file on a new directory, until the returned call.
// It has the same device number as what is around it.
func bind(t *testing.T, point string) (unmount func()) {
	t.Helper()
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.Mkdir(outside, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "precious"), nil, 0o600))
	require.NoError(t, os.MkdirAll(point, 0o700))
	require.NoError(t, unix.Mount(outside, point, "", unix.MS_BIND, ""))
	mounted := true
	unmount = func() {
		if mounted {
			require.NoError(t, unix.Unmount(point, 0))
			require.FileExists(t, filepath.Join(outside, "precious"))
		}
		mounted = false
	}
	t.Cleanup(unmount)
	return unmount
}

func TestRemoveMounted(t *testing.T) {
	testenv.NeedRoot(t)
	for _, where := range []string{"data", "data/deep/a b\\040c", "."} {
		t.Run(where, func(t *testing.T) {
			d, root := openDir(t)
			dev := device(0x10, 1)
			create(t, d, dev)
			unmount := bind(t, filepath.Join(root, "devices/00000010", where))
			require.ErrorIs(t, d.Remove(t.Context(), dev), store.ErrBusy)
			presence, _, err := d.Probe(t.Context(), dev.ID)
			if where == "." { // the stamp is below the mount
				require.ErrorIs(t, err, store.ErrBusy)
				require.Equal(t, store.Unknown, presence)
			} else {
				require.NoError(t, err)
				require.Equal(t, store.Present, presence)
			}
			unmount()
			require.NoError(t, d.Remove(t.Context(), dev))
			requireProbe(t, d, dev.ID, store.Absent, store.Stamp{})
		})
	}
}

// What was mounted after the mounts were looked at, or in another directory that is
// being removed, is not entered either.
func TestClearStopsAtMounts(t *testing.T) {
	testenv.NeedRoot(t)
	for _, place := range []string{"staging", "trash"} {
		t.Run(place, func(t *testing.T) {
			d, root := openDir(t)
			dev := device(0x10, 1)
			unmount := bind(t, filepath.Join(root, place, "00000010-"+dev.Stamp.String(), "data/point"))
			require.ErrorIs(t, d.Remove(t.Context(), dev), store.ErrBusy)
			_, err := d.Create(t.Context(), dev)
			require.ErrorIs(t, err, store.ErrBusy)
			requireProbe(t, d, dev.ID, store.Partial, dev.Stamp)
			unmount()
			require.NoError(t, d.Remove(t.Context(), dev))
			requireProbe(t, d, dev.ID, store.Absent, store.Stamp{})
		})
	}
}
