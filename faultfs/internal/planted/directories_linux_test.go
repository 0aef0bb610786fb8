package planted_test

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/driftlesskv/driftless/faultfs"
)

// directories make files whose names have to be durable, and remove older ones.
var directories = []plant{
	{
		name: "directory of a new file not synced", setup: write("value.1", value(1)), work: nameNotSynced, verify: verifyNewest,
		in: posixOrFAT, forgotten: "an fsync of the directory after #0",
		note: "ext4, xfs and btrfs carry the name of a new file with its own fsync; POSIX does not say so, and vfat writes only the sector that its entry ends in",
	},
	{
		name: "parent of a new directory not synced", setup: write("set.1/value", value(1)), work: parentNotSynced, verify: verifyNewestSet,
		in: posixOrFAT, forgotten: "an fsync of the directory after #0",
		note: "as above: the three carry the names of new directories above a new file too, vfat does not",
	},
	{
		name: "synced before the last write", setup: write("value.1", value(1)), work: lastWriteNotSynced, verify: verifyNewest,
		in: everywhere, forgotten: "an fsync or fdatasync of value.2 after #3",
		note: "what is written after a sync needs another one",
	},
	{
		name: "old one removed before the new one is durable", setup: write("value.1", value(1)), work: removedEarly, verify: verifyNewest,
		in: everywhere, forgotten: "value.2",
		note: "the removal may reach the disk before the data does, and then there is neither",
	},
}

func verifyNewestSet(s *faultfs.State) error {
	v, err := newest(filepath.Join(s.Dir(), "set.*", "value"))
	if err != nil {
		return err
	}
	return inRange(s, v)
}

func nameNotSynced(w *faultfs.W, bug bool) error {
	w.Begin("set", 2)
	f, err := create(in(w, "value.2"), value(2))
	if err != nil {
		return err
	}
	err = errors.Join(f.Sync(), f.Close(), syncDirIf(!bug, w.Dir()))
	if err == nil {
		w.Ack("set", 2)
	}
	return err
}

func parentNotSynced(w *faultfs.W, bug bool) error {
	w.Begin("set", 2)
	if err := os.Mkdir(in(w, "set.2"), 0o700); err != nil {
		return err
	}
	f, err := create(in(w, "set.2/value"), value(2))
	if err != nil {
		return err
	}
	err = errors.Join(f.Sync(), f.Close(), syncDir(in(w, "set.2")), syncDirIf(!bug, w.Dir()))
	if err == nil {
		w.Ack("set", 2)
	}
	return err
}

func lastWriteNotSynced(w *faultfs.W, bug bool) error {
	const half = 4096
	w.Begin("set", 2)
	f, err := create(in(w, "value.2"), value(2)[:half])
	if err != nil {
		return err
	}
	err = errors.Join(
		f.Sync(),
		writeAt(f, value(2)[half:], half),
		syncIf(!bug, f),
		f.Close(),
		syncDir(w.Dir()),
	)
	if err == nil {
		w.Ack("set", 2)
	}
	return err
}

func removedEarly(w *faultfs.W, bug bool) error {
	w.Begin("set", 2)
	f, err := create(in(w, "value.2"), value(2))
	if err != nil {
		return err
	}
	if bug {
		err = os.Remove(in(w, "value.1"))
	}
	err = errors.Join(err, f.Sync(), f.Close(), syncDir(w.Dir()))
	if err != nil {
		return err
	}
	w.Ack("set", 2)
	if bug {
		return nil
	}
	return errors.Join(os.Remove(in(w, "value.1")), syncDir(w.Dir()))
}
