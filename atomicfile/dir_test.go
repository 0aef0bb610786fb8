//go:build linux

package atomicfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/atomicfile"
)

// openDir opens a new directory and returns its path too.
func openDir(t *testing.T) (*atomicfile.Dir, string) {
	t.Helper()
	path := t.TempDir()
	d, err := atomicfile.OpenDir(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d, path
}

func TestDirFiles(t *testing.T) {
	d, path := openDir(t)
	require.NoError(t, d.WriteFile("a", []byte("1"), atomicfile.Options{}))
	require.NoError(t, d.WriteFile("a", []byte("2"), atomicfile.Options{}))
	requireContent(t, filepath.Join(path, "a"), "2")
	require.NoError(t, d.Rename("a", "b"))
	requireContent(t, filepath.Join(path, "b"), "2")
	require.NoError(t, d.WriteFile("a", []byte("3"), atomicfile.Options{Exclusive: true}))
	require.NoError(t, d.Rename("a", "b"))
	requireContent(t, filepath.Join(path, "b"), "3")
	require.NoError(t, d.Sync())
	require.NoError(t, d.Remove("b"))
	requireEntries(t, path)
}

func TestDirRefuses(t *testing.T) {
	d, path := openDir(t)
	require.NoError(t, d.WriteFile("f", []byte("old"), atomicfile.Options{}))
	require.NoError(t, d.Mkdir("full", 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(path, "full", "f"), nil, 0o600))
	require.NoError(t, os.Symlink("full", filepath.Join(path, "link")))
	for _, tt := range []struct {
		what, op string
		err      error
		want     error
	}{
		{"absent", "remove", d.Remove("absent"), fs.ErrNotExist},
		{"full directory", "remove", d.Remove("full"), syscall.ENOTEMPTY},
		{"absent", "rename", d.Rename("absent", "new"), fs.ErrNotExist},
		{"onto a link", "rename", d.Rename("f", "link"), atomicfile.ErrSymlink},
		{"onto a directory", "rename", d.Rename("f", "full"), atomicfile.ErrNotRegular},
		{"taken by a file", "mkdir", d.Mkdir("f", 0o700), fs.ErrExist},
		{"taken by a link", "mkdir", d.Mkdir("link", 0o700), fs.ErrExist},
		{"bits that are no permissions", "mkdir", d.Mkdir("new", fs.ModeNamedPipe), atomicfile.ErrInvalid},
	} {
		t.Run(tt.op+" "+tt.what, func(t *testing.T) { requireError(t, tt.err, tt.op, tt.want) })
	}
	_, err := d.OpenDir("link")
	requireError(t, err, "open", atomicfile.ErrSymlink)
	_, err = d.OpenDir("f")
	requireError(t, err, "open", syscall.ENOTDIR)
	_, err = d.OpenDir("absent")
	requireError(t, err, "open", fs.ErrNotExist)
	for _, name := range []string{"", ".", "..", "a/b", "/", "a\x00", strings.Repeat("n", 256)} {
		requireError(t, d.WriteFile(name, nil, atomicfile.Options{}), "write", atomicfile.ErrInvalid)
		requireError(t, d.Remove(name), "remove", atomicfile.ErrInvalid)
		requireError(t, d.Rename("f", name), "rename", atomicfile.ErrInvalid)
		requireError(t, d.Rename(name, "new"), "rename", atomicfile.ErrInvalid)
		requireError(t, d.Mkdir(name, 0o700), "mkdir", atomicfile.ErrInvalid)
		_, err := d.OpenDir(name)
		requireError(t, err, "open", atomicfile.ErrInvalid)
	}
	requireEntries(t, path, "f", "full", "link")
}

func TestOpenDirRefuses(t *testing.T) {
	path := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(path, "f"), nil, 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(path, "fifo"), 0o600))
	for _, tt := range []struct {
		name string
		want error
	}{
		{"f", syscall.ENOTDIR},
		{"fifo", syscall.ENOTDIR},
		{"absent", fs.ErrNotExist},
	} {
		_, err := atomicfile.OpenDir(filepath.Join(path, tt.name))
		requireError(t, err, "open", tt.want)
	}
}

