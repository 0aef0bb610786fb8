//go:build amd64 || arm64

package record

import (
	"bytes"
	"os"
	"sync"
)

// What the supervisor does for a process it does with its own rights, and what it
// makes belongs to its own user. Of a process with others that has to be said. It is
// looked up once for each process and program: one that changes later on and goes on
// without an exec is not noticed.

// ownCredentials are those of this process.
var ownCredentials = sync.OnceValue(func() [2]string {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return [2]string{}
	}
	return credentials(status)
})

// otherCredentials reports whether the process with this /proc/PID/status runs as
// another user or group than this one.
func otherCredentials(status []byte) bool {
	own := ownCredentials()
	return own[0] != "" && credentials(status) != own
}

// credentials returns the effective and the file system ID of the user, and those of
// the group.
func credentials(status []byte) (ids [2]string) {
	for i, name := range []string{"\nUid:", "\nGid:"} {
		_, rest, _ := bytes.Cut(status, []byte(name))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		if f := bytes.Fields(line); len(f) == 4 { // real, effective, saved, file system
			ids[i] = string(f[1]) + " " + string(f[3])
		}
	}
	return ids
}
