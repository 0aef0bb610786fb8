package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Prepare makes a device under name: an intent is made durable, the backing creates
// the resource, and the device is the caller's to fill. It is not claimed: once the
// caller's own records are durable, Claim makes it the caller's; until then a crash
// leaves it to the caller's word at start-up (see package recovery).
//
// An unclaimed device that holds the name is replaced. ErrExists: a claimed one
// holds it. ErrNotFound: spec.Parent is not a usable device, or is not claimed.
// ErrExhausted: no id is free, and none was spent. ErrInUse: the unclaimed device
// has children. ErrPending: what became of the resource, now or earlier, cannot be
// told yet; try again later. ErrInvalid: the name is not 1 to MaxName bytes of
// UTF-8 without NUL and slash, or name and spec are over 32 KiB together.
//
// After an error no id is lost. A device that held the name before is still there,
// unless the backing was called: then the name is free, or pending. A ctx that ends
// once the intent is durable leaves it as a crash would; it is settled in the
// background, or by whoever uses the name next.
func (d *Devices) Prepare(ctx context.Context, name string, spec Spec) (Device, error) {
	return d.create(ctx, creation{op: "prepare", name: name, spec: spec})
}

// Create is Prepare and Claim in one, for callers without records of their own. It
// is idempotent: when a claimed device of that name and spec exists, it is returned;
// one of another spec is ErrExists. Other errors are those of Prepare.
func (d *Devices) Create(ctx context.Context, name string, spec Spec) (Device, error) {
	return d.create(ctx, creation{op: "create", name: name, spec: spec, claim: true})
}

// A creation is one call of Prepare or Create on its way.
type creation struct {
	op    string
	name  string
	spec  Spec
	claim bool

	made     Record  // the intent
	found    bool    // made is not new: an earlier Create made it
	replaced *Record // the unclaimed device that gave up the name
	unlockID func()
}

// maxForeign is how many ids in a row may turn out to be held by resources that
// are not ours before creation gives up.
const maxForeign = 16

// errForeign says that the id of an intent is held by a resource of another stamp.
var errForeign = errors.New("the id is held by a resource that is not ours")

func (d *Devices) create(ctx context.Context, c creation) (Device, error) {
	if err := d.checkCreation(c); err != nil {
		return Device{}, &OpError{Op: c.op, Name: c.name, Err: err}
	}
	leave, err := d.enter(ctx, c.op, c.name, 0)
	if err != nil {
		return Device{}, err
	}
	defer leave()
	unlockName, err := d.nameLocks.lock(ctx, c.name)
	if err != nil {
		return Device{}, &OpError{Op: c.op, Name: c.name, Err: err}
	}
	u := &unlocker{unlockName}
	defer u.unlock()
	defer func() {
		if c.unlockID != nil { // something has panicked
			c.unlockID()
		}
	}()
	if err := d.ready(ctx); err != nil {
		return Device{}, &OpError{Op: c.op, Name: c.name, Err: err}
	}
	for range maxForeign {
		if err = d.intend(ctx, &c); err != nil {
			return Device{}, &OpError{Op: c.op, Name: c.name, Err: err}
		}
		if c.found {
			return c.made.Device, nil
		}
		err = d.realize(ctx, &c, u)
		if !errors.Is(err, errForeign) {
			break
		}
		err = &OpError{Op: c.op, Name: c.name, ID: c.made.ID, Err: fmt.Errorf("%w: %w", ErrExists, err)}
	}
	if c.replaced != nil && ctx.Err() == nil {
		// The name is free of it already; what remains is Scrub's to retry.
		_, _ = d.settleID(ctx, c.replaced.ID)
	}
	if err != nil {
		return Device{}, err
	}
	return c.made.Device.clone(), nil
}

func (d *Devices) checkCreation(c creation) error {
	if err := checkName("name", c.name); err != nil {
		return err
	}
	if c.spec.Parent != "" {
		if err := checkName("parent", c.spec.Parent); err != nil {
			return err
		}
	}
	rec := Record{Device: Device{Name: c.name, Labels: c.spec.Labels, Meta: c.spec.Meta}}
	if n := len(rec.encode()); n > maxRecord/2 {
		return fmt.Errorf("record of %d bytes, want at most %d: %w", n, maxRecord/2, ErrInvalid)
	}
	return nil
}

