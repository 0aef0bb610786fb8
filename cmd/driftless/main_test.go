package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/backing"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"driftless": main})
}

// The scripts run the built command on stores that the library made.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mkstore": makeStore,
			"mkempty": makeEmpty,
			"hold":    holdStore,
			"damage":  damageStore,
			"status":  requireStatus,
		},
	})
}

// makeStore (mkstore DIR) makes a store with two tables and every kind of id.
func makeStore(ts *testscript.TestScript, _ bool, args []string) {
	ctx := context.Background()
	db, err := store.Open(ctx, ts.MkAbs(args[0]), store.Options{})
	ts.Check(err)
	defer func() { ts.Check(db.Close()) }()
	disks := openTable(ts, db, "disks", store.DevicesOptions{})
	_, err = disks.Create(ctx, "base", store.Spec{Labels: map[string]string{"kind": "image"}, Meta: []byte("meta")})
	ts.Check(err)
	_, err = disks.Create(ctx, "child", store.Spec{Parent: "base"})
	ts.Check(err)
	_, err = disks.Prepare(ctx, "half\x1b[2Jdone", store.Spec{})
	ts.Check(err)
	bad, err := disks.Prepare(ctx, "bad", store.Spec{})
	ts.Check(err)
	ts.Check(disks.MarkFaulty(ctx, bad, "found unreadable"))
	nets := openTable(ts, db, "nets", store.DevicesOptions{FirstID: 100, LastID: 200})
	_, err = nets.Create(ctx, "eth", store.Spec{})
	ts.Check(err)
}

// openTable opens a table over a new directory of the script.
func openTable(ts *testscript.TestScript, db *store.DB, name string, opts store.DevicesOptions) *store.Devices {
	dir, err := backing.OpenDir(ts.MkAbs("backing-" + name))
	ts.Check(err)
	ts.Defer(func() { ts.Check(dir.Close()) })
	opts.Backing = dir
	table, err := db.OpenDevices(context.Background(), name, opts)
	ts.Check(err)
	return table
}

// makeEmpty (mkempty DIR) makes a store that holds nothing.
func makeEmpty(ts *testscript.TestScript, _ bool, args []string) {
	db, err := store.Open(context.Background(), ts.MkAbs(args[0]), store.Options{})
	ts.Check(err)
	ts.Check(db.Close())
}

// holdStore (hold DIR) keeps the store open for writing until the script ends.
func holdStore(ts *testscript.TestScript, _ bool, args []string) {
	db, err := store.Open(context.Background(), ts.MkAbs(args[0]), store.Options{})
	ts.Check(err)
	ts.Defer(func() { ts.Check(db.Close()) })
}

// damageStore (damage DIR TEXT) flips one bit in each place where the database file
// has TEXT: a page that is in use and those it was copied from.
func damageStore(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(filepath.Join(args[0], "data.db"))
	data, err := os.ReadFile(file)
	ts.Check(err)
	intact := []byte(args[1])
	if !bytes.Contains(data, intact) {
		ts.Fatalf("no %q in %s", intact, file)
	}
	flipped := bytes.Clone(intact)
	flipped[0] ^= 1
	ts.Check(os.WriteFile(file, bytes.ReplaceAll(data, intact, flipped), 0o600))
}

// requireStatus (status N PROGRAM ARG...) runs a program and compares its exit
// status; "exec" and "! exec" of the scripts know only zero and other.
func requireStatus(ts *testscript.TestScript, _ bool, args []string) {
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Check(err)
		}
		got = exit.ExitCode()
	}
	if got != atoi(ts, args[0]) {
		ts.Fatalf("exit status %d", got)
	}
}

func atoi(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}

// brokenPipe is a standard output that nobody reads.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestBrokenOutput(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), dir, store.Options{})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	for _, args := range [][]string{{"check", dir}, {"ids", "ls", dir}} {
		var stderr bytes.Buffer
		require.Equal(t, 2, run(t.Context(), args, brokenPipe{}, &stderr), args)
		require.Contains(t, stderr.String(), "broken pipe")
		require.Equal(t, 0, run(t.Context(), args, io.Discard, &stderr), args)
	}
}
