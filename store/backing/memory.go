package backing

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/driftlesskv/driftless/store"
)

// A Memory is a backing for tests: it keeps resources in memory, where they outlive
// every store that is opened on them, and does to each call what a Script says. It
// watches its caller too: Violations tells which rules of store.Backing were broken.
// Its methods may be called from several goroutines at once.
type Memory struct {
	identity string

	mu         sync.Mutex
	script     Script
	calls      int
	resources  map[store.DeviceID]*memoryResource
	active     map[store.DeviceID]Op
	intents    map[store.Stamp]store.DeviceID
	violations []string
	collisions int
}

type memoryResource struct {
	store.Resource
	content []byte
}

var _ store.Backing = (*Memory)(nil)

// NewMemory returns an empty backing of this identity.
func NewMemory(identity string) *Memory {
	return &Memory{
		identity:  identity,
		resources: map[store.DeviceID]*memoryResource{},
		active:    map[store.DeviceID]Op{},
		intents:   map[store.Stamp]store.DeviceID{},
	}
}

// Script sets the script for all later calls; nil lets every call through.
func (m *Memory) Script(s Script) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.script = s
}

// enter numbers a call, watches it and asks the script about it. leave ends it.
func (m *Memory) enter(ctx context.Context, c Call) (v Verdict, leave func(), err error) {
	m.mu.Lock()
	m.calls++
	c.N = m.calls
	script := m.script
	watched := c.ID != 0
	if other, busy := m.active[c.ID]; watched && busy {
		m.violate("%s of id %v while its %s runs", c.Op, c.ID, other)
		watched = false // the first call clears the mark
	}
	if watched {
		m.active[c.ID] = c.Op
	}
	m.mu.Unlock()
	leave = func() {
		if watched {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.active, c.ID)
		}
	}
	if script != nil {
		v = script(ctx, c)
	}
	return v, leave, v.wait(ctx)
}

// violate records a broken rule. The caller holds m.mu.
func (m *Memory) violate(format string, args ...any) {
	m.violations = append(m.violations, fmt.Sprintf(format, args...))
}

// Identity returns the identity that the backing was made with.
func (m *Memory) Identity(ctx context.Context) (string, error) {
	v, leave, err := m.enter(ctx, Call{Op: OpIdentity})
	defer leave()
	if err == nil {
		err = v.end()
	}
	if err != nil {
		return "", err
	}
	return m.identity, nil
}

// Create makes a resource, with the content of its parent where it has one.
func (m *Memory) Create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	v, leave, err := m.enter(ctx, Call{Op: OpCreate, ID: dev.ID, Device: dev})
	defer leave()
	if err == nil && v.Effect != Nothing {
		err = m.create(dev, v.Effect)
	}
	if err == nil {
		err = v.end()
	}
	if err != nil {
		return nil, err
	}
	return store.Attrs{"memory": dev.ID.String()}, nil
}

func (m *Memory) create(dev store.Device, effect Effect) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := checkRef(dev.Ref()); err != nil {
		m.violate("create of id %v under stamp %v", dev.ID, dev.Stamp)
		return err
	}
	if id, ok := m.intents[dev.Stamp]; ok && id != dev.ID {
		m.violate("create of id %v under stamp %v, which id %v has borne", dev.ID, dev.Stamp, id)
	}
	m.intents[dev.Stamp] = dev.ID
	res, ok := m.resources[dev.ID]
	if ok && !res.of(dev) {
		m.collisions++
		return fmt.Errorf("create id %v, held under stamp %v: %w", dev.ID, res.Stamp, store.ErrExists)
	}
	if ok && res.Presence == store.Present {
		return nil
	}
	content, err := m.inherit(dev)
	if err != nil {
		return fmt.Errorf("create id %v: %w", dev.ID, err)
	}
	presence := store.Present
	if effect == Half {
		presence = store.Partial
	}
	m.resources[dev.ID] = &memoryResource{
		store.Resource{
			ID: dev.ID, Stamp: dev.Stamp, Presence: presence,
			Name: dev.Name, Parent: dev.Parent, Labels: maps.Clone(dev.Labels),
		}, content,
	}
	return nil
}

// inherit returns a copy of the content of dev's parent.
func (m *Memory) inherit(dev store.Device) ([]byte, error) {
	if dev.Parent.IsZero() {
		return nil, nil
	}
	parent, ok := m.resources[dev.Parent.ID]
	switch {
	case !ok || parent.Presence != store.Present:
		return nil, fmt.Errorf("parent %v: %w", dev.Parent.ID, store.ErrNotFound)
	case parent.Stamp != dev.Parent.Stamp:
		return nil, fmt.Errorf("parent %v: %w", dev.Parent.ID, store.ErrStale)
	}
	return slices.Clone(parent.content), nil
}

// Remove removes a resource.
func (m *Memory) Remove(ctx context.Context, dev store.Device) error {
	v, leave, err := m.enter(ctx, Call{Op: OpRemove, ID: dev.ID, Device: dev})
	defer leave()
	if err == nil && v.Effect != Nothing {
		err = m.remove(dev, v.Effect)
	}
	if err == nil {
		err = v.end()
	}
	return err
}

func (m *Memory) remove(dev store.Device, effect Effect) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := checkRef(dev.Ref()); err != nil {
		m.violate("remove of id %v under stamp %v", dev.ID, dev.Stamp)
		return err
	}
	res, ok := m.resources[dev.ID]
	switch {
	case !ok:
		return nil
	case !res.of(dev):
		return fmt.Errorf("remove id %v, held under stamp %v: %w", dev.ID, res.Stamp, store.ErrStale)
	case effect == Half:
		res.Presence = store.Partial
	default:
		delete(m.resources, dev.ID)
	}
	return nil
}

// of tells whether the resource is the one of dev. A partial one without a stamp
// belongs to whoever has the id.
func (r *memoryResource) of(dev store.Device) bool {
	return r.Stamp == dev.Stamp || r.Presence == store.Partial && r.Stamp.IsZero()
}
