//go:build linux && (amd64 || arm64)

package record_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

// envSeed is where the random part starts.
const envSeed = "RECORD_TEST_SEED"

const (
	randomThreads = 4
	randomSteps   = 150
)

// chaos makes random calls, which may fail, on few names.
type chaos struct {
	*rand.Rand
	open []int
}

var partRandom = part("random", func(dir string) error {
	seed, err := strconv.ParseUint(os.Getenv(envSeed), 10, 64)
	if err != nil {
		return err
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	var wg sync.WaitGroup
	for i := range randomThreads {
		wg.Go(func() {
			c := chaos{Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
			for range randomSteps {
				c.step()
			}
		})
	}
	wg.Wait()
	return nil
})

// path returns one of few paths, some of which lead nowhere.
func (c *chaos) path() string {
	path := ""
	for range c.IntN(3) {
		path += c.dir() + "/"
	}
	if c.IntN(4) == 0 {
		return path + c.dir()
	}
	return path + string(rune('a'+c.IntN(4)))
}

func (c *chaos) dir() string { return []string{"D", "E", "."}[c.IntN(3)] }

func (c *chaos) deep() string { return []string{"D", "E", "D/E", "E/D", "D/D"}[c.IntN(5)] }

func (c *chaos) data() []byte {
	p := make([]byte, 1+c.IntN(5000))
	for i := range p {
		p[i] = byte(c.Uint32())
	}
	return p
}

// file returns an open file.
func (c *chaos) file() int {
	if len(c.open) == 0 || c.IntN(4) == 0 {
		flags := []int{unix.O_RDWR, unix.O_WRONLY, unix.O_RDWR | unix.O_APPEND, unix.O_RDWR | unix.O_SYNC}[c.IntN(4)]
		for _, f := range []int{unix.O_CREAT, unix.O_CREAT, unix.O_EXCL, unix.O_TRUNC} {
			if c.IntN(2) == 0 {
				flags |= f
			}
		}
		path := c.path()
		if c.IntN(6) == 0 {
			path, flags = c.dir(), unix.O_TMPFILE|unix.O_RDWR
		}
		if fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o600|c.Uint32()&0o77); err == nil {
			c.open = append(c.open, fd)
		}
	}
	if len(c.open) == 0 {
		return -1
	}
	i := c.IntN(len(c.open))
	fd := c.open[i]
	if c.IntN(8) == 0 {
		c.open = append(c.open[:i], c.open[i+1:]...)
		_ = unix.Close(fd)
		return -1
	}
	return fd
}

func (c *chaos) step() {
	off := int64(c.IntN(20000))
	switch c.IntN(24) {
	case 0, 1, 2:
		_, _ = unix.Write(c.file(), c.data())
	case 3, 4:
		_, _ = unix.Pwrite(c.file(), c.data(), off)
	case 5:
		_, _ = unix.Writev(c.file(), [][]byte{c.data(), c.data()})
	case 6:
		_, _ = unix.Pwritev2(c.file(), [][]byte{c.data()}, off, []int{0, unix.RWF_APPEND, unix.RWF_DSYNC}[c.IntN(3)])
	case 7:
		_ = unix.Ftruncate(c.file(), off)
	case 8:
		_ = unix.Truncate(c.path(), off)
	case 9:
		modes := []uint32{0, unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_KEEP_SIZE | unix.FALLOC_FL_PUNCH_HOLE, unix.FALLOC_FL_ZERO_RANGE}
		_ = unix.Fallocate(c.file(), modes[c.IntN(4)], off, int64(1+c.IntN(9000)))
	case 10, 11:
		_ = unix.Mkdir(c.deep(), 0o755)
	case 12:
		_ = unix.Rmdir(c.deep())
	case 13, 14:
		_ = unix.Unlink(c.path())
	case 15, 16:
		_ = unix.Rename(c.path(), c.path())
	case 17:
		_ = unix.Renameat2(at, c.path(), at, c.path(), []uint{unix.RENAME_EXCHANGE, unix.RENAME_NOREPLACE, unix.RENAME_WHITEOUT}[c.IntN(3)])
	case 18, 19:
		_ = unix.Link(c.path(), c.path())
	case 20:
		_ = unix.Symlink(c.path(), c.path())
	case 21:
		_ = unix.Linkat(at, fmt.Sprintf("/proc/self/fd/%d", c.file()), at, c.path(), unix.AT_SYMLINK_FOLLOW)
	case 22:
		_ = unix.Chmod(c.path(), 0o700|c.Uint32()&0o77)
	case 23:
		_, _ = unix.CopyFileRange(c.file(), nil, c.file(), &off, 5000, 0)
		_ = unix.Fsync(c.file())
	}
}

// What is recorded is what happened, whatever threads do at the same time.
func TestRandomOperations(t *testing.T) {
	kinds := map[trace.Kind]int{}
	for seed := range 12 {
		t.Setenv(envSeed, strconv.Itoa(seed))
		tr := run(t, partRandom, shm(t), record.Options{})
		require.Empty(t, tr.Blind)
		for _, op := range tr.Ops {
			if op.Err == 0 {
				kinds[op.Kind]++
			}
		}
	}
	for _, k := range []trace.Kind{
		trace.Write, trace.Truncate, trace.Fallocate, trace.Punch, trace.Create, trace.Tmpfile, trace.Mkdir, trace.Symlink, trace.Link, trace.Unlink,
		trace.Rmdir, trace.Rename, trace.Chmod, trace.Fsync,
	} {
		require.Positive(t, kinds[k], "%s happened", k)
	}
}
