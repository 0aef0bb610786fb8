package backing

import (
	"maps"
	"slices"
)

// Clone returns a backing of the same identity with a copy of every resource and
// its content: what a crash at this moment would leave. The script, the counts and
// the violations stay behind.
func (m *Memory) Clone() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMemory(m.identity)
	for id, res := range m.resources {
		found := res.Resource
		found.Labels = maps.Clone(found.Labels)
		c.resources[id] = &memoryResource{found, slices.Clone(res.content)}
	}
	maps.Copy(c.intents, m.intents)
	return c
}
