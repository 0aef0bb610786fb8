//go:build linux

package backing_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// cutModels are those in which a rename is not two changes within a directory.
var cutModels = faultfs.Models(faultfs.PosixWeak, faultfs.Posix4K, faultfs.Ext4, faultfs.XFS, faultfs.Btrfs)

// inDir opens the backing in dir/R, calls f and closes it.
func inDir(dir string, f func(d *backing.Dir) error) error {
	d, err := backing.OpenDir(filepath.Join(dir, "R"))
	if err != nil {
		return err
	}
	return errors.Join(f(d), d.Close())
}

// place returns where a device is in devices/, staging/ or trash/.
func place(dir, name string, dev store.Device) string {
	id := fmt.Sprintf("%08x", uint32(dev.ID))
	if name != "devices" {
		id += "-" + dev.Stamp.String()
	}
	return filepath.Join(dir, "R", name, id)
}

// made makes a device and moves it to staging/ or trash/.
func made(dir string, dev store.Device, to string) error {
	err := inDir(dir, func(d *backing.Dir) error {
		_, err := d.Create(context.Background(), dev)
		return err
	})
	if to != "devices" {
		err = errors.Join(err, os.Rename(place(dir, "devices", dev), place(dir, to, dev)))
	}
	return err
}

// A process can die between a change and its syncs. Who then finds the change made
// answers nil only once it is durable.
func TestPowerCutFound(t *testing.T) {
	dev := device(3, 3)
	for _, tt := range []struct {
		name  string
		from  string                 // where the device is before
		died  func(dir string) error // what the dead process has done
		call  string
		there bool // afterwards
		loose bool // a power cut before the call may leave what no call can mend
	}{
		{
			name: "created", from: "staging", call: "create", there: true,
			died: func(dir string) error { return os.Rename(place(dir, "staging", dev), place(dir, "devices", dev)) },
		},
		{
			name: "discarded", from: "devices", call: "remove",
			died: func(dir string) error { return os.Rename(place(dir, "devices", dev), place(dir, "trash", dev)) },
		},
		{
			name: "removed", from: "trash", call: "remove",
			died: func(dir string) error { return os.RemoveAll(place(dir, "trash", dev)) },
		},
		{
			name: "taken back", from: "staging", call: "remove",
			died: func(dir string) error { return os.RemoveAll(place(dir, "staging", dev)) },
		},
		{
			name: "deleted by hand", from: "devices", call: "remove", loose: true,
			died: func(dir string) error { return os.RemoveAll(place(dir, "devices", dev)) },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			faultfs.Run(t, faultfs.Test{
				Setup: func(dir string) error { return made(dir, dev, tt.from) },
				Work: func(w *faultfs.W) error {
					if err := tt.died(w.Dir()); err != nil {
						return err
					}
					return inDir(w.Dir(), func(d *backing.Dir) (err error) {
						if tt.call == "create" {
							_, err = d.Create(context.Background(), dev)
						} else {
							err = d.Remove(context.Background(), dev)
						}
						if err == nil {
							w.Ack(tt.call)
						}
						return err
					})
				},
				Verify: func(s *faultfs.State) error {
					acked := len(s.Acked(tt.call)) > 0
					if tt.loose && !acked {
						return nil
					}
					return inDir(s.Dir(), func(d *backing.Dir) error { return foundVerify(d, dev, acked, tt.there) })
				},
			}, cutModels, faultfs.Exhaustive())
		})
	}
}

// foundVerify returns an error unless an acknowledged device is there or absent, and
// can be made and removed in any case.
func foundVerify(d *backing.Dir, dev store.Device, acked, there bool) error {
	ctx := context.Background()
	presence, stamp, err := d.Probe(ctx, dev.ID)
	switch {
	case err != nil:
		return err
	case acked && there && (presence != store.Present || stamp != dev.Stamp), acked && !there && presence != store.Absent:
		return fmt.Errorf("probe answers %v under stamp %v", presence, stamp)
	case presence != store.Absent && stamp != dev.Stamp:
		return fmt.Errorf("what is %v has stamp %v", presence, stamp)
	}
	_, err = d.Create(ctx, dev)
	return errors.Join(err, d.Remove(ctx, dev))
}