// errDoubt says that nothing may be allocated before Reconcile.
var errDoubt = errors.New("a damaged record leaves in doubt which ids are free")

// intend makes the intent durable. What stands in the way, an unsettled record that
// holds the name or a doubt about free ids, is cleared first, once.
func (d *Devices) intend(ctx context.Context, c *creation) error {
	for cleared := false; ; cleared = true {
		var unsettled *Record
		err := d.db.update(ctx, func(tx *Tx) (err error) {
			unsettled, err = d.writeIntent(tx, c)
			return err
		})
		if err == nil {
			return nil
		}
		if c.unlockID != nil {
			c.unlockID()
			c.unlockID = nil
		}
		switch {
		case cleared:
			return err
		case unsettled != nil:
			_, err = d.settleID(ctx, unsettled.ID)
		case errors.Is(err, errDoubt):
			_, err = d.reconcile(ctx)
		default:
			return err
		}
		if err != nil {
			return err
		}
	}
}

// writeIntent puts the intent into tx, or finds the device there. It returns the
// record that holds the name unsettled, with ErrPending.
func (d *Devices) writeIntent(tx *Tx, c *creation) (unsettled *Record, err error) {
	old, err := d.byName(tx, c.name)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return nil, err
	case old.Phase == Creating:
		return &old, ErrPending
	}
	if d.ids.doubt {
		return nil, errDoubt
	}
	exists := err == nil
	if exists && old.Claimed {
		if c.claim && d.sameSpec(tx, old, c.spec) {
			c.made, c.found = old, true
			return nil, nil
		}
		return nil, fmt.Errorf("held by id %d: %w", old.ID, ErrExists)
	}
	parent, err := d.parent(tx, c.spec.Parent)
	if err != nil {
		return nil, err
	}
	if exists {
		if err := d.putRemoving(tx, old); err != nil {
			return nil, err
		}
		c.replaced = &old
	}
	id, err := d.ids.allocate(tx, func(id DeviceID) (ok bool) {
		c.unlockID, ok = d.idLocks.tryLock(id)
		return ok
	})
	if err != nil {
		return nil, err
	}
	d.ids.addChild(tx, parent, 1)
	c.made = Record{
		Device: Device{
			ID: id, Name: c.name, Parent: parent, Claimed: c.claim,
			Stamp:  d.db.newStamp(),
			Labels: maps.Clone(c.spec.Labels), Meta: slices.Clone(c.spec.Meta),
		},
		State: Taken, Phase: Creating, Since: now(),
	}
	tx.put(d.records, idKey(id), c.made.encode())
	tx.put(d.names, c.name, []byte(idKey(id)))
	return nil, nil
}

// parent returns the reference to the device of that name, which must be usable
// and claimed; the zero one for no name.
func (d *Devices) parent(tx *Tx, name string) (Ref, error) {
	if name == "" {
		return Ref{}, nil
	}
	rec, err := d.byName(tx, name)
	switch {
	case err != nil:
		return Ref{}, fmt.Errorf("parent %q: %w", name, err)
	case rec.Phase == Creating:
		return Ref{}, fmt.Errorf("parent %q: %w", name, ErrPending)
	case !rec.Claimed:
		return Ref{}, fmt.Errorf("parent %q is not claimed: %w", name, ErrNotFound)
	}
	return rec.Ref(), nil
}

// sameSpec tells whether rec was made from spec. The parent may be out of use since.
func (d *Devices) sameSpec(tx *Tx, rec Record, spec Spec) bool {
	parent := ""
	if !rec.Parent.IsZero() {
		p, err := d.read(tx, rec.Parent.ID)
		if err != nil || p.Stamp != rec.Parent.Stamp {
			return false
		}
		parent = p.Name
	}
	return parent == spec.Parent && maps.Equal(rec.Labels, spec.Labels) && slices.Equal(rec.Meta, spec.Meta)
}
