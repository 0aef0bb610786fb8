package store

import (
	"context"
	"fmt"
)

// bind compares the backing's identity with the table's, or stores it in a new table.
func (d *Devices) bind(ctx context.Context, fresh bool) error {
	id, err := d.opts.Backing.Identity(ctx)
	switch {
	case err != nil && fresh:
		return fmt.Errorf("ask the backing's identity: %w", err)
	case err != nil:
		return nil // the backing is away; d.same asks again
	case id == "" || len(id) > MaxName:
		return fmt.Errorf("identity %.40q of the backing: %w", id, ErrInvalid)
	case d.identity == "" && !fresh:
		if err := d.recognize(ctx); err != nil {
			return err
		}
	case !fresh && id != d.identity:
		return fmt.Errorf("backing %.80q, table made with %.80q: %w", id, d.identity, ErrIdentity)
	case !fresh:
		d.known.Store(true)
		return nil
	}
	d.identity = id
	d.known.Store(true)
	if d.db.opts.ReadOnly {
		return nil
	}
	return d.db.update(ctx, func(tx *Tx) error {
		tx.put(metaBucket, identityPrefix+d.table, []byte(id))
		return nil
	})
}

// recognize returns nil if the backing holds a resource of the table, whose stored
// identity is damaged: no two resources ever bear the same stamp.
func (d *Devices) recognize(ctx context.Context) error {
	tx, err := d.db.beginView()
	if err != nil {
		return err
	}
	defer tx.end()
	for res, err := range d.opts.Backing.List(ctx) {
		if err != nil {
			return fmt.Errorf("list resources: %w", err)
		}
		if rec, err := d.read(tx, res.ID); err == nil && rec.Stamp == res.Stamp && !res.Stamp.IsZero() {
			return nil
		}
	}
	return fmt.Errorf("the stored identity is damaged, and the backing holds nothing of the table: %w", ErrIdentity)
}
