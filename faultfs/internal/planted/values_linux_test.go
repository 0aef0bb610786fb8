package planted_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/driftlesskv/driftless/faultfs"
)

// valueSize is more than one page and not many sectors: a value can be torn under
// every model, and all its torn forms are few enough to try.
const valueSize = 4096 + 512

// value returns version v of what the programs keep. No two versions agree in any
// sector, and a torn one is known by its checksum.
func value(v int) []byte {
	data := make([]byte, valueSize)
	for i := 8; i < len(data); i++ {
		data[i] = byte(v*31 + i%97)
	}
	binary.LittleEndian.PutUint32(data[4:], uint32(v))
	binary.LittleEndian.PutUint32(data, crc32.ChecksumIEEE(data[4:]))
	return data
}

var errTorn = errors.New("not a whole value")

// version returns which version data is.
func version(data []byte) (int, error) {
	if len(data) != valueSize || binary.LittleEndian.Uint32(data) != crc32.ChecksumIEEE(data[4:]) {
		return 0, fmt.Errorf("%d bytes: %w", len(data), errTorn)
	}
	return int(binary.LittleEndian.Uint32(data[4:])), nil
}

// newest returns the newest whole version among the files that match pattern.
func newest(pattern string) (int, error) {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return 0, err
	}
	best := 0
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		if v, err := version(data); err == nil {
			best = max(best, v)
		}
	}
	if best == 0 {
		return 0, fmt.Errorf("none of the files %v holds a whole value: %w", filepath.Base(pattern), fs.ErrNotExist)
	}
	return best, nil
}

// inRange returns what is wrong with finding version got: older than what was
// acknowledged, or newer than what was begun. Setup made version 1.
func inRange(s *faultfs.State, got int) error {
	acked, begun := 1, 1
	for _, v := range faultfs.Args[int](s.Acked("set")) {
		acked = max(acked, v)
	}
	for _, v := range faultfs.Args[int](s.Begun("set")) {
		begun = max(begun, v)
	}
	if got < acked {
		return fmt.Errorf("version %d was acknowledged and is lost: found %d", acked, got)
	}
	if got > begun {
		return fmt.Errorf("found version %d, only %d was begun", got, begun)
	}
	return nil
}

// create makes a new file that holds data, not synced.
func create(path string, data []byte) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(data); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// writeAt writes data into f.
func writeAt(f *os.File, data []byte, off int64) error {
	_, err := f.WriteAt(data, off)
	return err
}

// syncDir syncs a directory.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// syncIf syncs f if that is wanted.
func syncIf(wanted bool, f *os.File) error {
	if !wanted {
		return nil
	}
	return f.Sync()
}

// syncDirIf syncs a directory if that is wanted.
func syncDirIf(wanted bool, path string) error {
	if !wanted {
		return nil
	}
	return syncDir(path)
}

// in returns the path of a file of the directory that a program works in.
func in(w *faultfs.W, name string) string { return filepath.Join(w.Dir(), name) }

// write makes a file for Setup, which needs no sync.
func write(name string, data []byte) func(dir string) error {
	return func(dir string) error {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return os.WriteFile(path, data, 0o600)
	}
}
