//go:build linux

package atomicfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/driftlesskv/driftless/atomicfile"
	"github.com/driftlesskv/driftless/faultfs"
)

// journaled are the models of file systems that write pages of 4096 bytes and in
// which a rename is one change.
var journaled = faultfs.Models(faultfs.Posix4K, faultfs.Ext4, faultfs.XFS, faultfs.Btrfs)

// version returns the n-th content of a file, of about size bytes. Any sector of it
// tells which one it is part of.
func version(n, size int) []byte {
	line := fmt.Sprintf("version %d of the file\n", n)
	return []byte(strings.Repeat(line, size/len(line)+1))
}

// syncPath opens a file or directory and syncs it: what a program does that leaves
// nothing to this package.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// writeSynced is the set-up of a file, durable except for its name.
func writeSynced(path string, data []byte) error {
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return syncPath(path)
}

// checkVersion returns an error unless the file is one of the versions first to
// last, whole; as version 0 it may be absent.
func checkVersion(path string, first, last, size int) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && first == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	for n := max(first, 1); n <= last; n++ {
		if string(data) == string(version(n, size)) {
			return nil
		}
	}
	return fmt.Errorf("%s is none of the versions %d to %d: %d bytes, starting %.30q", filepath.Base(path), first, last, len(data), data)
}

// checkNext returns an error unless the next operations on the name work: to replace
// it and, once it is removed, to make it exclusively.
func checkNext(path string) error {
	d, err := atomicfile.OpenDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	base := filepath.Base(path)
	for _, step := range []func() error{
		func() error { return d.WriteFile(base, []byte("next"), atomicfile.Options{}) },
		func() error { return d.Remove(base) },
		func() error { return d.WriteFile(base, []byte("next"), atomicfile.Options{Exclusive: true}) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("next operation: %w", err)
		}
	}
	data, err := os.ReadFile(path)
	if err == nil && string(data) != "next" {
		err = fmt.Errorf("after the next operation the file is %.30q", data)
	}
	return err
}

// checkLitter returns an error when the directory has entries beside known ones and
// temporary files, or a temporary file that cannot be deleted.
func checkLitter(dir string, known ...string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), atomicfile.TempPrefix):
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		case !strings.Contains("|"+strings.Join(known, "|")+"|", "|"+e.Name()+"|"):
			return fmt.Errorf("unexpected entry %q", e.Name())
		}
	}
	return nil
}

// overwrites is a program that writes the versions of one file, of which the first
// so many are there before.
func overwrites(before, versions, size int, opts atomicfile.Options) faultfs.Test {
	return faultfs.Test{
		Setup: func(dir string) error {
			if before == 0 {
				return nil
			}
			return writeSynced(filepath.Join(dir, "file"), version(before, size))
		},
		Work: func(w *faultfs.W) error {
			for n := before + 1; n <= versions; n++ {
				w.Begin("write", n)
				if err := atomicfile.WriteFile(filepath.Join(w.Dir(), "file"), version(n, size), opts); err != nil {
					return err
				}
				w.Ack("write", n)
			}
			return nil
		},
		Verify: func(s *faultfs.State) error {
			first, last := before+len(s.Acked("write")), before+len(s.Begun("write"))
			path := filepath.Join(s.Dir(), "file")
			if err := checkVersion(path, first, last, size); err != nil {
				return err
			}
			if info, err := os.Stat(path); err == nil && last > before && opts.Mode != 0 && info.Mode().Perm() != opts.Mode.Perm() {
				return fmt.Errorf("the mode is %v", info.Mode())
			}
			return errors.Join(checkLitter(s.Dir(), "file"), checkNext(path))
		},
	}
}

// After nil a replaced file is the new one through any power cut; before, it is the
// old one or the new one.
func TestPowerCutOverwrite(t *testing.T) {
	t.Run("sectors", func(t *testing.T) {
		faultfs.Run(t, overwrites(1, 4, 1300, atomicfile.Options{}), faultfs.Models(faultfs.PosixWeak), faultfs.Exhaustive())
	})
	t.Run("pages", func(t *testing.T) {
		faultfs.Run(t, overwrites(1, 4, 9000, atomicfile.Options{}), journaled, faultfs.Exhaustive())
	})
}

// A file that is new has its content and its exact mode from the start, or is absent.
func TestPowerCutNew(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts atomicfile.Options
	}{
		{"plain", atomicfile.Options{Mode: 0o640}},
		{"exclusive", atomicfile.Options{Mode: 0o604, Exclusive: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			faultfs.Run(t, overwrites(0, 1, 1300, tt.opts), faultfs.Models(faultfs.PosixWeak), faultfs.Exhaustive())
			faultfs.Run(t, overwrites(0, 1, 9000, tt.opts), journaled, faultfs.Exhaustive())
		})
	}
}

// On FAT no overwrite by rename is atomic: both versions can be lost, and what is
// there can be empty. What does hold there: no mix of two versions, no byte that
// nobody wrote, other files stay as they are, and the name can be written again.
func TestPowerCutFAT(t *testing.T) {
	const size = 700
	test := overwrites(1, 3, size, atomicfile.Options{})
	setup := test.Setup
	test.Setup = func(dir string) error {
		return errors.Join(setup(dir), writeSynced(filepath.Join(dir, "other"), version(7, size)))
	}
	test.Verify = func(s *faultfs.State) error {
		path := filepath.Join(s.Dir(), "file")
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(data) > 0 {
			if err := checkVersion(path, 1, 1+len(s.Begun("write")), size); err != nil {
				return err
			}
		}
		return errors.Join(checkVersion(filepath.Join(s.Dir(), "other"), 7, 7, size),
			checkLitter(s.Dir(), "file", "other"), checkNext(path))
	}
	faultfs.Run(t, test, faultfs.Models(faultfs.FAT32))
}
