package faultfs

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// TB is the part of [testing.TB] that [Run] and [Sweep] use: any *testing.T will
// do, and so will another type in a program that is no test.
type TB interface {
	Name() string                      // tells the tests of one process apart
	Helper()                           // marks the caller as a helper in the log
	Cleanup(f func())                  // calls f at the end of the test
	Log(args ...any)                   // prints
	Logf(format string, args ...any)   // prints
	Errorf(format string, args ...any) // prints, and the test has failed
	Fatal(args ...any)                 // also ends the test, by [runtime.Goexit]
	Fatalf(format string, args ...any) // likewise
	Skipf(format string, args ...any)  // prints, and ends the test as skipped
	SkipNow()                          // ends the test as skipped
}

// A copy of the test binary learns from its environment what it is for: the role,
// and the call of Run or Sweep to play it at, as the test's name and the number of
// the call within that test.
const (
	envRole = "FAULTFS_ROLE"
	envTest = "FAULTFS_TEST"
	envCall = "FAULTFS_CALL"
	envDir  = "FAULTFS_DIR"
	envPast = "FAULTFS_PAST" // file with the reports of the calls before, as JSON
)

// The roles of a process. The empty one is the test process itself.
const (
	roleWork    = "work"    // Setup and Work, recorded
	roleVerify  = "verify"  // Recover and Verify of one state after the other
	roleRecover = "recover" // Recover, recorded
)

// command returns a copy of the test binary that plays role at the call c. Its
// temporary files go to tmp.
func (c call) command(role, dir, tmp string) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the test binary: %w", err)
	}
	args := os.Args[1:]
	if flag.Lookup("test.run") != nil {
		args = append(c.testFlags(), ownFlags(args)...)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), envRole+"="+role, envTest+"="+c.test, envCall+"="+strconv.Itoa(c.number), envDir+"="+dir, "TMPDIR="+tmp)
	if c.past != "" {
		cmd.Env = append(cmd.Env, envPast+"="+c.past)
	}
	return cmd, nil
}

// testFlags selects the one test of c. Those that the test binary itself was given
// are left out: they would write profiles over the parent's, or print.
func (c call) testFlags() []string {
	return []string{"-test.run=" + selector(c.test), "-test.count=1", "-test.timeout=0"}
}

// selector returns the value of go test's -run that selects one test.
func selector(test string) string {
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// ownFlags returns the arguments that are not the testing package's.
func ownFlags(args []string) []string {
	var own []string
	for _, a := range args {
		if !strings.HasPrefix(strings.TrimLeft(a, "-"), "test.") {
			own = append(own, a)
		}
	}
	return own
}

// scratch makes the directory that holds everything of one call, and returns how
// to remove it.
func scratch(base string) (dir string, remove func(), err error) {
	if base == "" {
		base = "/dev/shm"
		if dir, err = os.MkdirTemp(base, "faultfs-"); err != nil {
			base = os.TempDir()
		}
	}
	if dir == "" {
		if dir, err = os.MkdirTemp(base, "faultfs-"); err != nil {
			return "", nil, fmt.Errorf("make a directory for states: %w", err)
		}
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", nil, fmt.Errorf("resolve the directory for states: %w", err)
	}
	return dir, func() { _ = removeAll(dir) }, nil
}

// removeAll removes dir with what a state can hold, directories without
// permissions among it.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
