package store_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// redirect lets the process's descriptor of a file lead to another one, until the
// returned function puts it back. Writes to the null device succeed; its flush fails.
func redirect(t testing.TB, path, to string) (restore func()) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, entry := range fds {
		if target, err := os.Readlink(filepath.Join("/proc/self/fd", entry.Name())); err != nil || target != path {
			continue
		}
		fd, err := strconv.Atoi(entry.Name())
		require.NoError(t, err)
		kept, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		other, err := unix.Open(to, unix.O_RDWR|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Dup3(other, fd, unix.O_CLOEXEC))
		require.NoError(t, unix.Close(other))
		return func() {
			require.NoError(t, unix.Dup3(kept, fd, unix.O_CLOEXEC))
			require.NoError(t, unix.Close(kept))
		}
	}
	t.Fatalf("%s is not open", path)
	return nil
}
