package testenv_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/internal/testenv"
)

const mib = 1 << 20

func TestLoopFS(t *testing.T) {
	testenv.NeedRoot(t)
	for _, tt := range []struct {
		fstype string
		size   int64
		magic  int64
	}{
		{"ext4", 16 * mib, unix.EXT4_SUPER_MAGIC},
		{"xfs", 300 * mib, unix.XFS_SUPER_MAGIC},
		{"btrfs", 128 * mib, unix.BTRFS_SUPER_MAGIC},
	} {
		t.Run(tt.fstype, func(t *testing.T) {
			var dir string
			var loop attachment
			t.Run("use", func(t *testing.T) {
				dir = testenv.LoopFS(t, tt.fstype, tt.size)
				var st unix.Statfs_t
				require.NoError(t, unix.Statfs(dir, &st))
				require.Equal(t, tt.magic, int64(st.Type))
				entries, err := os.ReadDir(dir)
				require.NoError(t, err)
				require.Empty(t, entries)
				loop = attachmentOf(t, dir)
				require.FileExists(t, loop.image)
				err = os.WriteFile(filepath.Join(dir, "large"), make([]byte, tt.size), 0o600)
				require.ErrorIs(t, err, unix.ENOSPC, "the size is a limit")
			})
			require.NoDirExists(t, dir, "unmounted and removed")
			requireDetached(t, loop)
		})
	}
}

// Parallel tests, each with a device of its own, must not take one another's.
func TestLoopFSConcurrently(t *testing.T) {
	testenv.NeedRoot(t)
	var mu sync.Mutex
	var loops []attachment
	t.Run("group", func(t *testing.T) {
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir := testenv.LoopFS(t, "ext4", 8*mib)
				file := filepath.Join(dir, "name")
				require.NoError(t, os.WriteFile(file, []byte(name), 0o600))
				loop := attachmentOf(t, dir)
				mu.Lock()
				loops = append(loops, loop)
				mu.Unlock()
				got, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Equal(t, name, string(got))
			})
		}
	})
	require.Len(t, loops, 6)
	for _, loop := range loops {
		requireDetached(t, loop)
	}
}

func TestLoopFSFails(t *testing.T) {
	testenv.NeedRoot(t)
	got := judge(t, func(tb testing.TB) { testenv.LoopFS(tb, "ext5", mib) })
	require.Equal(t, "failed", got.verdict)
	require.Contains(t, got.text, "ext5")
	got = judge(t, func(tb testing.TB) { testenv.LoopFS(tb, "xfs", mib) })
	require.Equal(t, "failed", got.verdict, "too small for xfs")
}

// An image that the kernel refuses to mount must leave no loop device behind.
func TestMountImageFails(t *testing.T) {
	testenv.NeedRoot(t)
	image := filepath.Join(t.TempDir(), "image")
	require.NoError(t, os.WriteFile(image, make([]byte, mib), 0o600))
	got := judge(t, func(tb testing.TB) { testenv.MountImage(tb, image, "ext4") })
	require.Equal(t, "failed", got.verdict, "there is no file system in the image")
	devices, err := filepath.Glob("/dev/loop[0-9]*")
	require.NoError(t, err)
	require.NotEmpty(t, devices)
	for _, device := range devices {
		requireDetached(t, attachment{device, image})
	}
}

func TestTmpfs(t *testing.T) {
	testenv.NeedRoot(t)
	var dir string
	t.Run("use", func(t *testing.T) {
		dir = testenv.Tmpfs(t, 2*mib)
		var st unix.Statfs_t
		require.NoError(t, unix.Statfs(dir, &st))
		require.EqualValues(t, unix.TMPFS_MAGIC, st.Type)
		require.EqualValues(t, 2*mib, st.Blocks*uint64(st.Bsize))
	})
	require.NoDirExists(t, dir)
}

// A process that outlives the test keeps the file system busy: the mount goes
// away all the same, and the test that left it fails.
func TestBusyUnmount(t *testing.T) {
	testenv.NeedRoot(t)
	dir := testenv.Tmpfs(t, mib)
	held, err := os.Create(filepath.Join(dir, "held"))
	require.NoError(t, err)
	require.ErrorIs(t, testenv.Unmount(dir), unix.EBUSY)
	var st unix.Statfs_t
	require.NoError(t, unix.Statfs(dir, &st))
	require.NotEqualValues(t, unix.TMPFS_MAGIC, st.Type, "detached")
	require.NoError(t, held.Close())
	// What the cleanup of Tmpfs unmounts.
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
}

// attachment is a loop device and the image behind it.
type attachment struct{ device, image string }

// attachmentOf returns what is mounted on dir.
func attachmentOf(t *testing.T, dir string) attachment {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); fields[1] == dir {
			image, err := imageOf(fields[0])
			require.NoError(t, err)
			return attachment{fields[0], image}
		}
	}
	t.Fatalf("%s is no mount point", dir)
	return attachment{}
}

// imageOf returns the path of the image behind a loop device, or an error when
// there is none.
func imageOf(device string) (string, error) {
	path, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(device), "loop/backing_file"))
	return strings.TrimSuffix(string(path), "\n"), err
}

// requireDetached fails unless the image is off its device soon. Another process
// may have the device meanwhile, with another image.
func requireDetached(t *testing.T, loop attachment) {
	t.Helper()
	require.Eventually(t, func() bool {
		image, err := imageOf(loop.device)
		return err != nil || strings.TrimSuffix(image, " (deleted)") != loop.image
	}, 10*time.Second, 10*time.Millisecond, "%s is still attached", loop.device)
}
