package store

import (
	"bytes"

	"github.com/tidwall/btree"
	bolt "go.etcd.io/bbolt"
)

// A source is one sorted part of a bucket. Each move returns whether it arrived
// on a key; key and stored are valid until the next move.
type source interface {
	first() bool
	last() bool
	next() bool
	prev() bool
	seek(key string) bool // to the first key >= key
	key() string
	stored() []byte
}

type layerSource struct {
	btree.MapIter[string, []byte]
}

func (s *layerSource) first() bool          { return s.First() }
func (s *layerSource) last() bool           { return s.Last() }
func (s *layerSource) next() bool           { return s.Next() }
func (s *layerSource) prev() bool           { return s.Prev() }
func (s *layerSource) seek(key string) bool { return s.Seek(key) }
func (s *layerSource) key() string          { return s.Key() }
func (s *layerSource) stored() []byte       { return s.Value() }

type fileSource struct {
	c *bolt.Cursor
	k string
	v []byte
}

// at copies what the cursor stands on: the file is mapped, and a page that cannot be
// read must fault here, within guard.
func (s *fileSource) at(k, v []byte) bool {
	s.k, s.v = string(k), bytes.Clone(v)
	return k != nil
}

func (s *fileSource) first() bool          { return s.at(s.c.First()) }
func (s *fileSource) last() bool           { return s.at(s.c.Last()) }
func (s *fileSource) next() bool           { return s.at(s.c.Next()) }
func (s *fileSource) prev() bool           { return s.at(s.c.Prev()) }
func (s *fileSource) seek(key string) bool { return s.at(s.c.Seek([]byte(key))) }
func (s *fileSource) key() string          { return s.k }
func (s *fileSource) stored() []byte       { return s.v }

// A mergeCursor walks the union of its sources in key order. Where several hold a
// key the newest, which stands first, decides; a nil value there hides the key.
type mergeCursor struct {
	sources []source
	on      []bool // whether sources[i] stands on a key
	forward bool   // the sources stand at or after cur, else at or before it
	cur     int    // the source that decides the current key; -1: on no key
	err     error  // of a damaged page; ends the walk
}

// cursor returns a cursor over one bucket as it is now: a later Put of the same
// transaction does not show.
func (r *reader) cursor(bucket string) *mergeCursor {
	c := &mergeCursor{cur: -1}
	for _, l := range r.layers {
		if b := l.buckets[bucket]; b != nil {
			c.sources = append(c.sources, &layerSource{b.Iter()})
		}
	}
	c.err = guard(func() error {
		if b := r.file.Bucket([]byte(bucket)); b != nil {
			c.sources = append(c.sources, &fileSource{c: b.Cursor()})
		}
		return nil
	})
	c.on = make([]bool, len(c.sources))
	return c
}

func (c *mergeCursor) first() bool { return c.start(true, source.first) }
func (c *mergeCursor) last() bool  { return c.start(false, source.last) }

func (c *mergeCursor) seek(key string) bool {
	return c.start(true, func(s source) bool { return s.seek(key) })
}

func (c *mergeCursor) next() bool { return c.step(true) }
func (c *mergeCursor) prev() bool { return c.step(false) }

// start places every source by move and settles on the first key in that direction.
func (c *mergeCursor) start(forward bool, move func(source) bool) bool {
	return c.walk(func() {
		c.forward = forward
		for i, s := range c.sources {
			c.on[i] = move(s)
		}
	})
}

// step leaves the current key. Sources that stand on it move; when the direction
// turns, all of them are placed anew beside it.
func (c *mergeCursor) step(forward bool) bool {
	if c.cur < 0 {
		return false
	}
	return c.walk(func() {
		key := c.sources[c.cur].key()
		for i, s := range c.sources {
			switch {
			case c.forward != forward:
				c.on[i] = beside(s, key, forward)
			case c.on[i] && s.key() == key:
				c.on[i] = move(s, forward)
			}
		}
		c.forward = forward
	})
}

// walk runs place, then skips deleted keys until the cursor stands on a live one.
func (c *mergeCursor) walk(place func()) bool {
	if c.err != nil {
		return false
	}
	c.err = guard(func() error {
		place()
		for c.pick(); c.cur >= 0 && c.sources[c.cur].stored() == nil; c.pick() {
			key := c.sources[c.cur].key()
			for i, s := range c.sources {
				if c.on[i] && s.key() == key {
					c.on[i] = move(s, c.forward)
				}
			}
		}
		return nil
	})
	if c.err != nil {
		c.cur = -1
	}
	return c.cur >= 0
}

// pick makes cur the newest of the sources that stand on the nearest key.
func (c *mergeCursor) pick() {
	c.cur = -1
	for i, s := range c.sources {
		if !c.on[i] {
			continue
		}
		if c.cur < 0 || (s.key() != c.key() && (s.key() < c.key()) == c.forward) {
			c.cur = i
		}
	}
}

func (c *mergeCursor) key() string    { return c.sources[c.cur].key() }
func (c *mergeCursor) stored() []byte { return c.sources[c.cur].stored() }

func move(s source, forward bool) bool {
	if forward {
		return s.next()
	}
	return s.prev()
}

// beside places s on its nearest key beyond key in the given direction.
func beside(s source, key string, forward bool) bool {
	switch found := s.seek(key); {
	case !found && forward:
		return false
	case !found:
		return s.last()
	case forward:
		return s.key() != key || s.next()
	default:
		return s.prev()
	}
}
