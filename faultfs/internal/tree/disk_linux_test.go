package tree_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// zoo makes one of each kind of file in dir.
func zoo(t *testing.T, dir string) {
	t.Helper()
	in := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.MkdirAll(in("d/deep"), 0o755))
	require.NoError(t, os.WriteFile(in("d/plain"), []byte("hello"), 0o640))
	require.NoError(t, os.WriteFile(in("d/deep/large"), make([]byte, 300_000), 0o444))
	require.NoError(t, os.Link(in("d/plain"), in("another")))
	require.NoError(t, os.Symlink("d/plain", in("link")))
	require.NoError(t, unix.Mkfifo(in("fifo"), 0o600))
	require.NoError(t, os.WriteFile(in("sparse"), []byte("x"), 0o600))
	require.NoError(t, os.Truncate(in("sparse"), 1<<30))
	f, err := os.OpenFile(in("sparse"), os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("island"), 1<<29+100)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, os.WriteFile(in("empty"), nil, 0o400))
	require.NoError(t, os.Chmod(in("d/deep"), 0o711))
	require.NoError(t, unix.Chmod(in("d"), 0o2711))
}

func id(t *testing.T, path string) tree.FileID {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Lstat(path, &st))
	return tree.FileID{Dev: uint64(st.Dev), Ino: st.Ino}
}

func TestScan(t *testing.T) {
	dir := t.TempDir()
	zoo(t, dir)
	tr, ids, err := tree.Scan(dir)
	require.NoError(t, err)

	var lines []string
	tr.Paths(func(e tree.Entry, path string) bool {
		n, _ := tr.Stat(e.Ino)
		require.Equal(t, e.Ino, ids[id(t, filepath.Join(dir, path))])
		lines = append(lines, fmt.Sprintf("%d %s %o %d %s", e.Ino, path, n.Mode, tr.Size(e.Ino), n.Target))
		return true
	})
	require.Equal(t, []string{
		"1 . 40755 0 ",
		"2 another 100640 5 ",
		"3 d 42711 0 ",
		"4 d/deep 40711 0 ",
		"5 d/deep/large 100444 300000 ",
		"2 d/plain 100640 5 ",
		"6 empty 100400 0 ",
		"7 fifo 10600 0 ",
		"8 link 120777 0 d/plain",
		"9 sparse 100600 1073741824 ",
	}, lines)
	require.Len(t, ids, 9)
	require.Equal(t, "hello", contents(tr, 2))
	p := make([]byte, 8)
	require.Equal(t, 8, tr.ReadAt(9, 1<<29+99, p))
	require.Equal(t, "\x00island\x00", string(p))
}

func TestWriteThenScanIsTheSame(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	zoo(t, from)
	xattrs := unix.Setxattr(from+"/d/plain", "user.a", []byte("1"), 0) == nil
	if xattrs {
		require.NoError(t, unix.Setxattr(from+"/d", "user.big", make([]byte, 1000), 0))
		require.NoError(t, unix.Setxattr(from, "user.empty", nil, 0))
	}
	a, _, err := tree.Scan(from)
	require.NoError(t, err)
	if os.Geteuid() == 0 {
		a.Chown(2, 12, 34)
		a.Chown(3, 0, 56)
		a.Chown(7, 7, 8)
		a.Chown(8, 9, 10)
		a.Chmod(2, 0o4755)
		a.Make(20, tree.Inode{Mode: tree.ModeChar | 0o666, Rdev: unix.Mkdev(1, 3)})
		a.Enter(tree.Root, "null", 20)
	}
	require.NoError(t, a.Write(to))
	b, _, err := tree.Scan(to)
	require.NoError(t, err)
	require.Empty(t, tree.Diff(a, b))
	require.Equal(t, a.Hash(), b.Hash())

	var st unix.Stat_t
	require.NoError(t, unix.Stat(to+"/sparse", &st))
	require.Less(t, st.Blocks, int64(10000), "holes stay holes")
	t.Log("xattrs:", xattrs)
}

