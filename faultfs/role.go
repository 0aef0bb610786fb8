package faultfs

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
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
	Failed() bool                      // whether the test has failed
}

// needTB panics if there is no test.
func needTB(t TB) {
	if t == nil {
		panic("faultfs: Run and Sweep need a test, such as a *testing.T, not nil")
	}
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

// self is what this process was started for. The environment is cleared of it, so
// that the processes that this one starts do not take it for theirs, and so is the
// set of descriptors that they inherit.
var self = takeRole()

// role is what a copy of the test binary was started for. The zero role is that of
// the test process itself.
type role struct {
	name, test, dir, past string
	call                  int
}

func takeRole() role {
	r := role{name: os.Getenv(envRole), test: os.Getenv(envTest), dir: os.Getenv(envDir), past: os.Getenv(envPast)}
	if r.name == "" {
		return role{}
	}
	r.call, _ = strconv.Atoi(os.Getenv(envCall)) // no call has the number 0
	for _, name := range []string{envRole, envTest, envDir, envPast, envCall} {
		_ = os.Unsetenv(name) // it fails only for names that no variable can have
	}
	closeOnExec(controlFD, answerFD, lifeFD)
	return r
}

// command returns a copy of the test binary that plays role at the call c. Its
// temporary files go to tmp. A data race ends it: a report alone would be read by
// nobody.
func (c call) command(role, dir, tmp string) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the test binary: %w", err)
	}
	args := os.Args[1:]
	if isTest() {
		if strings.HasPrefix(c.test, "Benchmark") {
			return nil, errors.New("copies of the test binary run no benchmarks: call Run and Sweep in a test")
		}
		args = append(c.flags(), passedOn(args)...)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), envRole+"="+role, envTest+"="+c.test, envCall+"="+strconv.Itoa(c.number), envDir+"="+dir,
		envPast+"="+c.past, "TMPDIR="+tmp, "GORACE="+os.Getenv("GORACE")+" halt_on_error=1 atexit_sleep_ms=0")
	return cmd, nil
}

// isTest reports whether this is a test binary.
func isTest() bool { return flag.Lookup("test.run") != nil }

// flags selects the one test of c. An exit with status 0 is to end it by a panic, as
// under go test: it is not how a function of a test ends well.
func (c call) flags() []string {
	return []string{"-test.run=" + selector(c.test), "-test.count=1", "-test.timeout=0", "-test.paniconexit0"}
}

// passedOn returns the command line args without the flags of faultfs and, but for
// -test.short, of the testing package: those would write profiles over the parent's,
// or print.
func passedOn(args []string) []string {
	var kept []string
	for len(args) > 0 {
		arg := args[0]
		if len(arg) < 2 || arg[0] != '-' || arg == "--" {
			break // here the flags end
		}
		name, _, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		n := 1
		if !hasValue && !isSwitch(name) {
			n = min(2, len(args))
		}
		if name == "test.short" || !strings.HasPrefix(name, "test.") && !strings.HasPrefix(name, "faultfs.") {
			kept = append(kept, args[:n]...)
		}
		args = args[n:]
	}
	return append(kept, args...)
}

// isSwitch reports whether the flag called name does without a value.
func isSwitch(name string) bool {
	f := flag.Lookup(name)
	if f == nil {
		return true
	}
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// selector returns the value of go test's -run that selects one test.
func selector(test string) string {
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}
