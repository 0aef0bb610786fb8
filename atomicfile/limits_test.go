//go:build linux

package atomicfile_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/atomicfile"
	"github.com/driftlesskv/driftless/internal/testenv"
)

func init() { children["umask"] = umaskChild }

// umaskChild makes files and directories under the umask args[0] in args[1].
func umaskChild(args []string) int {
	var mask int
	if _, err := fmt.Sscanf(args[0], "%o", &mask); err != nil {
		fmt.Println(err)
		return 1
	}
	unix.Umask(mask)
	for _, mode := range []fs.FileMode{0o600, 0o666, 0o755} {
		name := filepath.Join(args[1], fmt.Sprintf("f%o", mode))
		if err := atomicfile.WriteFile(name, []byte("new"), atomicfile.Options{Mode: mode}); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	for _, mode := range []fs.FileMode{0o700, 0o777} {
		if err := atomicfile.MkdirAll(filepath.Join(args[1], fmt.Sprintf("d%o/d%[1]o", mode)), mode); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

func TestUmask(t *testing.T) {
	for _, mask := range []string{"0", "77", "477", "777"} {
		t.Run(mask, func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.CommandContext(t.Context(), os.Args[0], mask, dir)
			cmd.Env = append(os.Environ(), childEnv+"=umask")
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			for name, want := range map[string]fs.FileMode{
				"f600": 0o600, "f666": 0o666, "f755": 0o755,
				"d700": fs.ModeDir | 0o700, "d700/d700": fs.ModeDir | 0o700,
				"d777": fs.ModeDir | 0o777, "d777/d777": fs.ModeDir | 0o777,
			} {
				info, err := os.Lstat(filepath.Join(dir, name))
				require.NoError(t, err)
				require.Equal(t, want, info.Mode(), name)
			}
		})
	}
}

func TestFullMedium(t *testing.T) {
	const size = 1 << 20
	dir := testenv.Tmpfs(t, size)
	name := filepath.Join(dir, "f")
	require.NoError(t, atomicfile.WriteFile(name, []byte("old"), atomicfile.Options{}))
	large := []byte(strings.Repeat("x", size))
	for range 3 {
		requireError(t, atomicfile.WriteFile(name, large, atomicfile.Options{}), "write", syscall.ENOSPC)
		requireContent(t, name, "old")
		requireEntries(t, dir, "f")
	}
	require.NoError(t, atomicfile.WriteFile(name, large[:size/2], atomicfile.Options{}), "there is room again")
}

// The file system is full of inodes, so that not even the temporary file can be
// made, and full of blocks, so that the content does not fit.
func TestFullFileSystem(t *testing.T) {
	dir := testenv.LoopFS(t, "ext4", 4<<20)
	name := filepath.Join(dir, "f")
	require.NoError(t, atomicfile.WriteFile(name, []byte("old"), atomicfile.Options{}))
	var err error
	written := 0
	for ; err == nil; written++ {
		require.Less(t, written, 100_000)
		err = atomicfile.MkdirAll(filepath.Join(dir, fmt.Sprintf("d%d", written)), 0o700)
	}
	requireError(t, err, "mkdir", syscall.ENOSPC)
	require.NoDirExists(t, filepath.Join(dir, fmt.Sprintf("d%d", written-1)))
	requireError(t, atomicfile.WriteFile(name, []byte(strings.Repeat("x", 8<<20)), atomicfile.Options{}), "write", syscall.ENOSPC)
	requireContent(t, name, "old")
	entries, err := filepath.Glob(filepath.Join(dir, atomicfile.TempPrefix+"*"))
	require.NoError(t, err)
	require.Empty(t, entries)
	require.NoError(t, os.Remove(filepath.Join(dir, "d0")))
	require.NoError(t, os.Remove(filepath.Join(dir, "d1")))
	require.NoError(t, atomicfile.WriteFile(name, []byte("new"), atomicfile.Options{}))
	requireContent(t, name, "new")
}

func TestReadOnlyDirectory(t *testing.T) {
	testenv.SkipAsRoot(t, "root may write to it")
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(name, []byte("old"), 0o600))
	require.NoError(t, os.Chmod(dir, 0o500))
	t.Cleanup(func() { require.NoError(t, os.Chmod(dir, 0o700)) })
	requireReadOnly(t, dir, fs.ErrPermission)
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir := testenv.Tmpfs(t, 1<<20)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("old"), 0o600))
	require.NoError(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	requireReadOnly(t, dir, syscall.EROFS)
}

// requireReadOnly fails unless every change in dir, which holds the file f, is refused.
func requireReadOnly(t *testing.T, dir string, want error) {
	t.Helper()
	d, err := atomicfile.OpenDir(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	requireError(t, d.WriteFile("f", []byte("new"), atomicfile.Options{}), "write", want)
	requireError(t, d.WriteFile("g", []byte("new"), atomicfile.Options{Exclusive: true}), "write", want)
	requireError(t, d.Remove("f"), "remove", want)
	requireError(t, d.Rename("f", "g"), "rename", want)
	requireError(t, d.Mkdir("d", 0o700), "mkdir", want)
	requireError(t, atomicfile.MkdirAll(filepath.Join(dir, "d/e"), 0o700), "mkdir", want)
	requireContent(t, filepath.Join(dir, "f"), "old")
	requireEntries(t, dir, "f")
}