// Modes are durable too, also where the umask takes even the owner's rights and they
// are given back after the directory is made.
func TestPowerCutUmask(t *testing.T) {
	dev := device(3, 3)
	faultfs.Run(t, faultfs.Test{
		Work: func(w *faultfs.W) error {
			unix.Umask(0o777) // of this process, which does nothing else
			return inDir(w.Dir(), func(d *backing.Dir) error {
				_, err := d.Create(context.Background(), dev)
				if err == nil {
					w.Ack("create")
				}
				return err
			})
		},
		Verify: func(s *faultfs.State) error {
			if len(s.Acked("create")) == 0 {
				return nil
			}
			for path, want := range map[string]os.FileMode{
				"": 0o700, "identity": 0o600, "devices": 0o700, "staging": 0o700, "trash": 0o700,
				"devices/00000003": 0o700, "devices/00000003/stamp": 0o600, "devices/00000003/data": 0o700,
			} {
				info, err := os.Stat(filepath.Join(s.Dir(), "R", path))
				if err != nil {
					return err
				}
				if info.Mode().Perm() != want {
					return fmt.Errorf("the mode of %q is %v", path, info.Mode())
				}
			}
			return nil
		},
	}, cutModels, faultfs.States(1000))
}

// A directory that a process has half made and died: who finds it makes it durable.
func TestPowerCutFoundRoot(t *testing.T) {
	dev := device(3, 3)
	faultfs.Run(t, faultfs.Test{
		Work: func(w *faultfs.W) error {
			root := filepath.Join(w.Dir(), "R")
			for _, name := range []string{"", "devices", "staging", "trash"} {
				if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
					return err
				}
			}
			temp := filepath.Join(root, ".atomicfile-1")
			if err := os.WriteFile(temp, []byte("01234567-89ab-4def-8123-456789abcdef\n"), 0o600); err != nil {
				return err
			}
			if err := errors.Join(syncPath(temp), os.Rename(temp, filepath.Join(root, "identity"))); err != nil {
				return err
			}
			return inDir(w.Dir(), func(d *backing.Dir) error {
				identity, err := d.Identity(context.Background())
				if err == nil {
					w.Ack("open", identity)
					_, err = d.Create(context.Background(), dev)
				}
				if err == nil {
					w.Ack("create")
				}
				return err
			})
		},
		Verify: func(s *faultfs.State) error {
			return inDir(s.Dir(), func(d *backing.Dir) error {
				identity, err := d.Identity(context.Background())
				if err != nil {
					return err
				}
				for _, was := range faultfs.Args[string](s.Acked("open")) {
					if was != identity {
						return fmt.Errorf("the identity is %s, was %s", identity, was)
					}
				}
				return foundVerify(d, dev, len(s.Acked("create")) > 0, true)
			})
		},
	}, faultfs.Models(faultfs.PosixWeak, faultfs.Ext4))
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// plant makes a tree of every kind of entry that a copy keeps.
func plant(dir string) error {
	sub := filepath.Join(dir, "sub")
	return errors.Join(
		os.Mkdir(sub, 0o750),
		os.WriteFile(filepath.Join(sub, "file"), []byte("content of a file"), 0o640),
		os.Link(filepath.Join(sub, "file"), filepath.Join(dir, "hard link")),
		os.Symlink("sub/file", filepath.Join(dir, "symbolic link")),
		unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
		os.Truncate(filepath.Join(sub, "file"), 9000),
	)
}

