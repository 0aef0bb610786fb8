package backing

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/driftlesskv/driftless/store"
)

// Plant puts a resource there that no call has created, in the place of any that has
// its id: a foreign one, or one left by a crash.
func (m *Memory) Plant(res store.Resource) {
	m.mu.Lock()
	defer m.mu.Unlock()
	res.Labels = maps.Clone(res.Labels)
	m.resources[res.ID] = &memoryResource{Resource: res}
}

// Drop takes a resource away behind everybody's back.
func (m *Memory) Drop(id store.DeviceID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.resources, id)
}

// Resources returns what is there, by id. No script is asked.
func (m *Memory) Resources() []store.Resource {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]store.Resource, 0, len(m.resources))
	for _, res := range m.resources {
		found := res.Resource
		found.Labels = maps.Clone(found.Labels)
		all = append(all, found)
	}
	slices.SortFunc(all, func(a, b store.Resource) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Write sets the content of a resource, as its owner would. It returns
// store.ErrNotFound when there is none.
func (m *Memory) Write(id store.DeviceID, content []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	res, ok := m.resources[id]
	if !ok {
		return fmt.Errorf("write content of id %v: %w", id, store.ErrNotFound)
	}
	res.content = slices.Clone(content)
	return nil
}

// Read returns the content of a resource, or store.ErrNotFound.
func (m *Memory) Read(id store.DeviceID) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	res, ok := m.resources[id]
	if !ok {
		return nil, fmt.Errorf("read content of id %v: %w", id, store.ErrNotFound)
	}
	return slices.Clone(res.content), nil
}

// Calls returns how many calls there were.
func (m *Memory) Calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// Collisions returns how many Creates met their id under another stamp. While
// nothing foreign was planted it stays 0: a free id has no resource. Keeps (3).
func (m *Memory) Collisions() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.collisions
}

// Violations returns the rules that callers broke, in words: two calls at once for
// one id, one stamp for two ids, an id of 0, a zero stamp.
func (m *Memory) Violations() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.violations)
}
