package store

import "github.com/tidwall/btree"

// A layer is a set of changes that lies over the database file: for each bucket an
// ordered map from key to stored value, where a nil value means "not there".
//
// Three kinds are in use: the writes of one transaction, the merged writes of a
// group on its way to the disk, and the undo layer, which hides a group from
// readers until it is durable.
type layer struct {
	buckets map[string]*btree.Map[string, []byte]
	bytes   int // of keys and values put, overwritten ones included
}

func newLayer() *layer { return &layer{buckets: map[string]*btree.Map[string, []byte]{}} }

// get reports what the layer says about a key; ok is false when it says nothing.
func (l *layer) get(bucket, key string) (stored []byte, ok bool) {
	if b := l.buckets[bucket]; b != nil {
		return b.Get(key)
	}
	return nil, false
}

// put makes stored the layer's word on a key; nil deletes it. The slice is kept.
func (l *layer) put(bucket, key string, stored []byte) {
	b := l.buckets[bucket]
	if b == nil {
		b = new(btree.Map[string, []byte])
		l.buckets[bucket] = b
	}
	b.Set(key, stored)
	l.bytes += len(key) + len(stored)
}

// merge puts every change of newer over l.
func (l *layer) merge(newer *layer) {
	for name, b := range newer.buckets {
		b.Scan(func(key string, stored []byte) bool {
			l.put(name, key, stored)
			return true
		})
	}
}

func (l *layer) empty() bool { return len(l.buckets) == 0 }

// snapshot returns a copy of l that later puts do not change. It costs a few words
// for each bucket: the trees are copied on write.
func (l *layer) snapshot() *layer {
	c := &layer{buckets: make(map[string]*btree.Map[string, []byte], len(l.buckets)), bytes: l.bytes}
	for name, b := range l.buckets {
		c.buckets[name] = b.Copy()
	}
	return c
}
