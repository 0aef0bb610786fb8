package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
	"github.com/driftlesskv/driftless/store/storetest"
)

// A test of a driver: here of backing.Dir, with what every directory can offer.
func ExampleBacking() {
	test := func(t *testing.T) {
		storetest.Backing(t, func(t testing.TB) storetest.Harness {
			dir := t.TempDir()
			return storetest.Harness{
				Open: func() (store.Backing, error) { return backing.OpenDir(dir) },
				In: func(dir string) storetest.Harness {
					return storetest.Harness{Open: func() (store.Backing, error) { return backing.OpenDir(dir) }}
				},
			}
		})
	}
	_ = test // go test runs it as TestConformance(t *testing.T)
}

// forgetful finishes nothing: its Remove says that it has, and has not.
type forgetful struct{ *backing.Memory }

func (forgetful) Remove(context.Context, store.Device) error { return nil }

func ExampleVerify() {
	_, err := storetest.Verify(context.Background(), func() (storetest.Harness, error) {
		pool := forgetful{backing.NewMemory("pool")}
		return storetest.Harness{Open: func() (store.Backing, error) { return pool, nil }}, nil
	})
	var broken *storetest.RuleError
	if errors.As(err, &broken) {
		fmt.Println(broken)
	}
	// Output: rule identity-unique: two backings have the identity "pool"
}
