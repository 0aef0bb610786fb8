//go:build linux && (amd64 || arm64)

package record_test

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/internal/testenv"
)

var partAlien = part("alien", func(dir string) error {
	cmd := exec.Command("/bin/sh", "-c", "echo x >f; echo y >>f")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}}
	return first(os.WriteFile(dir+"/own", nil, 0o600), cmd.Run())
})

func TestOtherCredentials(t *testing.T) {
	testenv.NeedRoot(t) // only root has others
	dir := shm(t)
	require.NoError(t, os.Chmod(dir, 0o777))
	tr := run(t, partAlien, dir, record.Options{})
	require.Len(t, tr.Blind, 1)
	require.Equal(t, record.BlindCredentials, tr.Blind[0].What)
	require.Equal(t, "sh", tr.Sites[tr.Blind[0].Site].Process)
}

// nobody is a user, and a group, that owns nothing.
const (
	nobody    = 65534
	unchanged = ^uintptr(0)
)

// changes are ways in which a thread of root gets other credentials.
var changes = map[string]func() error{
	"setuid":    func() error { return raw(unix.SYS_SETUID, nobody) },
	"setgid":    func() error { return raw(unix.SYS_SETGID, nobody) },
	"setreuid":  func() error { return raw(unix.SYS_SETREUID, unchanged, nobody) },
	"setregid":  func() error { return raw(unix.SYS_SETREGID, unchanged, nobody) },
	"setresuid": func() error { return raw(unix.SYS_SETRESUID, unchanged, nobody, unchanged) },
	"setresgid": func() error { return raw(unix.SYS_SETRESGID, unchanged, nobody, unchanged) },
	"setfsuid":  func() error { return ignore(unix.SetfsuidRetUid(nobody)) },
	"setfsgid":  func() error { return ignore(unix.SetfsgidRetGid(nobody)) },
	"setgroups": func() error {
		someBytes = [256]byte{1, 2}
		return raw(unix.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(&someBytes)))
	},
	"capset": func() error {
		return unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &make([]unix.CapUserData, 2)[0])
	},
	"nothing": func() error {
		return first(raw(unix.SYS_SETUID, 0), raw(unix.SYS_SETRESGID, unchanged, unchanged, unchanged))
	},
}

func init() {
	for name, change := range changes {
		part("change by "+name, func(dir string) error {
			runtime.LockOSThread() // it alone changes
			return first(os.WriteFile(dir+"/before", nil, 0o600), change(), os.WriteFile(dir+"/after", nil, 0o600))
		})
	}
}

// A process may get other credentials at any time.
func TestChangeOfCredentials(t *testing.T) {
	testenv.NeedRoot(t)
	for name := range changes {
		t.Run(name, func(t *testing.T) {
			dir := shm(t)
			require.NoError(t, os.Chmod(dir, 0o777))
			tr := run(t, "change by "+name, dir, record.Options{})
			require.Len(t, tr.Ops, 2)
			if name == "nothing" {
				require.Empty(t, tr.Blind)
				return
			}
			require.Len(t, tr.Blind, 1)
			require.Equal(t, record.BlindCredentials, tr.Blind[0].What)
			require.Equal(t, tr.Ops[1].Site, tr.Blind[0].Site)
		})
	}
}
