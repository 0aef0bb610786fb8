package backing

import (
	"context"
	"iter"

	"github.com/driftlesskv/driftless/store"
)

// Probe tells what is under id.
func (m *Memory) Probe(ctx context.Context, id store.DeviceID) (store.Presence, store.Stamp, error) {
	v, leave, err := m.enter(ctx, Call{Op: OpProbe, ID: id})
	defer leave()
	if err == nil {
		err = v.Err
	}
	if err != nil || v.Effect != Whole {
		return store.Unknown, store.Stamp{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if id == 0 {
		m.violate("probe of id 0")
		return store.Unknown, store.Stamp{}, store.ErrInvalid
	}
	if res, ok := m.resources[id]; ok {
		return res.Presence, res.Stamp, nil
	}
	return store.Absent, store.Stamp{}, nil
}

// List yields the resources by id.
func (m *Memory) List(ctx context.Context) iter.Seq2[store.Resource, error] {
	return func(yield func(store.Resource, error) bool) {
		v, leave, err := m.enter(ctx, Call{Op: OpList})
		defer leave()
		if err != nil {
			yield(store.Resource{}, err)
			return
		}
		for _, res := range m.visible(v.Effect) {
			if err := ctx.Err(); err != nil {
				yield(store.Resource{}, err)
				return
			}
			if !yield(res, nil) {
				return
			}
		}
		if err := v.end(); err != nil {
			yield(store.Resource{}, err)
		}
	}
}

// visible returns what a listing of this effect yields.
func (m *Memory) visible(effect Effect) []store.Resource {
	all := m.Resources()
	switch effect {
	case Half:
		return all[:len(all)/2]
	case Nothing:
		return nil
	case Whole:
	}
	return all
}
