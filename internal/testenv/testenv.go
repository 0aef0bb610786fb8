// Package testenv tells tests what the machine they run on can do, and gives them
// file systems of their own. It is for tests only: internal/arch refuses any
// other importer.
//
// A test that cannot run here skips with its reason, so that the suite is green on
// a laptop without privileges. A machine that must be able to run everything sets
// DRIFTLESS_REQUIRE=all: the same skips then fail, and no test is lost unseen.
package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Require is the environment variable that turns skips into failures when it is "all".
const Require = "DRIFTLESS_REQUIRE"

// Skip ends the test as skipped for want of something in its environment. With
// DRIFTLESS_REQUIRE=all it ends the test as failed.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(Require) == "all" {
		t.Fatalf("%s=all, but the test cannot run here: %s", Require, reason)
	}
	t.Skip(reason)
}

// NeedRoot skips the test, as Skip does, unless the process is the superuser.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Skip(t, "needs root")
	}
}

// SkipAsRoot skips a test about permissions, which the superuser bypasses. It
// never fails, not even with DRIFTLESS_REQUIRE=all: the suite is run as an
// ordinary user too, and that run covers what is skipped here.
func SkipAsRoot(t testing.TB, reason string) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("not as root: " + reason)
	}
}

// NeedTool returns the path of the program called name. It skips the test, as Skip
// does, when there is none in PATH or in the administrator's directories, which
// the PATH of an ordinary user often lacks.
func NeedTool(t testing.TB, name string) string {
	t.Helper()
	candidates := []string{name, filepath.Join("/usr/sbin", name), filepath.Join("/sbin", name)}
	for _, candidate := range candidates {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	Skip(t, "needs the program "+name)
	return ""
}
