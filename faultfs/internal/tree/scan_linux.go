package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Scan reads everything below dir, and the directory itself, which is Root; the
// others are numbered from 2, sorted by path. The map tells which inode of the
// file system has which number. What has the file system's own attributes beside
// user.* ones, or its times, is not looked at. Nothing may change meanwhile.
func Scan(dir string) (*Tree, map[FileID]Ino, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("scan directory: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	s := scanner{t: New(0), ids: map[FileID]Ino{}, last: Root}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, nil, &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	if uint32(st.Mode)&ModeType != ModeDir {
		return nil, nil, &fs.PathError{Op: "scan", Path: dir, Err: unix.ENOTDIR}
	}
	s.take(Root, &st)
	if err := s.dir(f, Root); err != nil {
		return nil, nil, fmt.Errorf("scan directory: %w", err)
	}
	return s.t, s.ids, nil
}

type scanner struct {
	t    *Tree
	ids  map[FileID]Ino
	last Ino
	buf  []byte
}

// take makes the inode that st is of.
func (s *scanner) take(ino Ino, st *unix.Stat_t) {
	n := Inode{Mode: uint32(st.Mode), UID: st.Uid, GID: st.Gid}
	if typ := n.Mode & ModeType; typ == ModeBlock || typ == ModeChar {
		n.Rdev = uint64(st.Rdev)
	}
	s.t.Make(ino, n)
	s.ids[FileID{uint64(st.Dev), st.Ino}] = ino
}

// dir reads what is in the open directory d.
func (s *scanner) dir(d *os.File, ino Ino) error {
	if err := s.xattrs(d, ino); err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := s.entry(d, ino, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) entry(d *os.File, dir Ino, name string) error {
	path := d.Name() + "/" + name
	var st unix.Stat_t
	if err := unix.Fstatat(int(d.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if ino, found := s.ids[FileID{uint64(st.Dev), st.Ino}]; found {
		s.t.Enter(dir, name, ino)
		return nil
	}
	if s.last == MaxIno {
		return &fs.PathError{Op: "scan", Path: path, Err: errors.New("too many files")}
	}
	s.last++
	ino := s.last
	s.take(ino, &st)
	s.t.Enter(dir, name, ino)
	switch uint32(st.Mode) & ModeType {
	case ModeDir, ModeRegular:
		return s.open(d, name, path, ino)
	case ModeSymlink:
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(int(d.Fd()), name, target)
		if err != nil {
			return &fs.PathError{Op: "readlink", Path: path, Err: err}
		}
		s.t.nodes[ino].Target = string(target[:n])
	}
	return nil
}

// open reads a directory or a regular file.
func (s *scanner) open(d *os.File, name, path string, ino Ino) error {
	fd, err := unix.Openat(int(d.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }() // only read
	if s.t.nodes[ino].isDir() {
		return s.dir(f, ino)
	}
	if err := s.contents(f, ino); err != nil {
		return err
	}
	return s.xattrs(f, ino)
}

// contents reads what is not a hole.
func (s *scanner) contents(f *os.File, ino Ino) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if size > MaxSize {
		return &fs.PathError{Op: "scan", Path: f.Name(), Err: unix.EFBIG}
	}
	s.t.Resize(ino, size)
	if s.buf == nil {
		s.buf = make([]byte, chunkSize)
	}
	for off := int64(0); off < size; {
		from, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // a hole to the end
		}
		if err != nil {
			from = off // no such thing here: all of it is data
		}
		n, err := f.ReadAt(s.buf[:min(chunkSize, size-from)], from)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			return &fs.PathError{Op: "read", Path: f.Name(), Err: io.ErrUnexpectedEOF}
		}
		s.t.WriteAt(ino, from, s.buf[:n])
		off = from + int64(n)
	}
	return nil
}

// xattrs reads the user.* ones.
func (s *scanner) xattrs(f *os.File, ino Ino) error {
	list, err := grow(func(p []byte) (int, error) { return unix.Flistxattr(int(f.Fd()), p) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "list xattrs", Path: f.Name(), Err: err}
	}
	for name := range bytes.SplitSeq(list, []byte{0}) {
		if !bytes.HasPrefix(name, []byte("user.")) {
			continue
		}
		value, err := grow(func(p []byte) (int, error) { return unix.Fgetxattr(int(f.Fd()), string(name), p) })
		if err != nil {
			return &fs.PathError{Op: "get xattr", Path: f.Name(), Err: err}
		}
		s.t.SetXattr(ino, string(name), value)
	}
	return nil
}

// grow calls get with more and more room.
func grow(get func([]byte) (int, error)) ([]byte, error) {
	for p := make([]byte, 256); ; p = make([]byte, 4*len(p)) {
		n, err := get(p)
		if err == nil {
			return p[:n], nil
		}
		if !errors.Is(err, unix.ERANGE) || len(p) > 1<<20 {
			return nil, err
		}
	}
}
