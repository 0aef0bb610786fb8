package planted_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/model"
	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"
)

// TestStates records small programs and compares the states that a power cut can
// leave of them, all of them, with those that can be told by hand. Before the colon
// is how far the program was.
func TestStates(t *testing.T) {
	for _, tt := range slices.Concat(contentStates, nameStates, directoryStates) {
		t.Run(tt.name, func(t *testing.T) {
			var models []faultfs.Model
			for _, m := range append(model.All(), fat4k) {
				if tt.want[m.Name] != nil {
					models = append(models, m)
				}
			}
			seen := observe(t, faultfs.Test{Setup: tt.setup, Work: tt.work}, listing, faultfs.Models(models...))
			for _, m := range models {
				assert.ElementsMatch(t, tt.want[m.Name], seen[m.Name], m.Name)
			}
		})
	}
}

// fat4k is FAT32 with pages that are not torn.
var fat4k = func() model.Model {
	m := model.FAT32
	m.Name, m.Tear = "fat-4k", page
	return m
}()

// stale is the page that FAT32 shows where none was written.
const stale = "\xdb"

type program struct {
	name  string
	setup func(dir string) error
	work  func(w *faultfs.W) error
	want  map[string][]string // by model
}

// contentStates are of what is in a file.
var contentStates = []program{
	{
		name:  "a pending write never resurfaces over a newer durable one",
		setup: write("f", pages("A")),
		work: func(w *faultfs.W) error {
			pending, pendingErr := os.OpenFile(in(w, "f"), os.O_RDWR, 0)
			synced, syncedErr := os.OpenFile(in(w, "f"), os.O_RDWR|unix.O_DSYNC, 0)
			if err := errors.Join(pendingErr, syncedErr); err != nil {
				return err
			}
			err := errors.Join(writeAt(pending, pages("B"), 0), writeAt(synced, pages("C"), 0))
			reached(w, "C")
			err = errors.Join(err, writeAt(pending, pages("D"), 0))
			return errors.Join(err, pending.Close(), synced.Close())
		},
		want: under(names(model.Posix4K, model.Ext4, model.XFS, model.Btrfs), "0: f=A", "0: f=B", "0: f=C", "1: f=C", "1: f=D"),
	},
	{
		name:  "holes",
		setup: write("f", pages("ABC")),
		work: func(w *faultfs.W) error {
			f, err := os.OpenFile(in(w, "f"), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			err = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, page, page)
			err = errors.Join(err, f.Sync())
			reached(w, "punched")
			err = errors.Join(err, f.Truncate(5*page), writeAt(f, pages("E"), 4*page), f.Sync())
			reached(w, "grown")
			return errors.Join(err, f.Close())
		},
		want: under(names(model.Posix4K, model.Ext4, model.XFS, model.Btrfs),
			"0: f=ABC", "0: f=A0C", "1: f=A0C", "1: f=A0C00", "1: f=A0C0E", "2: f=A0C0E"),
	},
	{
		name:  "a file that grows",
		setup: write("f", pages("A")),
		work: func(w *faultfs.W) error {
			f, err := os.OpenFile(in(w, "f"), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			err = errors.Join(writeAt(f, pages("BC"), page), unix.Fdatasync(int(f.Fd())))
			reached(w, "synced")
			return errors.Join(err, f.Close())
		},
		want: map[string][]string{
			"posix-4k": {"0: f=A", "0: f=A00", "0: f=AB0", "0: f=A0C", "0: f=ABC", "1: f=ABC"},
			"ext4":     {"0: f=A", "0: f=A00", "0: f=AB0", "0: f=A0C", "0: f=ABC", "1: f=ABC"},
			"xfs":      {"0: f=A", "0: f=AB", "0: f=A0C", "0: f=ABC", "1: f=ABC"}, // the size comes with data
			"fat-4k":   {"0: f=A", "0: f=A" + stale + stale, "0: f=AB" + stale, "0: f=A" + stale + "C", "0: f=ABC", "1: f=ABC"},
		},
	},
}

// nameStates are of names in one directory.
var nameStates = []program{
	{
		name:  "hard links",
		setup: write("a", pages("A")),
		work: func(w *faultfs.W) error {
			err := errors.Join(os.Link(in(w, "a"), in(w, "b")), syncDir(w.Dir()))
			reached(w, "linked")
			f, openErr := os.OpenFile(in(w, "b"), os.O_RDWR, 0)
			if err := errors.Join(err, openErr); err != nil {
				return err
			}
			err = errors.Join(writeAt(f, pages("B"), 0), f.Sync(), f.Close())
			reached(w, "written")
			return errors.Join(err, os.Remove(in(w, "a")))
		},
		want: under(names(model.Posix4K, model.Ext4, model.XFS, model.Btrfs),
			"0: a=A", "0: a=A b=A", "1: a=A b=A", "1: a=B b=B", "2: a=B b=B", "2: b=B"),
	},
	{
		name:  "removed while open",
		setup: write("f", pages("A")),
		work: func(w *faultfs.W) error {
			f, err := os.OpenFile(in(w, "f"), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			err = errors.Join(os.Remove(in(w, "f")), writeAt(f, pages("B"), 0), f.Sync())
			reached(w, "synced")
			return errors.Join(err, f.Close(), syncDir(w.Dir()), os.WriteFile(in(w, "g"), nil, 0o600))
		},
		want: map[string][]string{
			"posix-4k": {"0: f=A", "0: f=B", "0: ", "1: f=B", "1: ", "1: g="},
			"ext4":     {"0: f=A", "0: f=B", "0: ", "1: ", "1: g="},
			"xfs":      {"0: f=A", "0: f=B", "0: ", "1: ", "1: g="},
		},
	},
	{
		name:  "made without a name",
		setup: nothing,
		work: func(w *faultfs.W) error {
			fd, err := unix.Open(w.Dir(), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
			if err != nil {
				return err
			}
			f := os.NewFile(uintptr(fd), "temporary")
			err = errors.Join(writeAt(f, pages("A"), 0), f.Sync())
			reached(w, "synced")
			err = errors.Join(err, linkTemporary(fd, in(w, "f")))
			reached(w, "linked")
			err = errors.Join(err, f.Sync())
			reached(w, "synced again")
			err = errors.Join(err, syncDir(w.Dir()), f.Close())
			reached(w, "directory synced")
			return err
		},
		want: map[string][]string{
			"posix-4k": {"0: ", "1: ", "1: f=A", "2: ", "2: f=A", "3: ", "3: f=A", "4: f=A"},
			"ext4":     {"0: ", "1: ", "1: f=A", "2: ", "2: f=A", "3: f=A", "4: f=A"},
			"btrfs":    {"0: ", "1: ", "1: f=A", "2: ", "2: f=A", "3: f=A", "4: f=A"},
		},
	},
	{
		name:  "two names exchanged",
		setup: func(dir string) error { return errors.Join(write("a", pages("A"))(dir), write("b", pages("B"))(dir)) },
		work: func(w *faultfs.W) error {
			err := unix.Renameat2(unix.AT_FDCWD, in(w, "a"), unix.AT_FDCWD, in(w, "b"), unix.RENAME_EXCHANGE)
			err = errors.Join(err, syncDir(w.Dir()))
			reached(w, "exchanged")
			return err
		},
		want: under(names(model.PosixWeak, model.Posix4K, model.Ext4, model.XFS, model.Btrfs),
			"0: a=A b=B", "0: a=B b=A", "1: a=B b=A"),
	},
	{
		name:  "two new files, the second one synced",
		setup: nothing,
		work: func(w *faultfs.W) error {
			a, aErr := create(in(w, "a"), nil)
			b, bErr := create(in(w, "b"), nil)
			if err := errors.Join(aErr, bErr); err != nil {
				return err
			}
			reached(w, "created")
			err := b.Sync()
			reached(w, "synced")
			return errors.Join(err, a.Close(), b.Close())
		},
		want: map[string][]string{
			"posix-4k": {"0: ", "0: a=", "0: b=", "0: a= b=", "1: ", "1: a=", "1: b=", "1: a= b=", "2: ", "2: a=", "2: b=", "2: a= b="},
			"ext4":     {"0: ", "0: a=", "0: a= b=", "1: ", "1: a=", "1: a= b=", "2: a= b="},
			// The sync that carries b alone may be through before it returns.
			"btrfs":  {"0: ", "0: a=", "0: a= b=", "1: ", "1: a=", "1: b=", "1: a= b=", "2: b=", "2: a= b="},
			"fat-4k": {"0: ", "0: a=", "0: b=", "0: a= b=", "1: ", "1: a=", "1: b=", "1: a= b=", "2: ", "2: a=", "2: b=", "2: a= b="},
		},
	},
	{
		name:  "a file replaced in halves",
		setup: func(dir string) error { return errors.Join(write("f", pages("A"))(dir), write("t", pages("B"))(dir)) },
		work: func(w *faultfs.W) error {
			t, err := os.OpenFile(in(w, "t"), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			err = errors.Join(os.Rename(in(w, "t"), in(w, "f")), syncDir(w.Dir()))
			reached(w, "directory synced")
			err = errors.Join(err, t.Sync(), t.Close())
			reached(w, "synced")
			return err
		},
		want: map[string][]string{
			"posix-4k": {"0: f=A t=B", "0: f=B", "1: f=B", "2: f=B"},
			"fat-4k": {
				"0: f=A t=B", "0: f= t=B", "0: f=A", "0: f=", "0: f=B t=B", "0: f=B",
				"1: f=", "1: f=B", "2: f=B",
			},
		},
	},
}

func nothing(string) error { return nil }

// directoryStates are of names in two directories.
var directoryStates = []program{
	{
		name: "a directory renamed, its new parent synced", setup: setupDirectories,
		work: func(w *faultfs.W) error { return renameDirectory(w, "y") },
		want: map[string][]string{
			// The old name may be there too, and a directory has only one.
			"posix-4k": {
				oldPlace("0", "A"), newPlace("0", "A"), oldPlace("1", "A"), newPlace("1", "A"),
				oldPlace("1", "B"), newPlace("1", "B"), oldPlace("2", "B"), newPlace("2", "B"),
			},
			"ext4":  {oldPlace("0", "A"), newPlace("0", "A"), newPlace("1", "A"), newPlace("1", "B"), newPlace("2", "B")},
			"btrfs": {oldPlace("0", "A"), newPlace("0", "A"), newPlace("1", "A"), newPlace("1", "B"), newPlace("2", "B")},
		},
	},
	{
		name: "a directory renamed, its old parent synced", setup: setupDirectories,
		work: func(w *faultfs.W) error { return renameDirectory(w, "x") },
		// No state lacks both names: that the old one is gone says that the new
		// one is there.
		want: under(names(model.Posix4K, model.Ext4, model.XFS, model.Btrfs),
			oldPlace("0", "A"), newPlace("0", "A"), newPlace("1", "A"), newPlace("1", "B"), newPlace("2", "B")),
	},
}

// The directory d and its file, before and after it is renamed from x to y.
func oldPlace(reached, content string) string { return reached + ": x/ x/d/ x/d/f=" + content + " y/" }
func newPlace(reached, content string) string { return reached + ": x/ y/ y/d/ y/d/f=" + content }

// renameDirectory renames x/d to y/d, syncs the parent given, and writes to the file.
func renameDirectory(w *faultfs.W, parent string) error {
	err := errors.Join(os.Rename(in(w, "x/d"), in(w, "y/d")), syncDir(in(w, parent)))
	reached(w, "synced")
	f, openErr := os.OpenFile(in(w, "y/d/f"), os.O_RDWR, 0)
	if err := errors.Join(err, openErr); err != nil {
		return err
	}
	err = errors.Join(writeAt(f, pages("B"), 0), f.Sync(), f.Close())
	reached(w, "written")
	return err
}

func setupDirectories(dir string) error {
	return errors.Join(write("x/d/f", pages("A"))(dir), os.Mkdir(filepath.Join(dir, "y"), 0o700))
}

// under returns the same states for each of the models.
func under(models []string, states ...string) map[string][]string {
	all := map[string][]string{}
	for _, m := range models {
		all[m] = states
	}
	return all
}

// linkTemporary gives an open file without a name one.
func linkTemporary(fd int, path string) error {
	return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
}
