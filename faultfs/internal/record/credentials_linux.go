//go:build amd64 || arm64

package record

import (
	"bytes"
	"os"
	"sync"
)

// What the supervisor does for a process it does with its own rights, and what it
// makes belongs to its own user. Of a thread with others that has to be said.

// ownCredentials are those of this process.
var ownCredentials = sync.OnceValue(func() [4]string {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return [4]string{}
	}
	return credentials(status)
})

// otherCredentials reports whether the thread with this /proc/TID/status runs as
// another user or group than this process, or with other capabilities.
func otherCredentials(status []byte) bool {
	own := ownCredentials()
	return own[0] != "" && credentials(status) != own
}

// credentials returns the effective and the file system ID of the user, those of the
// group, the other groups and the effective capabilities.
func credentials(status []byte) (c [4]string) {
	for i, name := range []string{"\nUid:", "\nGid:", "\nGroups:", "\nCapEff:"} {
		_, rest, _ := bytes.Cut(status, []byte(name))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		c[i] = string(line)
		if f := bytes.Fields(line); i < 2 && len(f) == 4 { // real, effective, saved, file system
			c[i] = string(f[1]) + " " + string(f[3])
		}
	}
	return c
}
