package recovery_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/internal/testenv"
	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

// TestOpenOnFullDisk crashes a store with unsettled devices and a damaged value, and
// recovers it on a file system that has no byte left: it opens, tells, and finishes
// once there is space.
func TestOpenOnFullDisk(t *testing.T) {
	testenv.NeedRoot(t)
	mount := testenv.Tmpfs(t, 4<<20)
	dir := filepath.Join(mount, "store")
	mem := backing.NewMemory("pool")
	options := recovery.Options{Tables: []recovery.Table{{
		Name: "pool", DevicesOptions: store.DevicesOptions{Backing: mem},
		Owner: func(context.Context, string) (recovery.Liveness, error) { return recovery.Live, nil },
	}}}
	ctx := context.Background()
	db, _, err := recovery.Open(ctx, dir, options)
	require.NoError(t, err)
	devices, err := db.Devices("pool")
	require.NoError(t, err)
	for i := range 4 {
		_, err = devices.Create(ctx, fmt.Sprint("d", i), store.Spec{Meta: make([]byte, 30<<10)})
		require.NoError(t, err)
	}
	_, err = devices.Prepare(ctx, "prepared", store.Spec{Meta: make([]byte, 30<<10)})
	require.NoError(t, err)
	crashed, err := os.ReadFile(filepath.Join(dir, "data.db"))
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data.db"), crashed, 0o600))

	filler := filepath.Join(mount, "filler")
	f, err := os.Create(filler)
	require.NoError(t, err)
	for chunk := make([]byte, 4096); err == nil; {
		_, err = f.Write(chunk)
	}
	require.NoError(t, f.Close())

	db, report, err := recovery.Open(ctx, dir, options)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() }) // nil, or closed already, unless the test has failed
	require.NotEmpty(t, report.Completed, "%v", report)
	require.NoError(t, os.Remove(filler))
	devices, err = db.Devices("pool")
	require.NoError(t, err)
	dev, err := devices.Get("prepared")
	require.NoError(t, err)
	require.NoError(t, devices.Claim(ctx, dev))
	require.NoError(t, db.Close())

	db, report, err = recovery.Open(ctx, dir, options)
	require.NoError(t, err)
	require.True(t, report.Clean(), "%v", report)
	require.NoError(t, db.Close())
}
