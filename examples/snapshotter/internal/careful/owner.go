package careful

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
)

// An owner is the database of a program that uses devices: it could be any other
// database as well. Each of its transactions is the "owner's transaction" of the
// protocol.
type owner struct{ database }

// live answers, for a device that is not claimed, whether there is a record of it:
// whether the crash fell after the owner's transaction or before.
func (o owner) live(_ context.Context, name string) (recovery.Liveness, error) {
	_, err := o.record(name)
	switch {
	case err == nil:
		return recovery.Live, nil
	case errors.Is(err, snapshot.ErrNotFound):
		return recovery.Gone, nil
	}
	return recovery.Unknown, err
}

func (o owner) record(key string) (record snapshot.Record, err error) {
	err = o.view(func(tx *store.Tx) error {
		record, err = get(tx, key)
		return err
	})
	return record, err
}

func (o owner) put(ctx context.Context, key string, record snapshot.Record) error {
	return o.update(ctx, func(tx *store.Tx) error { return put(tx, key, record) })
}

func (o owner) commit(ctx context.Context, key string) error {
	return o.update(ctx, func(tx *store.Tx) error {
		record, err := get(tx, key)
		if err != nil {
			return err
		}
		record.Kind = snapshot.Committed
		return put(tx, key, record)
	})
}

func (o owner) forget(ctx context.Context, key string) error {
	return o.update(ctx, func(tx *store.Tx) error {
		return tx.Bucket(Bucket).Delete([]byte(key))
	})
}

func get(tx *store.Tx, key string) (record snapshot.Record, err error) {
	value, err := tx.Bucket(Bucket).Get([]byte(key))
	if errors.Is(err, store.ErrNotFound) {
		return record, fmt.Errorf("%q: %w", key, snapshot.ErrNotFound)
	}
	if err != nil {
		return record, err
	}
	return record, json.Unmarshal(value, &record)
}

func put(tx *store.Tx, key string, record snapshot.Record) error {
	value, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return tx.Bucket(Bucket).Put([]byte(key), value)
}
