//go:build linux

package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/store"
)

// A process can die, or be told of a failed sync, between a change of the store and
// the sync that makes it durable. Who opens the store then makes durable what it finds
// before it shows it.
func TestPowerCutFound(t *testing.T) {
	for _, tt := range []struct {
		name string
		prep func(store string) error // before the work, durable
		died func(store string) error // what the dead process has done
		seen int                      // steps that the next Open finds
	}{
		{"renamed", func(dir string) error {
			return errors.Join(leave(dir, 1), os.Rename(filepath.Join(dir, "data.db"), filepath.Join(dir, "whole")))
		}, func(dir string) error {
			return os.Rename(filepath.Join(dir, "whole"), filepath.Join(dir, "data.db"))
		}, 1},
		{"written", func(dir string) error {
			if err := leave(dir, 1); err != nil {
				return err
			}
			next := filepath.Join(filepath.Dir(dir), "next")
			err := errors.Join(os.CopyFS(next, os.DirFS(dir)), os.Chmod(filepath.Join(next, "data.db"), 0o600))
			return errors.Join(err, with(next, func(db *store.DB) error { return apply(db, program()[1]) }))
		}, func(dir string) error {
			return overwrite(filepath.Join(dir, "data.db"), filepath.Join(filepath.Dir(dir), "next", "data.db"))
		}, 2},
		{"made", func(string) error { return nil }, func(dir string) error { return os.Mkdir(dir, 0o700) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			steps := program()[:3]
			faultfs.Run(t, faultfs.Test{
				Setup: func(dir string) error { return tt.prep(filepath.Join(dir, "store")) },
				Work: func(w *faultfs.W) error {
					dir := filepath.Join(w.Dir(), "store")
					if err := tt.died(dir); err != nil {
						return err
					}
					return with(dir, func(db *store.DB) error {
						if err := holds(db, steps, tt.seen, tt.seen); err != nil {
							return err
						}
						w.Ack("seen", tt.seen)
						if err := apply(db, steps[2]); err != nil {
							return err
						}
						w.Ack("step")
						return nil
					})
				},
				Verify: func(s *faultfs.State) error {
					dir := filepath.Join(s.Dir(), "store")
					err := with(dir, func(db *store.DB) error {
						c, err := contentOf(db)
						switch {
						case err != nil:
							return err
						case len(s.Acked("step")) > 0 && c["a/long"] != steps[2]["a/long"]:
							return fmt.Errorf("(1) the transaction is lost: keys %d", len(c))
						case len(s.Acked("seen")) > 0 && tt.seen > 0 && c["a/k"] != fmt.Sprint(tt.seen):
							return fmt.Errorf("(1) what was shown is lost: %q", c["a/k"])
						}
						return nil
					})
					return errors.Join(err, sound(dir))
				},
			}, faultfs.Models(faultfs.Posix4K, faultfs.Ext4), faultfs.Exhaustive())
		})
	}
}

// The modes of the files are durable, also where the umask takes even the owner's
// rights: else a store could not be opened by its own owner after a power cut.
func TestPowerCutUmask(t *testing.T) {
	faultfs.Run(t, faultfs.Test{
		Work: func(w *faultfs.W) error {
			unix.Umask(0o777) // of this process, which does nothing else
			return with(filepath.Join(w.Dir(), "store"), func(*store.DB) error {
				w.Ack("open")
				return nil
			})
		},
		Verify: func(s *faultfs.State) error {
			if len(s.Acked("open")) == 0 {
				return nil
			}
			for path, want := range map[string]os.FileMode{"": 0o700, "data.db": 0o600, "LOCK": 0o600} {
				info, err := os.Stat(filepath.Join(s.Dir(), "store", path))
				if err != nil {
					return err
				}
				if info.Mode().Perm() != want {
					return fmt.Errorf("the mode of %q is %v", path, info.Mode())
				}
			}
			return sound(filepath.Join(s.Dir(), "store"))
		},
	}, pages, faultfs.States(1000))
}

// leave makes a store that holds n steps and looks as a crash leaves it.
func leave(dir string, n int) error {
	err := with(dir, func(db *store.DB) error {
		for i := range n {
			if err := apply(db, program()[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, os.WriteFile(filepath.Join(dir, "LOCK"), []byte("         1\n"), 0o600))
}

// overwrite does to one file what a commit did that made another of it, up to the last
// sync: the pages are written and synced, then the meta page is written.
func overwrite(to, from string) error {
	now, err := os.ReadFile(to)
	if err != nil {
		return err
	}
	next, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	const page, metas = 4096, 2
	write := func(first, last int) (err error) {
		for at := first * page; at < last*page && err == nil; at += page {
			if at >= len(now) || string(now[at:at+page]) != string(next[at:at+page]) {
				_, err = f.WriteAt(next[at:at+page], int64(at))
			}
		}
		return err
	}
	if err = write(metas, len(next)/page); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = write(0, metas)
	}
	return errors.Join(err, f.Close())
}
