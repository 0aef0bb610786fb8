//go:build linux

package faultfs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs"
)

// envReplayed is set in a process that runs TestReplayed.
const envReplayed = "FAULTFS_TEST_REPLAYED"

// TestReplayed fails in its second call.
func TestReplayed(t *testing.T) {
	if os.Getenv(envReplayed) == "" {
		t.Skip("it is a part of TestReplay")
	}
	faultfs.Run(t, faultfs.Test{Work: save{}.five, Verify: verify}, faultfs.Models(faultfs.Ext4))
	faultfs.Run(t, faultfs.Test{Work: save{noFsync: true}.five, Verify: verify}, faultfs.Models(faultfs.Ext4))
}

// A replay shows the state wherever its trace is, and fails if it is of nothing that
// the test does.
func TestReplay(t *testing.T) {
	out := inner(t, envReplayed+"=1", "-test.run=^TestReplayed$")
	match := regexp.MustCompile(`-faultfs.replay='(.*)(:ext4:[^']+)'`).FindStringSubmatch(out)
	require.NotNil(t, match, out)

	kept := filepath.Join(t.TempDir(), filepath.Base(match[1]))
	data, err := os.ReadFile(match[1])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(kept, data, 0o600))
	dir := t.TempDir()
	out = inner(t, envReplayed+"=1", "-test.run=^TestReplayed$", "-faultfs.replay="+kept+match[2], "-faultfs.dir="+dir)
	require.Contains(t, out, "--- FAIL: TestReplayed")
	require.Contains(t, out, "lost:")
	require.NotContains(t, out, "is not of a call")
	require.FileExists(t, filepath.Join(dir, "crashed", "number"))

	other := filepath.Join(t.TempDir(), "TestOther-1-5.trace")
	require.NoError(t, os.WriteFile(other, data, 0o600))
	for trace, want := range map[string]string{
		other:           "is not of a call of Run or Sweep that TestReplayed has made",
		other + ".gone": "no such file",
		kept:            "the test has no model of that name",
	} {
		state := match[2]
		if trace == kept {
			state = ":xfs" + state[len(":ext4"):]
		}
		out = inner(t, envReplayed+"=1", "-test.run=^TestReplayed$", "-faultfs.replay="+trace+state)
		require.Contains(t, out, "--- FAIL: TestReplayed")
		require.Contains(t, out, want)
	}
}
