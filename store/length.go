package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt maps its file and believes the length that the meta page gives: reading a
// page beyond the true end kills the process, and an empty file is taken for a new
// database. So the length is checked before bbolt sees the file.

// Layout of bbolt's meta page (its internal/common/meta.go), in the byte order of
// the machine. The second one lies a page size behind the first.
const (
	metaMagic    = 0xED0CDAED
	metaOffset   = 16 // behind the page header
	metaPageSize = metaOffset + 8
	metaPages    = metaOffset + 40 // number of pages in use
	metaTxid     = metaOffset + 48
	metaSum      = metaOffset + 56 // FNV-1a of the meta before it
	metaEnd      = metaSum + 8
)

// checkLength returns a CorruptError when data.db is shorter than its newest
// intact meta page says, or has none.
func (db *DB) checkLength() error {
	f, err := openAt(db.dir, dataName, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var newest, need uint64
	found := false
	for size := int64(1 << 9); size <= 1<<16; size *= 2 {
		for _, at := range []int64{0, size} {
			pageSize, pages, txid, ok, err := readMeta(f, at)
			if err != nil {
				return err
			}
			if ok && pageSize == uint64(size) && (!found || txid > newest) {
				newest, need, found = txid, pages*pageSize, true
			}
		}
	}
	switch {
	case !found:
		return &CorruptError{Reason: dataName + " is not a bbolt database"}
	case uint64(info.Size()) < need:
		return &CorruptError{Reason: fmt.Sprintf("%s has %d bytes, its meta page says %d", dataName, info.Size(), need)}
	}
	return nil
}

// readMeta reads the meta page that starts at an offset; ok tells whether it is intact.
func readMeta(f *os.File, at int64) (pageSize, pages, txid uint64, ok bool, err error) {
	var page [metaEnd]byte
	if _, err := f.ReadAt(page[:], at); err != nil {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return 0, 0, 0, false, err
	}
	order := binary.NativeEndian
	sum := fnv.New64a()
	_, _ = sum.Write(page[metaOffset:metaSum]) // a hash takes every write
	if order.Uint32(page[metaOffset:]) != metaMagic || order.Uint64(page[metaSum:]) != sum.Sum64() {
		return 0, 0, 0, false, nil
	}
	return uint64(order.Uint32(page[metaPageSize:])), order.Uint64(page[metaPages:]), order.Uint64(page[metaTxid:]), true, nil
}
