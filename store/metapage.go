package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt maps its file and believes what the pages say: one beyond the end of the
// file or one that leads to itself kills or hangs the process, and an empty file is
// taken for a new database. So the file is checked before bbolt sees it.

// Layout of bbolt's meta page (its internal/common/meta.go), in the byte order of
// the machine. The second one lies a page size behind the first.
const (
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	metaOffset   = pageHeader
	metaPageSize = metaOffset + 8
	metaRoot     = metaOffset + 16
	metaPages    = metaOffset + 40 // number of pages in use
	metaTxid     = metaOffset + 48
	metaSum      = metaOffset + 56 // FNV-1a of the meta before it
	metaEnd      = metaSum + 8
)

// A fileShape is what a meta page says about the file.
type fileShape struct {
	pageSize uint64
	root     uint64 // page of the root bucket
	pages    uint64
	txid     uint64
}

// checkFile returns a CorruptError when data.db is not a bbolt database, is shorter
// than its newest intact meta page says, or has a damaged page.
func (db *DB) checkFile() error {
	f, err := openAt(db.dir, dataName, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	newest, found := fileShape{}, false
	for size := int64(1 << 9); size <= 1<<16; size *= 2 {
		for _, at := range []int64{0, size} {
			shape, ok, err := readMeta(f, at)
			if err != nil {
				return err
			}
			if ok && shape.pageSize == uint64(size) && (!found || shape.txid > newest.txid) {
				newest, found = shape, true
			}
		}
	}
	switch need := newest.pages * newest.pageSize; {
	case !found:
		return &CorruptError{Reason: dataName + " is not a bbolt database"}
	case uint64(info.Size()) < need:
		return &CorruptError{Reason: fmt.Sprintf("%s has %d bytes, its meta page says %d", dataName, info.Size(), need)}
	}
	return checkPages(f, newest)
}

// readMeta reads the meta page that starts at an offset; ok tells whether it is intact.
func readMeta(f *os.File, at int64) (shape fileShape, ok bool, err error) {
	var page [metaEnd]byte
	if _, err := f.ReadAt(page[:], at); err != nil {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return shape, false, err
	}
	sum := fnv.New64a()
	_, _ = sum.Write(page[metaOffset:metaSum]) // a hash takes every write
	if order.Uint32(page[metaOffset:]) != metaMagic || order.Uint32(page[metaOffset+4:]) != metaVersion ||
		order.Uint64(page[metaSum:]) != sum.Sum64() {
		return shape, false, nil
	}
	return fileShape{
		pageSize: uint64(order.Uint32(page[metaPageSize:])),
		root:     order.Uint64(page[metaRoot:]),
		pages:    order.Uint64(page[metaPages:]),
		txid:     order.Uint64(page[metaTxid:]),
	}, true, nil
}

var order = binary.NativeEndian
