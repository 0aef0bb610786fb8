package planted_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/driftlesskv/driftless/faultfs"
)

// renames replace a file by renaming a new one over it, or publish one by renaming
// it to a name that nothing had.
var renames = []plant{
	{
		name: "temporary file not synced", setup: write("value", value(1)), work: tempNotSynced, verify: verifyReplaced,
		in: everywhere, hopeless: fat, forgotten: "an fsync or fdatasync of value after #1",
		note: "no file system orders data before a rename; vfat renames in halves, so that no overwrite is atomic",
	},
	{
		name: "renamed before it is synced", setup: write("value", value(1)), work: renamedBeforeSync, verify: verifyReplaced,
		in: everywhere, hopeless: fat, forgotten: "an fsync or fdatasync of value after #1 and before #2 rename",
		note: "the rename may reach the disk alone before the sync does; nothing was acknowledged then, but the old value is gone",
	},
	{
		name: "directory not synced after a rename", setup: write("value.1", value(1)), work: renameNotSynced, verify: verifyNewest,
		in: everywhere, forgotten: "an fsync of the directory after #3",
		note: "the sync came before the rename, so that no journal carries it; under a new name even vfat's two halves do no harm to the twin",
	},
	{
		name: "sync of the wrong descriptor", setup: write("value.1", value(1)), work: wrongDescriptor, verify: verifyNewest,
		in: everywhere, forgotten: "an fsync or fdatasync of value.2",
		note: "at most the names travel with another file's sync, data never",
	},
}

// verifyReplaced reads a file that is trusted to be whole: it is only ever replaced.
func verifyReplaced(s *faultfs.State) error {
	data, err := os.ReadFile(filepath.Join(s.Dir(), "value"))
	if err != nil {
		return err
	}
	v, err := version(data)
	if err != nil {
		return fmt.Errorf("value: %w", err)
	}
	return inRange(s, v)
}

// verifyNewest reads files of which the newest whole one counts.
func verifyNewest(s *faultfs.State) error {
	v, err := newest(filepath.Join(s.Dir(), "value.*"))
	if err != nil {
		return err
	}
	return inRange(s, v)
}

func tempNotSynced(w *faultfs.W, bug bool) error {
	w.Begin("set", 2)
	f, err := create(in(w, "value.tmp"), value(2))
	if err != nil {
		return err
	}
	err = errors.Join(
		syncIf(!bug, f),
		f.Close(),
		os.Rename(in(w, "value.tmp"), in(w, "value")),
		syncDir(w.Dir()),
	)
	if err == nil {
		w.Ack("set", 2)
	}
	return err
}

func renamedBeforeSync(w *faultfs.W, bug bool) error {
	w.Begin("set", 2)
	f, err := create(in(w, "value.tmp"), value(2))
	if err != nil {
		return err
	}
	err = errors.Join(
		syncIf(!bug, f),
		os.Rename(in(w, "value.tmp"), in(w, "value")),
		syncIf(bug, f),
		f.Close(),
		syncDir(w.Dir()),
	)
	if err == nil {
		w.Ack("set", 2)
	}
	return err
}

// renameNotSynced has its twin sync the file as well: vfat needs that beside the sync
// of the directory.
func renameNotSynced(w *faultfs.W, bug bool) error {
	w.Begin("set", 2)
	f, err := create(in(w, "temporary"), value(2))
	if err != nil {
		return err
	}
	err = errors.Join(
		f.Sync(),
		os.Rename(in(w, "temporary"), in(w, "value.2")),
		syncIf(!bug, f),
		f.Close(),
		syncDirIf(!bug, w.Dir()),
	)
	if err == nil {
		w.Ack("set", 2)
	}
	return err
}

func wrongDescriptor(w *faultfs.W, bug bool) error {
	w.Begin("set", 2)
	f, err := create(in(w, "value.2"), value(2))
	if err != nil {
		return err
	}
	old, err := os.OpenFile(in(w, "value.1"), os.O_RDWR, 0)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	synced := f
	if bug {
		synced = old
	}
	err = errors.Join(synced.Sync(), syncDir(w.Dir()), f.Close(), old.Close())
	if err == nil {
		w.Ack("set", 2)
	}
	return err
}
