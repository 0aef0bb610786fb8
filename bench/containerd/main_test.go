package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/plugins/snapshots/devmapper"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/driftlesskv/driftless/bench/internal/cost"
)

func TestMain(m *testing.M) {
	cost.Child(context.Background(), subjects)
	os.Exit(m.Run())
}

// dmsetup stands in for the program of that name: it says yes to everything.
const dmsetup = `#!/bin/sh
case $1 in
version) echo "Library version: 1.02.185";;
info) echo "pool dm-0 L--w 252 0 0 1 0";;
esac
`

// TestCreateIsContainerds runs containerd's PoolDevice, with device-mapper replaced,
// and create side by side: the databases must be the same, after as many transactions.
func TestCreateIsContainerds(t *testing.T) {
	const devices = 5
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "dmsetup"), []byte(dmsetup), 0o700))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))

	theirs := t.TempDir()
	pool, err := devmapper.NewPoolDevice(t.Context(), &devmapper.Config{RootPath: theirs, PoolName: "pool"})
	require.NoError(t, err)
	ours := t.TempDir()
	instance, err := open(t.Context(), ours)
	require.NoError(t, err)
	for i := range devices {
		name := fmt.Sprintf("pool-snap-%d", i)
		require.NoError(t, pool.CreateThinDevice(t.Context(), name, deviceSize))
		require.NoError(t, instance.Create(t.Context(), name))
	}
	require.NoError(t, pool.Close())
	require.NoError(t, instance.Close())

	content, transactions := dump(t, filepath.Join(theirs, poolFile))
	require.Len(t, content, 2*devices, "one entry for each device, one for each id")
	again, count := dump(t, filepath.Join(ours, poolFile))
	require.Equal(t, content, again)
	require.Equal(t, transactions, count)
}

// dump returns what a database holds and the number of its last transaction.
func dump(t *testing.T, path string) (content []string, transaction int) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	require.NoError(t, err)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		transaction = tx.ID()
		return tx.ForEach(func(bucket []byte, b *bolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				content = append(content, fmt.Sprintf("%s/%s=%q", bucket, k, v))
				return nil
			})
		})
	}))
	require.NoError(t, db.Close())
	return content, transaction
}
