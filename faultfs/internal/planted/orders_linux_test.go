package planted_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/driftlesskv/driftless/faultfs"
	"golang.org/x/sys/unix"
)

// orders write in place, into files that were there before.
var orders = []plant{
	{
		name: "append with the length first", setup: write("log", logOf(1)), work: lengthFirst, verify: verifyLog,
		in: everywhere, forgotten: "an fsync or fdatasync of log",
		note: "two writes between two syncs have no order, in one file neither",
	},
	{
		name: "data and length in two files", setup: setupTwoFiles, work: lengthElsewhere, verify: verifyTwoFiles,
		in: everywhere, forgotten: "an fsync or fdatasync of data",
		note: "the sync of one file never carries the data of another, whatever a journal does for names and sizes",
	},
	{
		name: "two files without an order", setup: setupSlots, work: noOrder, verify: verifySlots,
		in: everywhere, forgotten: "an fsync or fdatasync of slots",
		note: "both are synced before the acknowledgement, but the pointer may be there first",
	},
	{
		name: "O_DSYNC dropped", setup: write("slots", append(value(0), value(1)...)), work: dsyncDropped, verify: verifyNewestSlot,
		in: everywhere, forgotten: "an fsync or fdatasync of slots",
		note: "nothing else makes the write durable",
	},
	{
		name: "sync_file_range taken for a sync", setup: write("slots", append(value(0), value(1)...)), work: rangeForSync, verify: verifyNewestSlot,
		in: everywhere, forgotten: "an fsync or fdatasync of slots",
		note: "it flushes no cache of the disk and promises nothing",
	},
	{
		name: "journal truncated before the checkpoint is synced", setup: setupJournal, work: checkpointNotSynced, verify: verifyJournal,
		in: everywhere, forgotten: "an fsync or fdatasync of data",
		note: "the journal is the only durable copy until the checkpoint is",
	},
}

// The log of lengthFirst: a page with the number of values, then the values.
const logStart = 4096

func logOf(n int) []byte {
	log := make([]byte, logStart)
	binary.LittleEndian.PutUint64(log, uint64(n))
	for v := 1; v <= n; v++ {
		log = append(log, value(v)...)
	}
	return log
}

// verifyLog trusts the number: all that it counts must be there.
func verifyLog(s *faultfs.State) error {
	log, err := os.ReadFile(filepath.Join(s.Dir(), "log"))
	if err != nil {
		return err
	}
	n := int(binary.LittleEndian.Uint64(log))
	if want := logOf(n); len(log) < len(want) || !bytes.Equal(log[:len(want)], want) {
		return fmt.Errorf("the log says that it holds %d values, and does not: %w", n, errTorn)
	}
	return inRange(s, n)
}

