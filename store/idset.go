package store

import "github.com/tidwall/btree"

// An idSet is a set of ids kept as disjoint, non-adjacent ranges [first, last], so
// that a million ids in a row cost one entry. All operations are O(log ranges).
type idSet struct {
	ranges btree.Map[DeviceID, DeviceID] // first -> last
}

// around returns the range that holds id, if there is one.
func (s *idSet) around(id DeviceID) (first, last DeviceID, ok bool) {
	s.ranges.Descend(id, func(f, l DeviceID) bool {
		first, last, ok = f, l, id <= l
		return false
	})
	return first, last, ok
}

func (s *idSet) has(id DeviceID) bool {
	_, _, ok := s.around(id)
	return ok
}

// add puts [first, last] into s; none of these ids may be in s yet.
func (s *idSet) add(first, last DeviceID) {
	if f, _, ok := s.around(first - 1); ok && first > 0 {
		s.ranges.Delete(f)
		first = f
	}
	if _, l, ok := s.around(last + 1); ok && last+1 > last {
		s.ranges.Delete(last + 1)
		last = l
	}
	s.ranges.Set(first, last)
}

// remove takes id out of s and reports whether it was there.
func (s *idSet) remove(id DeviceID) bool {
	first, last, ok := s.around(id)
	if !ok {
		return false
	}
	s.ranges.Delete(first)
	if first < id {
		s.ranges.Set(first, id-1)
	}
	if id < last {
		s.ranges.Set(id+1, last)
	}
	return true
}

// next returns the lowest member that is not below from.
func (s *idSet) next(from DeviceID) (id DeviceID, ok bool) {
	if _, _, in := s.around(from); in {
		return from, true
	}
	s.ranges.Ascend(from, func(first, _ DeviceID) bool {
		id, ok = first, true
		return false
	})
	return id, ok
}
