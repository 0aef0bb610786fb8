//go:build linux

package faultfs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/internal/testenv"
)

// Where nothing can be recorded all crash tests skip. One of them has to say so.
func TestSupportedHere(t *testing.T) {
	if err := faultfs.Supported(); err != nil {
		testenv.Skip(t, err.Error())
	}
}

// envInner is set in a test process that is itself recorded, and so cannot record.
const envInner = "FAULTFS_TEST_INNER"

func TestUnsupportedInner(t *testing.T) {
	if os.Getenv(envInner) == "" {
		t.Skip("it is a part of TestUnsupported")
	}
	require.ErrorIs(t, faultfs.Supported(), faultfs.ErrUnsupported)
	faultfs.Run(t, faultfs.Test{Work: save{}.five, Verify: verify})
	t.Error("Run came back")
}

// Without support a test is skipped, and fails where that is not good enough.
func TestUnsupported(t *testing.T) {
	inner := func(want, require string) error {
		cmd := exec.Command(os.Args[0], "-test.run=^TestUnsupportedInner$", "-test.v")
		cmd.Env = append(os.Environ(), envInner+"=1", "FAULTFS_REQUIRE="+require)
		out, _ := cmd.CombinedOutput() // how it ended is in the text
		if text := string(out); !strings.Contains(text, want) || !strings.Contains(text, "not supported") {
			return fmt.Errorf("FAULTFS_REQUIRE=%q: want %q in:\n%s", require, want, text)
		}
		return nil
	}
	faultfs.Run(t, faultfs.Test{
		Work: func(w *faultfs.W) error {
			if err := inner("--- SKIP: TestUnsupportedInner", ""); err != nil {
				return err
			}
			if err := inner("--- FAIL: TestUnsupportedInner", "all"); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(w.Dir(), "done"), nil, 0o600)
		},
		Verify: func(*faultfs.State) error { return nil },
	}, faultfs.Models(faultfs.Ext4))
}
