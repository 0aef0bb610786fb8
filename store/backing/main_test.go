//go:build linux

package backing_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/atomicfile"
)

var errSymlink = atomicfile.ErrSymlink

// childEnv names what a re-executed test binary does instead of testing.
const childEnv = "BACKING_TEST_CHILD"

// children are the bodies, by name. Each returns the exit status.
var children = map[string]func(args []string) int{}

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		os.Exit(children[name](os.Args[1:]))
	}
	os.Exit(m.Run())
}

// An entry is everything about a file that a copy keeps.
type entry struct {
	mode          uint32
	uid, gid      uint32
	size          int64
	device        uint64
	modified      int64
	content, link string
	xattrs        string
	first         string // path of the first name of the same inode
}

// treeOf returns everything below dir by path. It shares no code with the package.
func treeOf(t *testing.T, dir string) map[string]entry {
	t.Helper()
	tree, firsts := map[string]entry{}, map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		e := entry{mode: st.Mode, uid: st.Uid, gid: st.Gid, device: st.Rdev, modified: info.ModTime().UnixNano()}
		switch st.Mode & syscall.S_IFMT {
		case syscall.S_IFREG:
			e.size = st.Size
			if e.size < 1<<20 {
				content, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				e.content = string(content)
			}
		case syscall.S_IFLNK:
			if e.link, err = os.Readlink(path); err != nil {
				return err
			}
		}
		if st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
			if _, ok := firsts[st.Ino]; !ok {
				firsts[st.Ino] = rel
			}
			e.first = firsts[st.Ino]
		}
		e.xattrs, err = xattrsOf(path)
		tree[rel] = e
		return err
	})
	require.NoError(t, err)
	return tree
}

func xattrsOf(path string) (string, error) {
	list, value := make([]byte, 1<<16), make([]byte, 1<<16)
	n, err := unix.Llistxattr(path, list)
	if err != nil {
		return "", err
	}
	var text string
	for at := 0; at < n; {
		name := unix.ByteSliceToString(list[at:n])
		at += len(name) + 1
		size, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return "", err
		}
		text += name + "=" + strconv.Quote(string(value[:size])) + "\n"
	}
	return text, nil
}

// A countdown is a context that is canceled when it has been asked n times.
type countdown struct {
	context.Context
	left atomic.Int64
	done chan struct{}
}

func newCountdown(ctx context.Context, n int64) *countdown {
	c := &countdown{Context: ctx, done: make(chan struct{})}
	c.left.Store(n)
	return c
}

func (c *countdown) Done() <-chan struct{} { return c.done }

func (c *countdown) Err() error {
	left := c.left.Add(-1)
	if left == -1 {
		close(c.done)
	}
	if left < 0 {
		return context.Canceled
	}
	return nil
}

// descriptors returns how many files this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

// deepTree makes directories one in another, deeper than any path can name.
func deepTree(t *testing.T, dir string, depth int) {
	t.Helper()
	at, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	for i := range depth {
		require.NoError(t, unix.Mkdirat(at, "sub", 0o700))
		f, err := unix.Openat(at, fmt.Sprintf("file-%d", i%3), unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		require.NoError(t, err)
		require.NoError(t, unix.Close(f))
		next, err := unix.Openat(at, "sub", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Close(at))
		at = next
	}
	require.NoError(t, unix.Close(at))
}