// Paths may be longer than the kernel takes at once.
func TestWriteDeep(t *testing.T) {
	a, in := made("x"), tree.Root
	for ino := range tree.Ino(100) {
		a.Make(10+ino, tree.Inode{Mode: tree.ModeDir | 0o755})
		a.Enter(in, strings.Repeat("d", 100), 10+ino)
		in = 10 + ino
	}
	a.Enter(in, "deep", 2)
	a.Enter(tree.Root, "z", 2)
	a.Chmod(10, 0o500)
	a.Paths(func(e tree.Entry, _ string) bool {
		a.Chown(e.Ino, uint32(os.Geteuid()), uint32(os.Getegid()))
		return true
	})
	to := t.TempDir() + "/to"
	require.NoError(t, os.Mkdir(to, 0o700))
	fds := openFiles(t)
	require.NoError(t, a.Write(to))
	require.Equal(t, fds, openFiles(t))
	b, _, err := tree.Scan(to)
	require.NoError(t, err)
	require.Empty(t, tree.Diff(a, b))
	require.NoError(t, os.Chmod(to+"/"+strings.Repeat("d", 100), 0o700)) // to be removed
}

func TestWriteFails(t *testing.T) {
	tests := map[string]struct {
		prepare func(t *testing.T, dir string)
		tree    func(*tree.Tree)
		err     error
	}{
		"no directory": {prepare: func(t *testing.T, dir string) { require.NoError(t, os.Remove(dir)) }, err: os.ErrNotExist},
		"not empty": {
			prepare: func(t *testing.T, dir string) { require.NoError(t, os.WriteFile(dir+"/f", nil, 0o600)) },
			err:     os.ErrExist,
		},
		"xattr of a fifo": {tree: func(tr *tree.Tree) {
			tr.Make(3, tree.Inode{Mode: tree.ModeFifo | 0o600})
			tr.Enter(tree.Root, "fifo", 3)
			tr.SetXattr(3, "user.a", nil)
		}, err: unix.ENOTSUP},
		"xattr of another name space": {tree: func(tr *tree.Tree) { tr.SetXattr(2, "other.a", nil) }, err: unix.ENOTSUP},
		"too long a name":             {tree: func(tr *tree.Tree) { tr.Enter(tree.Root, string(make([]byte, 300)), 2) }, err: unix.EINVAL},
		"no type": {tree: func(tr *tree.Tree) {
			tr.Make(3, tree.Inode{Mode: 0o170000})
			tr.Enter(tree.Root, "odd", 3)
		}, err: unix.EINVAL},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir() + "/d"
			require.NoError(t, os.Mkdir(dir, 0o755))
			if tt.prepare != nil {
				tt.prepare(t, dir)
			}
			tr := made("x")
			if tt.tree != nil {
				tt.tree(tr)
			}
			fds := openFiles(t)
			require.ErrorIs(t, tr.Write(dir), tt.err)
			require.Equal(t, fds, openFiles(t))
		})
	}
}

func TestScanFails(t *testing.T) {
	_, _, err := tree.Scan(t.TempDir() + "/none")
	require.ErrorIs(t, err, os.ErrNotExist)
	path := t.TempDir() + "/f"
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, _, err = tree.Scan(path)
	require.ErrorIs(t, err, unix.ENOTDIR)
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(fds)
}

func BenchmarkWrite(b *testing.B) {
	dir, err := os.MkdirTemp("/dev/shm", "tree")
	require.NoError(b, err)
	defer func() { require.NoError(b, os.RemoveAll(dir)) }()
	tr := made(string(make([]byte, 5)))
	tr.WriteAt(2, 0, make([]byte, 1))
	for i := range tree.Ino(5) {
		tr.Make(3+i, tree.Inode{Mode: file})
		tr.WriteAt(3+i, 0, fmt.Append(nil, "some contents of the file", i))
		tr.Enter(tree.Root, fmt.Sprint("file", i), 3+i)
	}
	for i := range int64(16) {
		tr.WriteAt(2, 4096*i, fmt.Append(nil, i, "page"))
	}
	for i := range b.N {
		to := fmt.Sprint(dir, "/", i)
		if err := os.Mkdir(to, 0o700); err != nil {
			b.Fatal(err)
		}
		if err := tr.Write(to); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	for _, files := range []tree.Ino{5, 1000} {
		b.Run(fmt.Sprint("files=", files), func(b *testing.B) {
			tr := made("x")
			for i := range files {
				tr.Make(3+i, tree.Inode{Mode: file})
				tr.Enter(tree.Root, fmt.Sprint("file", i), 3+i)
			}
			p := make([]byte, 4096)
			for i := range b.N {
				c := tr.Clone()
				p[0], p[1], p[2] = byte(i), byte(i>>8), byte(i>>16)
				c.WriteAt(2, 0, p)
				c.Hash()
			}
		})
	}
}
