package planted_test

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs"
)

// syncs sync what they changed, but not all of it.
var syncs = []plant{
	{
		name: "rename and fdatasync of the file", setup: write("value.1", value(1)), work: renameDataSynced, verify: verifyNewest,
		in: names(faultfs.PosixWeak, faultfs.Posix4K, faultfs.Ext4), forgotten: "an fsync of the directory after #3",
		note: "a rename changes nothing that ext4 commits for fdatasync; xfs commits it, btrfs carries the names of the file, and vfat writes where the file is now",
	},
	{
		name: "mode and fdatasync of the file", setup: write("value", value(1)), work: modeDataSynced, verify: verifyMode,
		in: everywhere, forgotten: "#1 fsync value (data only) does not cover that",
		note: "fdatasync promises what is needed to read the data, which a mode is not; that xfs and btrfs keep it is luck",
	},
	{
		name: "move and fsync of the new directory", setup: setupMove, work: moveOldNotSynced, verify: verifyMoved,
		in: names(faultfs.PosixWeak, faultfs.Posix4K, faultfs.Btrfs, faultfs.FAT32), forgotten: "an fsync of old after #0",
		note: "the log of btrfs holds the new directory alone; the journals of ext4 and xfs hold the rename",
	},
}

func renameDataSynced(w *faultfs.W, bug bool) error {
	w.Begin("set", 2)
	f, err := create(in(w, "temporary"), value(2))
	if err != nil {
		return err
	}
	err = errors.Join(
		f.Sync(),
		os.Rename(in(w, "temporary"), in(w, "value.2")),
		unix.Fdatasync(int(f.Fd())),
		f.Close(),
		syncDirIf(!bug, w.Dir()),
	)
	if err == nil {
		w.Ack("set", 2)
	}
	return err
}

// The mode of a file is its version.
func verifyMode(s *faultfs.State) error {
	info, err := os.Stat(filepath.Join(s.Dir(), "value"))
	if err != nil {
		return err
	}
	if info.Mode().Perm() == 0o600 {
		return inRange(s, 1)
	}
	return inRange(s, 2)
}

func modeDataSynced(w *faultfs.W, bug bool) error {
	f, err := os.Open(in(w, "value"))
	if err != nil {
		return err
	}
	w.Begin("set", 2)
	err = f.Chmod(0o640)
	if bug {
		err = errors.Join(err, unix.Fdatasync(int(f.Fd())))
	}
	err = errors.Join(err, syncIf(!bug, f), f.Close())
	if err == nil {
		w.Ack("set", 2)
	}
	return err
}

func setupMove(dir string) error {
	return errors.Join(write("old/value", value(1))(dir), os.Mkdir(filepath.Join(dir, "new"), 0o700))
}

// Where the file is says which version it is of; while both names are there, the old
// one counts.
func verifyMoved(s *faultfs.State) error {
	_, err := os.Stat(filepath.Join(s.Dir(), "old", "value"))
	switch {
	case err == nil:
		return inRange(s, 1)
	case errors.Is(err, os.ErrNotExist):
		return inRange(s, 2)
	}
	return err
}

func moveOldNotSynced(w *faultfs.W, bug bool) error {
	w.Begin("set", 2)
	err := errors.Join(
		os.Rename(in(w, "old/value"), in(w, "new/value")),
		syncDir(in(w, "new")),
		syncDirIf(!bug, in(w, "old")),
	)
	if err == nil {
		w.Ack("set", 2)
	}
	return err
}