func lengthFirst(w *faultfs.W, bug bool) error {
	f, err := os.OpenFile(in(w, "log"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for v := 2; v <= 3 && err == nil; v++ {
		w.Begin("set", v)
		if bug {
			err = writeAt(f, binary.LittleEndian.AppendUint64(nil, uint64(v)), 0)
		}
		err = errors.Join(err, writeAt(f, value(v), logStart+int64(v-1)*valueSize), f.Sync())
		if !bug {
			err = errors.Join(err, writeAt(f, binary.LittleEndian.AppendUint64(nil, uint64(v)), 0), f.Sync())
		}
		if err == nil {
			w.Ack("set", v)
		}
	}
	return errors.Join(err, f.Close())
}

func setupTwoFiles(dir string) error {
	return errors.Join(write("data", value(1))(dir), write("length", []byte{1})(dir))
}

func verifyTwoFiles(s *faultfs.State) error {
	length, err := os.ReadFile(filepath.Join(s.Dir(), "length"))
	if err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(s.Dir(), "data"))
	if err != nil {
		return err
	}
	n := int(length[0])
	for i := range n {
		end := min(len(data), (i+1)*valueSize)
		if _, err := version(data[min(end, i*valueSize):end]); err != nil {
			return fmt.Errorf("the length is %d values, but value %d: %w", n, i+1, err)
		}
	}
	return inRange(s, n)
}

func lengthElsewhere(w *faultfs.W, bug bool) error {
	data, dataErr := os.OpenFile(in(w, "data"), os.O_WRONLY|os.O_APPEND, 0)
	length, lengthErr := os.OpenFile(in(w, "length"), os.O_RDWR, 0)
	if err := errors.Join(dataErr, lengthErr); err != nil {
		return err
	}
	w.Begin("set", 2)
	_, err := data.Write(value(2))
	err = errors.Join(err,
		syncIf(!bug, data),
		writeAt(length, []byte{2}, 0),
		length.Sync(),
		data.Close(),
		length.Close(),
	)
	if err == nil {
		w.Ack("set", 2)
	}
	return err
}

// The slots hold values in turn; which one counts is in another file.
func setupSlots(dir string) error {
	return errors.Join(write("slots", append(value(0), value(1)...))(dir), write("current", []byte{1})(dir))
}

func verifySlots(s *faultfs.State) error {
	current, err := os.ReadFile(filepath.Join(s.Dir(), "current"))
	if err != nil {
		return err
	}
	slots, err := os.ReadFile(filepath.Join(s.Dir(), "slots"))
	if err != nil {
		return err
	}
	v, err := version(slots[int(current[0])*valueSize:][:valueSize])
	if err != nil {
		return fmt.Errorf("slot %d is the current one: %w", current[0], err)
	}
	return inRange(s, v)
}

func noOrder(w *faultfs.W, bug bool) error {
	slots, slotsErr := os.OpenFile(in(w, "slots"), os.O_RDWR, 0)
	current, currentErr := os.OpenFile(in(w, "current"), os.O_RDWR, 0)
	if err := errors.Join(slotsErr, currentErr); err != nil {
		return err
	}
	w.Begin("set", 2)
	err := errors.Join(
		writeAt(slots, value(2), 0),
		syncIf(!bug, slots),
		writeAt(current, []byte{0}, 0),
		current.Sync(),
		syncIf(bug, slots),
		slots.Close(),
		current.Close(),
	)
	if err == nil {
		w.Ack("set", 2)
	}
	return err
}

// verifyNewestSlot reads slots of which the newest whole one counts.
func verifyNewestSlot(s *faultfs.State) error {
	slots, err := os.ReadFile(filepath.Join(s.Dir(), "slots"))
	if err != nil {
		return err
	}
	best := 0
	for ; len(slots) >= valueSize; slots = slots[valueSize:] {
		if v, err := version(slots[:valueSize]); err == nil {
			best = max(best, v)
		}
	}
	return inRange(s, best)
}

func dsyncDropped(w *faultfs.W, bug bool) error {
	flags := os.O_RDWR
	if !bug {
		flags |= unix.O_DSYNC
	}
	f, err := os.OpenFile(in(w, "slots"), flags, 0)
	if err != nil {
		return err
	}
	for v := 2; v <= 3 && err == nil; v++ {
		w.Begin("set", v)
		if err = writeAt(f, value(v), int64(v%2)*valueSize); err == nil {
			w.Ack("set", v)
		}
	}
	return errors.Join(err, f.Close())
}

func rangeForSync(w *faultfs.W, bug bool) error {
	f, err := os.OpenFile(in(w, "slots"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	w.Begin("set", 2)
	err = errors.Join(
		writeAt(f, value(2), 0),
		unix.SyncFileRange(int(f.Fd()), 0, valueSize, all),
		syncIf(!bug, f),
		f.Close(),
	)
	if err == nil {
		w.Ack("set", 2)
	}
	return err
}

func setupJournal(dir string) error {
	return errors.Join(write("data", value(1))(dir), write("journal", nil)(dir))
}

// verifyJournal prefers the journal, if what it holds is whole.
func verifyJournal(s *faultfs.State) error {
	for _, name := range []string{"journal", "data"} {
		data, err := os.ReadFile(filepath.Join(s.Dir(), name))
		if err != nil {
			return err
		}
		if v, err := version(data); err == nil {
			return inRange(s, v)
		}
	}
	return fmt.Errorf("neither the journal nor the data is whole: %w", errTorn)
}

func checkpointNotSynced(w *faultfs.W, bug bool) error {
	data, dataErr := os.OpenFile(in(w, "data"), os.O_RDWR, 0)
	journal, journalErr := os.OpenFile(in(w, "journal"), os.O_RDWR, 0)
	err := errors.Join(dataErr, journalErr)
	for v := 2; v <= 3 && err == nil; v++ {
		w.Begin("set", v)
		if err = errors.Join(writeAt(journal, value(v), 0), journal.Sync()); err != nil {
			break
		}
		w.Ack("set", v)
		err = errors.Join(
			writeAt(data, value(v), 0),
			syncIf(!bug, data),
			journal.Truncate(0),
			journal.Sync(),
		)
	}
	return errors.Join(err, data.Close(), journal.Close())
}
