package store

import (
	"fmt"
	"io"
)

// Layout of bbolt's pages (its internal/common/page.go): a header, then elements of
// one size, then the keys and values of the elements, in order and without a gap.
// As there is never a gap, nearly every flipped bit of a header or an element shows.
const (
	pageHeader  = 16 // id 8, flags 2, count 2, overflow 4
	elementSize = 16
	branchFlag  = 1
	leafFlag    = 2
	bucketFlag  = 1  // of a leaf element: the value is a bucket
	bucketSize  = 16 // root page 8, 0 for a bucket within the value; sequence 8
	maxDepth    = 64
)

// A pageWalk visits every page that can be reached from a root.
type pageWalk struct {
	file io.ReaderAt
	fileShape
	seen []uint64 // a bit for each page
}

// checkPages returns a CorruptError when a page that can be reached is not what
// bbolt writes: wrong id, unknown kind, elements that do not fit, keys out of order,
// or a page that is reached twice. Values are not looked at: they have checksums.
func checkPages(file io.ReaderAt, shape fileShape) error {
	w := pageWalk{file, shape, make([]uint64, shape.pages/64+1)}
	return w.page(shape.root, nil, nil, 0, true)
}

func (w *pageWalk) damaged(id uint64, format string, args ...any) error {
	return &CorruptError{Reason: fmt.Sprintf("page %d: ", id) + fmt.Sprintf(format, args...)}
}

// page checks one page, whose keys must be at least low and below high (nil: no
// bound), and everything below it.
func (w *pageWalk) page(id uint64, low, high []byte, depth int, buckets bool) error {
	b, err := w.read(id)
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return w.damaged(id, "the tree is too deep")
	}
	flags := order.Uint16(b[8:])
	if flags != branchFlag && flags != leafFlag || flags == branchFlag && order.Uint16(b[10:]) == 0 {
		return w.damaged(id, "flags %#x, count %d", flags, order.Uint16(b[10:]))
	}
	elements, reason := pageElements(b, low, high)
	if reason != "" {
		return w.damaged(id, "%s", reason)
	}
	for i, e := range elements {
		switch {
		case flags == branchFlag:
			above := high
			if i+1 < len(elements) {
				above = elements[i+1].key
			}
			err = w.page(e.child, e.key, above, depth+1, buckets)
		case buckets != (e.flags == bucketFlag) || e.flags > bucketFlag:
			err = w.damaged(id, "element %d has flags %#x", i, e.flags)
		case buckets:
			err = w.bucket(id, e.value, depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket checks a bucket whose header is the value of an element of page id.
func (w *pageWalk) bucket(id uint64, value []byte, depth int) error {
	if len(value) < bucketSize {
		return w.damaged(id, "a bucket of %d bytes", len(value))
	}
	if root := order.Uint64(value); root != 0 {
		return w.page(root, nil, nil, depth+1, false)
	}
	b := value[bucketSize:]
	if len(b) < pageHeader || order.Uint64(b) != 0 || order.Uint16(b[8:]) != leafFlag || order.Uint32(b[12:]) != 0 {
		return w.damaged(id, "a bucket within it has no page")
	}
	elements, reason := pageElements(b, nil, nil)
	if reason != "" {
		return w.damaged(id, "a bucket within it: %s", reason)
	}
	for _, e := range elements {
		if e.flags != 0 {
			return w.damaged(id, "a bucket within it holds a bucket")
		}
	}
	return nil
}

// read reads a page with its overflow pages and marks them as seen.
func (w *pageWalk) read(id uint64) ([]byte, error) {
	if id < 2 || id >= w.pages {
		return nil, w.damaged(id, "the file has pages 2 to %d", w.pages-1)
	}
	b := make([]byte, w.pageSize)
	if _, err := w.file.ReadAt(b, int64(id*w.pageSize)); err != nil {
		return nil, err
	}
	overflow := uint64(order.Uint32(b[12:]))
	if order.Uint64(b) != id || id+overflow >= w.pages {
		return nil, w.damaged(id, "says it is page %d with %d more", order.Uint64(b), overflow)
	}
	for p := id; p <= id+overflow; p++ {
		if w.seen[p/64]&(1<<(p%64)) != 0 {
			return nil, w.damaged(p, "is reached twice")
		}
		w.seen[p/64] |= 1 << (p % 64)
	}
	if overflow > 0 {
		b = make([]byte, (1+overflow)*w.pageSize)
		if _, err := w.file.ReadAt(b, int64(id*w.pageSize)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// A pageElement is one entry of a page.
type pageElement struct {
	flags uint32 // of a leaf
	child uint64 // of a branch
	key   []byte
	value []byte
}

// pageElements returns the entries of a page, or what is wrong with them.
func pageElements(b, low, high []byte) (elements []pageElement, reason string) {
	branch := order.Uint16(b[8:]) == branchFlag
	count := int(order.Uint16(b[10:]))
	next := uint64(pageHeader + count*elementSize) // where the data of the next element starts
	elements = make([]pageElement, 0, min(count, len(b)/elementSize))
	for i := range count {
		at := pageHeader + i*elementSize
		if at+elementSize > len(b) {
			return nil, fmt.Sprintf("%d elements do not fit", count)
		}
		head := b[at : at+elementSize]
		var e pageElement
		var pos, ksize, vsize uint64
		if branch {
			pos, ksize = uint64(order.Uint32(head)), uint64(order.Uint32(head[4:]))
			e.child = order.Uint64(head[8:])
		} else {
			e.flags = order.Uint32(head)
			pos, ksize, vsize = uint64(order.Uint32(head[4:])), uint64(order.Uint32(head[8:])), uint64(order.Uint32(head[12:]))
		}
		start := uint64(at) + pos
		if start != next || ksize == 0 || start+ksize+vsize > uint64(len(b)) {
			return nil, fmt.Sprintf("element %d does not fit", i)
		}
		next = start + ksize + vsize
		e.key, e.value = b[start:start+ksize], b[start+ksize:next]
		if i > 0 && string(e.key) <= string(elements[i-1].key) || string(e.key) < string(low) || high != nil && string(e.key) >= string(high) {
			return nil, fmt.Sprintf("key of element %d is out of order", i)
		}
		elements = append(elements, e)
	}
	return elements, ""
}
