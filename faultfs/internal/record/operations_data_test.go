//go:build linux && (amd64 || arm64)

package record_test

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

var dataOperations = table([]operation{
	{"write", func(fd int) error {
		return first(ignore(unix.Write(fd, []byte("ab"))), ignore(unix.Write(fd, []byte("c"))))
	}, []string{`write 4 @0 "ab"`, `write 4 @2 "c"`}},
	{"write after seek", func(fd int) error {
		return first(ignore(unix.Seek(fd, 20, unix.SEEK_SET)), ignore(unix.Write(fd, []byte("ab"))))
	}, []string{`write 4 @20 "ab"`}},
	{"write of nothing", func(fd int) error { return ignore(unix.Write(fd, nil)) }, []string{}},
	{"write elsewhere", func(int) error {
		f, err := os.CreateTemp("", "record-test-")
		if err != nil {
			return err
		}
		defer func() { _ = os.Remove(f.Name()) }()
		return first(ignore(f.WriteString("x")), f.Sync(), f.Truncate(0), f.Close())
	}, []string{}},
	{"write of much", func(fd int) error {
		n, err := unix.Pwrite(fd, bytes.Repeat([]byte("y"), 5<<20), 3)
		return first(err, want(n == 5<<20, "wrote %d", n))
	}, []string{`write 4 @3 'y'*5242880`}},
	{"append", func(int) error {
		return openThen("f", unix.O_WRONLY|unix.O_APPEND, func(fd int) error {
			err := first(ignore(unix.Write(fd, []byte("ab"))), ignore(unix.Pwrite(fd, []byte("cd"), 1)))
			pos, _ := unix.Seek(fd, 0, unix.SEEK_CUR)
			return first(err, want(pos == 12, "position %d", pos))
		})
	}, []string{`write 4 @10 "ab"`, `write 4 @12 "cd"`}},
	{"pwrite", func(fd int) error { return ignore(unix.Pwrite(fd, []byte("ab"), 5)) }, []string{`write 4 @5 "ab"`}},
	{"pwrite with a hole", func(fd int) error { return ignore(unix.Pwrite(fd, []byte("ab"), 100000)) }, []string{`write 4 @100000 "ab"`}},
	{"pwrite before the start", func(fd int) error { return fails(ignore(unix.Pwrite(fd, []byte("ab"), -5)), unix.EINVAL) }, []string{}},
	{"writev", func(fd int) error {
		return ignore(unix.Writev(fd, [][]byte{[]byte("ab"), {}, []byte("cde")}))
	}, []string{`write 4 @0 "abcde"`}},
	{"pwritev", func(fd int) error {
		return ignore(unix.Pwritev(fd, [][]byte{[]byte("ab"), []byte("cde")}, 7))
	}, []string{`write 4 @7 "abcde"`}},
	{"pwritev2", func(fd int) error {
		b := [][]byte{[]byte("ab"), []byte("cd")}
		return first(
			ignore(unix.Pwritev2(fd, b, 7, 0)), ignore(unix.Pwritev2(fd, b, -1, 0)), ignore(unix.Pwritev2(fd, b, 0, unix.RWF_DSYNC)),
			ignore(unix.Pwritev2(fd, b, 0, unix.RWF_SYNC)), ignore(unix.Pwritev2(fd, b, 0, unix.RWF_APPEND)), ignore(unix.Write(fd, []byte("e"))),
		)
	}, []string{`write 4 @7 "abcd"`, `write 4 @0 "abcd"`, `write 4 @0 "abcd" data`, `write 4 @0 "abcd" full`, `write 4 @11 "abcd"`, `write 4 @4 "e"`}},
	{"write to a file opened for reading", func(int) error {
		return openThen("f", unix.O_RDONLY, func(fd int) error { return fails(ignore(unix.Write(fd, []byte("x"))), unix.EBADF) })
	}, []string{`write 4 @0 "x" failed: bad file descriptor`}},
	{"write from nowhere", func(fd int) error { return fails(raw(unix.SYS_WRITE, uintptr(fd), 16, 5), unix.EFAULT) }, []string{}},
	{"O_SYNC and O_DSYNC", func(int) error {
		write := func(fd int) error { return ignore(unix.Write(fd, []byte("a"))) }
		return first(openThen("f", unix.O_WRONLY|unix.O_SYNC, write), openThen("f", unix.O_WRONLY|unix.O_DSYNC, write))
	}, []string{`write 4 @0 "a" full`, `write 4 @0 "a" data`}},
	{"truncate", func(fd int) error {
		return first(unix.Truncate("f", 3), unix.Ftruncate(fd, 20), unix.Truncate("/proc/self/fd/"+itoa(fd), 5), fails(unix.Ftruncate(fd, -1), unix.EINVAL))
	}, []string{"truncate 4 to 3", "truncate 4 to 20", "truncate 4 to 5"}},
	{"fallocate", func(fd int) error {
		return first(
			unix.Fallocate(fd, 0, 5, 10), unix.Fallocate(fd, 0, 0, 3), unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, 1<<20),
			unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE|unix.FALLOC_FL_PUNCH_HOLE, 2, 3),
		)
	}, []string{"fallocate 4 to 15", "fallocate 4 to 0", "fallocate 4 to 0", "punch hole 4 @2+3"}},
	{"copy_file_range", func(fd int) error {
		return openThen("d/g", unix.O_WRONLY|unix.O_APPEND*0, func(out int) error {
			from, to := int64(4), int64(1)
			n, err := unix.CopyFileRange(fd, &from, out, &to, 3, 0)
			err = first(err, want(n == 3 && from == 7 && to == 4, "%d bytes, offsets %d %d", n, from, to))
			_, again := unix.CopyFileRange(fd, nil, out, nil, 100, 0)
			pos, _ := unix.Seek(fd, 0, unix.SEEK_CUR)
			return first(err, again, want(pos == 10, "position %d", pos))
		})
	}, []string{`write 3 @1 "456"`, `write 3 @0 "0123456789"`}},
	{"sendfile", func(fd int) error {
		return openThen("d/g", unix.O_WRONLY, func(out int) error {
			off := int64(8)
			n, err := unix.Sendfile(out, fd, &off, 100)
			return first(err, want(n == 2 && off == 10, "%d bytes, offset %d", n, off))
		})
	}, []string{`write 3 @0 "89"`}},
	{"splice", func(fd int) error {
		var p [2]int
		if err := unix.Pipe(p[:]); err != nil {
			return err
		}
		off := int64(6)
		go func() { _, _ = unix.Write(p[1], []byte("pipe")) }()
		n, err := unix.Splice(p[0], nil, fd, &off, 100, 0)
		return first(err, want(n == 4 && off == 10, "%d bytes, offset %d", n, off))
	}, []string{`write 4 @6 "pipe"`}},
	{"fsync and others", func(fd int) error {
		return first(unix.Fsync(fd), unix.Fdatasync(fd), unix.SyncFileRange(fd, 1, 4, unix.SYNC_FILE_RANGE_WRITE), unix.Syncfs(fd), openThen("d", unix.O_RDONLY, unix.Fsync))
	}, []string{"fsync 4 full", "fsync 4 data", "sync_file_range 4 @1+4", "syncfs full", "fsync 2 full"}},
	{"msync", func(fd int) error {
		m, err := unix.Mmap(fd, 0, 8192, unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		return first(unix.Msync(m[:4096], unix.MS_SYNC), unix.Msync(m, unix.MS_ASYNC), unix.Unlink("f"), unix.Msync(m[4096:], unix.MS_SYNC), unix.Munmap(m))
	}, []string{"msync 4 @0+4096 data", "unlink 1/f =4", "msync 4 @4096+4096 data"}},
})

func TestDataOperations(t *testing.T) { testTable(t, dataOperations) }