// The handle means the directory, not its path.
func TestDirIsPinned(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "d")
	require.NoError(t, os.Mkdir(path, 0o700))
	d, err := atomicfile.OpenDir(path)
	require.NoError(t, err)
	require.NoError(t, os.Rename(path, filepath.Join(parent, "moved")))
	require.NoError(t, os.Mkdir(path, 0o700))
	require.NoError(t, d.WriteFile("f", []byte("new"), atomicfile.Options{}))
	requireEntries(t, path)
	requireEntries(t, filepath.Join(parent, "moved"), "f")

	require.NoError(t, d.Close())
	require.NoError(t, d.Close(), "a second time")
	requireError(t, d.WriteFile("f", nil, atomicfile.Options{}), "write", fs.ErrClosed)
	requireError(t, d.Remove("f"), "remove", fs.ErrClosed)
	requireError(t, d.Rename("f", "g"), "rename", fs.ErrClosed)
	requireError(t, d.Mkdir("m", 0o700), "mkdir", fs.ErrClosed)
	requireError(t, d.Sync(), "sync", fs.ErrClosed)
	_, err = d.OpenDir("f")
	requireError(t, err, "open", fs.ErrClosed)
	requireEntries(t, filepath.Join(parent, "moved"), "f")
}

func TestSubdirectory(t *testing.T) {
	d, path := openDir(t)
	require.NoError(t, d.Mkdir("sub", 0o750))
	sub, err := d.OpenDir("sub")
	require.NoError(t, err)
	require.NoError(t, sub.WriteFile("f", []byte("new"), atomicfile.Options{}))
	require.NoError(t, sub.Close())
	requireContent(t, filepath.Join(path, "sub", "f"), "new")
}

func TestMkdirAll(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "existing"), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(root, "existing"), 0o755))
	require.NoError(t, os.Symlink("existing", filepath.Join(root, "link")))
	mode := func(name string) fs.FileMode {
		info, err := os.Stat(filepath.Join(root, name))
		require.NoError(t, err)
		return info.Mode()
	}
	require.NoError(t, atomicfile.MkdirAll(filepath.Join(root, "existing/a/b/c"), 0o750))
	for _, name := range []string{"existing/a", "existing/a/b", "existing/a/b/c"} {
		require.Equal(t, fs.ModeDir|0o750, mode(name), name)
	}
	require.Equal(t, fs.ModeDir|0o755, mode("existing"), "existing directories are left alone")
	require.NoError(t, atomicfile.MkdirAll(filepath.Join(root, "existing/a/b/c"), 0o700), "again")
	require.Equal(t, fs.ModeDir|0o750, mode("existing/a/b/c"))
	require.NoError(t, atomicfile.MkdirAll(filepath.Join(root, "link/x/"), 0o777|fs.ModeSticky))
	require.Equal(t, fs.ModeDir|fs.ModeSticky|0o777, mode("existing/x"))
	t.Chdir(root)
	require.NoError(t, atomicfile.MkdirAll("relative/d", 0o700))
	require.Equal(t, fs.ModeDir|0o700, mode("relative/d"))
	require.NoError(t, atomicfile.MkdirAll(".", 0o700))
	require.NoError(t, atomicfile.MkdirAll("/", 0o700))
}

func TestMkdirAllRefuses(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "f"), []byte("old"), 0o600))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(root, "dangling")))
	for _, tt := range []struct {
		path string
		mode fs.FileMode
		want error
	}{
		{"", 0o700, atomicfile.ErrInvalid},
		{root + "/d", fs.ModeSymlink | 0o700, atomicfile.ErrInvalid},
		{root + "/f", 0o700, syscall.ENOTDIR},
		{root + "/f/d/e", 0o700, syscall.ENOTDIR},
		{root + "/dangling", 0o700, atomicfile.ErrSymlink},
		{root + "/dangling/d", 0o700, atomicfile.ErrSymlink},
		{root + "/" + strings.Repeat("n", 256), 0o700, syscall.ENAMETOOLONG},
	} {
		requireError(t, atomicfile.MkdirAll(tt.path, tt.mode), "mkdir", tt.want)
	}
	requireEntries(t, root, "f", "dangling")
	requireContent(t, filepath.Join(root, "f"), "old")
}
