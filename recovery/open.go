package recovery

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/driftlesskv/driftless/store"
)

// Options of Open.
type Options struct {
	Store  store.Options
	Tables []Table // the device tables to open and settle
}

// A Table is one device table and who decides about its devices.
type Table struct {
	Name string
	store.DevicesOptions
	// Owner, if not nil, is asked about every device. For one that is not claimed,
	// which is what a crash between the caller's transaction and Claim or Remove
	// leaves, the answer decides; for a claimed one Gone is only reported.
	Owner Owner
}

// An Owner says whether the caller's own records have a device of that name. It may
// be called from several goroutines. An error counts as Unknown.
type Owner func(ctx context.Context, name string) (Liveness, error)

// Liveness is an Owner's answer. The zero value is Unknown.
type Liveness uint8

const (
	Unknown Liveness = iota // cannot tell now: the device is kept and reported
	Live                    // the caller has it: it is claimed
	Gone                    // the caller does not have it: it is removed, unless claimed
)

// Open opens the store in dir, quarantines damaged values, opens the device tables
// and settles what a crash left of them: creations are completed or taken back,
// removals finished, unclaimed devices given to their owner's decision, and the
// backing's list is compared with the table. The tables are then at hand through
// store.DB.Devices.
//
// One device, a backing that is away, or a full disk never makes Open fail: that is
// in the report. Open fails as store.Open and store.DB.OpenDevices do, when a write
// fails, and when ctx ends; the store is then closed. A store opened
// read-only is reported on as far as reading goes, and nothing is changed.
func Open(ctx context.Context, dir string, opts Options) (*store.DB, *Report, error) {
	db, err := store.Open(ctx, dir, opts.Store)
	if err != nil {
		return nil, nil, err
	}
	report, err := settleAll(ctx, db, opts)
	if err != nil {
		return nil, nil, fmt.Errorf("recover %s: %w", dir, errors.Join(err, db.Close()))
	}
	return db, report, nil
}

func settleAll(ctx context.Context, db *store.DB, opts Options) (*Report, error) {
	report := &Report{}
	if !opts.Store.ReadOnly {
		moved, err := db.Quarantine(ctx)
		if err != nil && !errors.Is(err, store.ErrNoSpace) {
			return nil, err
		}
		for _, bad := range moved {
			report.Quarantined = append(report.Quarantined, bad.Error())
		}
	}
	for _, table := range opts.Tables {
		d, err := db.OpenDevices(ctx, table.Name, table.DevicesOptions)
		if err != nil {
			return nil, err
		}
		r := &run{devices: d, table: table.Name, owner: table.Owner, report: report}
		if opts.Store.ReadOnly {
			err = r.observe()
		} else {
			err = r.open(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
	report.sort()
	return report, nil
}

// Scrub settles what is left over in the given tables: operations that were cut
// off or met a busy resource are retried, faulty ids whose resource is absent are
// released, those whose resource bears our stamp and is not claimed are removed,
// and the backing's list is compared with the table. It runs beside other
// operations, and may be run on a timer. It fails when ctx ends and on a store that is
// closed, has failed or is read-only; the report then tells what was done before.
func Scrub(ctx context.Context, tables ...*store.Devices) (*Report, error) {
	report := &Report{}
	for _, d := range tables {
		r := &run{devices: d, table: d.Table(), report: report}
		if err := r.scrub(ctx); err != nil {
			return report, fmt.Errorf("scrub table %q: %w", d.Table(), err)
		}
	}
	report.sort()
	return report, nil
}

// A run is the settling of one table.
type run struct {
	devices *store.Devices
	table   string
	owner   Owner

	mu     sync.Mutex
	report *Report
}

// workers is how many devices are settled at once: backings wait for disks and
// helper processes more than for processors.
const workers = 8

// errLeft is the end of a run whose owner's function did not return.
var errLeft = errors.New("the owner's function has left its goroutine")

// each calls f for every record that want accepts, several at once, and returns
// the first error that ends the run. The records are read before f runs.
func (r *run) each(ctx context.Context, want func(store.Record) bool, f func(context.Context, store.Record) error) error {
	var todo []store.Record
	for rec, err := range r.devices.Records() {
		switch {
		case errors.Is(err, store.ErrCorrupt): // observe reports it
		case err != nil:
			return err
		case want(rec):
			todo = append(todo, rec)
		}
	}
	outer := ctx
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	queue := make(chan store.Record)
	var crew sync.WaitGroup
	for range min(workers, len(todo)) {
		crew.Add(1)
		go func() {
			defer crew.Done()
			left := true // until the loop ends: f may leave by runtime.Goexit
			defer func() {
				if left {
					stop(errLeft)
				}
			}()
			for rec := range queue {
				if err := f(ctx, rec); err != nil {
					stop(err)
				}
			}
			left = false
		}()
	}
	for _, rec := range todo {
		select {
		case queue <- rec:
		case <-ctx.Done():
		}
	}
	close(queue)
	crew.Wait()
	if err := outer.Err(); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return context.Cause(ctx)
}

func (r *run) add(list *[]Finding, f Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = append(*list, f)
}