// sameTree returns an error unless two trees have the same entries, of the same mode,
// size and content.
func sameTree(a, b string) error {
	list := func(dir string) (map[string]string, error) {
		found := map[string]string{}
		err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := os.Lstat(path)
			if err != nil {
				return err
			}
			text := fmt.Sprint(info.Mode())
			switch {
			case info.Mode().IsRegular():
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				text += fmt.Sprintf("%d links, %q", info.Sys().(*syscall.Stat_t).Nlink, data)
			case info.Mode()&os.ModeSymlink != 0:
				to, err := os.Readlink(path)
				if err != nil {
					return err
				}
				text += to
			}
			found[path[len(dir):]] = text
			return nil
		})
		return found, err
	}
	in, err := list(a)
	out, berr := list(b)
	if err = errors.Join(err, berr); err == nil && fmt.Sprint(in) != fmt.Sprint(out) {
		err = fmt.Errorf("the copy has %v, the original %v", out, in)
	}
	return err
}

// copyTest makes a copy of a device that has entries of all kinds.
func copyTest() faultfs.Test {
	return faultfs.Test{
		Setup: func(dir string) error {
			return inDir(dir, func(d *backing.Dir) error {
				_, err := d.Create(context.Background(), crashParent)
				return errors.Join(err, plant(d.Path(crashParent.ID)))
			})
		},
		Work: func(w *faultfs.W) error {
			return inDir(w.Dir(), func(d *backing.Dir) error {
				if _, err := d.Create(context.Background(), crashChild); err != nil {
					return err
				}
				w.Ack("copy")
				return nil
			})
		},
		Verify: func(s *faultfs.State) error {
			return inDir(s.Dir(), func(d *backing.Dir) error {
				presence, _, err := d.Probe(context.Background(), crashChild.ID)
				if err == nil && presence == store.Present {
					err = sameTree(d.Path(crashParent.ID), d.Path(crashChild.ID))
				}
				if err != nil {
					return err
				}
				return foundVerify(d, crashChild, len(s.Acked("copy")) > 0, true)
			})
		},
	}
}

// A copy is absent, partial, or whole with everything that its parent has.
func TestPowerCutCopy(t *testing.T) {
	faultfs.Run(t, copyTest(), cutModels, faultfs.States(1000))
}

// masked are the faults after which a copy goes on, and why that is right.
var masked = []faultfs.Option{
	faultfs.Masked("*", syscall.EINTR, "a signal: the call is made again"),
	faultfs.Masked("backing.writeStamp", 0, "os.File writes the rest"),
	faultfs.Masked("backing.copyData", syscall.EIO, "os.File takes it for a copy_file_range that does not work, and reads and writes"),
	faultfs.Masked("backing.copyData", syscall.ENOTSUP, "os.File reads and writes where copy_file_range does not work"),
	faultfs.Masked("backing.shareBlocks", syscall.ENOTSUP, "files are copied where they cannot share blocks"),
	faultfs.Masked("backing.renameNoReplace", syscall.EINVAL, "a look and a plain rename do the same, since no two calls are made for one id"),
}

// Every operation of a copy fails. The error comes back, or nil is true.
func TestPowerCutSweepCopy(t *testing.T) {
	faultfs.Sweep(t, copyTest(), append([]faultfs.Option{
		faultfs.Fail(faultfs.Any, syscall.EIO),
		faultfs.Fail(faultfs.Any, syscall.ENOSPC).FromThenOn(),
		faultfs.Fail(faultfs.Write|faultfs.Create|faultfs.Mkdir|faultfs.Fsync, syscall.EDQUOT),
		faultfs.Fail(faultfs.Fsync|faultfs.Syncfs, syscall.EROFS).FromThenOn(),
		faultfs.Fail(faultfs.Any, syscall.EINTR),
		faultfs.Fail(faultfs.Rename, syscall.EINVAL),
		// Not of Fsync: one of a directory is taken for success by atomicfile.
		faultfs.Fail(faultfs.Any&^(faultfs.Fsync|faultfs.Chmod|faultfs.Utimes), syscall.ENOTSUP),
		faultfs.ShortWrite(),
		faultfs.Models(faultfs.PosixWeak), faultfs.States(100),
	}, masked...)...)
}
