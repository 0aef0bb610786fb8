//go:build linux

package atomicfile_test

import (
	"os"
	"testing"
)

// childEnv names what a re-executed test binary does instead of testing: umask and
// the order of system calls belong to a whole process.
const childEnv = "ATOMICFILE_TEST_CHILD"

// children are the bodies, by name. Each returns the exit status.
var children = map[string]func(args []string) int{}

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		os.Exit(children[name](os.Args[1:]))
	}
	os.Exit(m.Run())
}
