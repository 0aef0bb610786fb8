//go:build linux

package recovery_test

import (
	"errors"
	"flag"
	"io/fs"
	"testing"
	"time"

	"github.com/driftlesskv/driftless/faultfs"
)

// cutStates is how many states TestPowerCutChurn verifies under each model:
//
//	go test ./recovery -run '^TestPowerCutChurn$' -v -timeout 4h -args -powercut.states=1000000
var cutStates = flag.Int("powercut.states", 400, "states that the churn is verified in, under each model")

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// shortScript has every operation in it.
const shortScript = `
	prepare(own-a) fill(own-a) get(own-a) record(own-a) claim(own-a)
	create(lone-b:own-a) list(lone-b)
	prepare(tx-c) commit(tx-c) uncommit(tx-c) settle(tx-c) remove(tx-c)
	prepare(own-d) giveup(own-d) reclaim(own-d)
	remove(lone-b) unclaim(own-a) forget(own-a) remove(own-a)`

// Every state that a power cut can leave of a churn with operations of all kinds,
// metadata and resources in one trace.
func TestPowerCutExhaustive(t *testing.T) {
	report := faultfs.Run(t, cutTest(steps(shortScript)),
		faultfs.Models(faultfs.Posix4K, faultfs.Ext4), faultfs.Exhaustive(), faultfs.Budget(time.Minute))
	for _, m := range report.Models {
		if !m.Exhaustive || m.Found > 0 {
			t.Errorf("%v", m)
		}
	}
}

// longScript has 32 operations, a restart in the middle, names that come again and
// ids that are used again.
const longScript = `
	prepare(own-a) fill(own-a) record(own-a) claim(own-a)
	prepare(own-b:own-a) prepare(own-b:own-a) record(own-b) claim(own-b)
	create(lone-c:own-b) fill(lone-c) create(lone-e)
	restart()
	prepare(tx-d:lone-c) commit(tx-d) remove(lone-e) create(lone-e:lone-base)
	giveup(lone-e) create(lone-f) get(lone-f) list(tx-d) scrub()
	uncommit(tx-d) remove(tx-d) prepare(tx-d) fill(tx-d) commit(tx-d)
	remove(lone-c) unclaim(own-b) forget(own-b) remove(own-b)
	settle(own-a) unclaim(own-a) forget(own-a) remove(own-a)`

// A longer churn, with recovery cut off as well, and again.
func TestPowerCutChurn(t *testing.T) {
	faultfs.Run(t, cutTest(steps(longScript)), faultfs.Models(faultfs.PosixWeak, faultfs.Ext4),
		faultfs.States(*cutStates), faultfs.Nested(2), faultfs.Budget(cutBudget()))
}

// cutBudget is enough time for the states asked for.
func cutBudget() time.Duration {
	return max(30*time.Second, time.Duration(*cutStates)*20*time.Millisecond)
}

// concurrentScripts are played at once on one table.
var concurrentScripts = []string{
	`prepare(own-a) fill(own-a) record(own-a) claim(own-a) create(lone-a:own-a) remove(lone-a) unclaim(own-a) forget(own-a) remove(own-a)`,
	`create(lone-b:lone-base) fill(lone-b) create(lone-bb:lone-b) remove(lone-bb) remove(lone-b)`,
	`prepare(tx-c:lone-base) commit(tx-c) get(tx-c) list(tx-c) uncommit(tx-c) remove(tx-c) prepare(tx-c) commit(tx-c)`,
	`prepare(own-d) giveup(own-d) reclaim(own-d) create(lone-d:lone-base) fill(lone-d) scrub() create(lone-dd:lone-d) remove(lone-dd) remove(lone-d)`,
}

// Several goroutines on one table share commits and run the backing at once.
func TestPowerCutConcurrent(t *testing.T) {
	var scripts [][]cutStep
	for _, s := range concurrentScripts {
		scripts = append(scripts, steps(s))
	}
	faultfs.Run(t, cutTest(scripts...), faultfs.Models(faultfs.PosixWeak),
		faultfs.States(*cutStates), faultfs.Nested(2), faultfs.Budget(cutBudget()))
}
