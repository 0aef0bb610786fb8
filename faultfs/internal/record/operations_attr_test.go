//go:build linux && (amd64 || arm64)

package record_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/internal/testenv"
)

const at = unix.AT_FDCWD

// What system calls without a wrapper point to; it does not move.
var (
	someTimes = [2]unix.Timespec{{Sec: 1, Nsec: 2}, {Sec: 3, Nsec: 4}}
	someBytes [256]byte
)

var attrOperations = table([]operation{
	{"chmod", func(fd int) error {
		return first(
			unix.Chmod("f", 0o600), unix.Fchmod(fd, 0o640), unix.Fchmodat(at, "d/../f", 0o755, 0), os.Symlink("f", "s"), unix.Fchmodat(at, "s", 0o711, 0),
			fails(unix.Fchmodat(at, "s", 0o700, unix.AT_SYMLINK_NOFOLLOW), unix.EOPNOTSUPP),
		)
	}, []string{"chmod 4 600", "chmod 4 640", "chmod 4 755", "symlink 1/s =5 > f", "chmod 4 711", "chmod 5 700 failed: operation not supported"}},
	{"chown", func(fd int) error {
		uid, gid := os.Getuid(), os.Getgid()
		return first(
			os.Symlink("nowhere", "s"), unix.Chown("f", uid, -1), unix.Fchown(fd, -1, gid), unix.Lchown("s", uid, gid), unix.Fchownat(at, "s", -1, -1, unix.AT_SYMLINK_NOFOLLOW),
			unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH), fails(unix.Chown("s", uid, gid), unix.ENOENT),
		)
	}, []string{"symlink 1/s =5 > nowhere", "chown 4", "chown 4", "chown 5", "chown 5", "chown 4"}},
	{"the set-user-ID bit goes", func(fd int) error {
		if os.Getuid() == 0 { // whose writes leave it
			return first(unix.Fchmod(fd, 0o4755), unix.Fchown(fd, 0, 0), unix.Fchmod(fd, 0o755))
		}
		return first(unix.Fchmod(fd, 0o4755), ignore(unix.Pwrite(fd, []byte("w"), 0)))
	}, setUserIDGoes()},
	{"times", func(fd int) error {
		ts := []unix.Timespec{{Sec: 1, Nsec: 2}, {Sec: 3, Nsec: unix.UTIME_OMIT}}
		tv := []unix.Timeval{{Sec: 5, Usec: 6}, {Sec: 7, Usec: 8}}
		err := first(os.Symlink("f", "s"), unix.UtimesNanoAt(at, "f", ts, 0), unix.UtimesNanoAt(at, "s", ts, unix.AT_SYMLINK_NOFOLLOW), unix.Futimes(fd, tv))
		var st unix.Stat_t
		_ = unix.Fstat(fd, &st)
		return first(err, want(st.Atim.Sec == 5 && st.Mtim.Sec == 7 && st.Mtim.Nsec == 8000, "times %v %v", st.Atim, st.Mtim))
	}, []string{"symlink 1/s =5 > f", "utimes 4", "utimes 5", "utimes 4"}},
	{"times of a descriptor", func(fd int) error {
		return raw(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&someTimes)), 0)
	}, []string{"utimes 4"}},
	{"times now", func(int) error {
		return first(unix.UtimesNanoAt(at, "d", nil, 0), os.Chtimes("f", time.Time{}, time.Unix(9, 0)))
	}, []string{"utimes 2", "utimes 4"}},
})

// setUserIDGoes is how a trace tells of the bit.
func setUserIDGoes() []string {
	if os.Getuid() == 0 {
		return []string{"chmod 4 4755", "chown 4", "chmod 4 755", "chmod 4 755"}
	}
	return []string{"chmod 4 4755", `write 4 @0 "w"`, "chmod 4 755"}
}

func TestAttributeOperations(t *testing.T) { testTable(t, attrOperations) }

var xattrOperations = table([]operation{
	{"xattr", func(fd int) error {
		return first(
			unix.Setxattr("f", "user.a", []byte("1"), 0), unix.Fsetxattr(fd, "user.b", []byte("2"), unix.XATTR_CREATE), unix.Lsetxattr("d", "user.c", []byte("3"), 0),
			fails(unix.Fsetxattr(fd, "user.b", []byte("2"), unix.XATTR_CREATE), unix.EEXIST), unix.Removexattr("f", "user.a"), unix.Lremovexattr("d", "user.c"),
			unix.Setxattr("f", "user.b", nil, 0), unix.Setxattr("f", "user.d", []byte("4"), 0), unix.Fremovexattr(fd, "user.b"), fails(unix.Fremovexattr(fd, "user.b"), unix.ENODATA),
		)
	}, []string{
		"setxattr 4 user.a=1", "setxattr 4 user.b=2", "setxattr 2 user.c=3", "setxattr 4 user.b=2 failed: file exists", "removexattr 4 user.a", "removexattr 2 user.c",
		"setxattr 4 user.b=", "setxattr 4 user.d=4", "removexattr 4 user.b", "removexattr 4 user.b failed: no data available",
	}},
})

func TestXattrOperations(t *testing.T) {
	probe := filepath.Join(shm(t), "probe")
	require.NoError(t, os.WriteFile(probe, nil, 0o600))
	if err := unix.Setxattr(probe, "user.a", []byte("1"), 0); errors.Is(err, unix.ENOTSUP) {
		testenv.Skip(t, "the file system has no xattrs: "+err.Error())
	}
	testTable(t, xattrOperations)
}

// acl is an access control list: rwx for the owner, for another user, and as the
// mask; r-x for the group, and nothing for others.
var acl = append([]byte{2, 0, 0, 0},
	1, 0, 7, 0, 255, 255, 255, 255,
	2, 0, 7, 0, 1, 0, 0, 0,
	4, 0, 5, 0, 255, 255, 255, 255,
	16, 0, 7, 0, 255, 255, 255, 255,
	32, 0, 0, 0, 255, 255, 255, 255,
)

const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

var otherXattrOperations = table([]operation{
	{"access control list", func(fd int) error {
		return first(
			unix.Fsetxattr(fd, aclAccess, acl, 0), fails(unix.Setxattr("f", aclAccess, acl[:5], 0), unix.EINVAL), unix.Removexattr("f", aclAccess),
			unix.Setxattr("d", aclDefault, acl, 0), os.Mkdir("d/e", 0o777), os.WriteFile("d/e/f", nil, 0o666), unix.Removexattr("d", aclDefault),
		)
	}, []string{"chmod 4 770", "chmod 4 770 failed: invalid argument", "chmod 4 770", "mkdir 2/e =5 770", "create 5/f =6 660"}},
	{"other xattrs", func(fd int) error {
		_, _ = unix.Setxattr("f", "trusted.a", []byte("1"), 0), unix.Fremovexattr(fd, "trusted.a") // only root may
		return first(fails(unix.Setxattr("f", "other", nil, 0), unix.EOPNOTSUPP))
	}, []string{}},
})

// What trees do not keep is in no trace; but access control lists change modes.
func TestOtherXattrs(t *testing.T) {
	probe := filepath.Join(shm(t), "probe")
	require.NoError(t, os.WriteFile(probe, nil, 0o600))
	if err := unix.Setxattr(probe, aclAccess, acl, 0); errors.Is(err, unix.ENOTSUP) {
		testenv.Skip(t, "the file system has no access control lists: "+err.Error())
	}
	testTable(t, otherXattrOperations)
}

var partMoves = part("moves", func(dir string) error {
	out := filepath.Dir(dir) + "/out"
	file := func(name, text string) error { return os.WriteFile(out+"/"+name, []byte(text), 0o640) }
	return first(
		file("a", "from outside"), os.Rename(out+"/a", dir+"/a"), file("b", "over"), os.Rename(out+"/b", dir+"/a"), os.WriteFile(dir+"/a", []byte("inside"), 0),
		file("c", "linked"), os.Link(out+"/c", dir+"/c"), os.WriteFile(out+"/c", []byte("through the outer name"), 0), os.Chmod(out+"/c", 0o600),
		os.WriteFile(dir+"/e", []byte("leaves"), 0o600), os.Rename(dir+"/e", out+"/e"), os.Symlink("x", out+"/s"), os.Rename(out+"/s", dir+"/s"),
		os.Link(dir+"/a", out+"/a2"), os.Remove(dir+"/a"), os.WriteFile(out+"/a2", []byte("still the same inode"), 0), os.Rename(out+"/a2", dir+"/back"),
		file("o", "outer"), os.WriteFile(dir+"/i", []byte("inner"), 0o600), unix.Renameat2(at, dir+"/i", at, out+"/o", unix.RENAME_EXCHANGE),
	)
})

// What comes from outside is made, what goes there is removed.
func TestMoves(t *testing.T) {
	outer := shm(t)
	require.NoError(t, first(os.Mkdir(outer+"/in", 0o755), os.Mkdir(outer+"/out", 0o755)))
	tr := run(t, partMoves, outer+"/in", record.Options{})
	require.Empty(t, tr.Blind)
	made := tr.Ops[0].Ino
	require.Contains(t, showAll(tr.Ops), fmt.Sprintf("link 1/back =%d", made+1), "what comes back is what went")
}

var partMoveDir = part("move of a directory", func(dir string) error {
	out := filepath.Dir(dir) + "/out"
	return first(
		os.MkdirAll(out+"/d/e", 0o755), os.WriteFile(out+"/d/e/x", []byte("x"), 0o644), os.Symlink("x", out+"/d/e/l"), os.Rename(out+"/d", dir+"/d"),
		os.WriteFile(dir+"/d/e/y", nil, 0o644), os.RemoveAll(dir+"/d/e"), os.WriteFile(dir+"/d/z", nil, 0o644),
	)
})

// What a directory brings along is known; whether it was synced is not.
func TestMoveOfDirectoryIsBlind(t *testing.T) {
	outer := shm(t)
	require.NoError(t, first(os.Mkdir(outer+"/in", 0o755), os.Mkdir(outer+"/out", 0o755)))
	tr := run(t, partMoveDir, outer+"/in", record.Options{})
	made := map[tree.Ino]bool{tree.Root: true}
	for _, op := range tr.Ops {
		made[op.Ino] = made[op.Ino] || op.Kind == trace.Mkdir || op.Kind == trace.Create || op.Kind == trace.Tmpfile || op.Kind == trace.Symlink
		require.True(t, made[op.Ino] && (op.Dir == 0 || made[op.Dir]), show(&op))
	}
	require.Len(t, tr.Blind, 1)
	require.Equal(t, record.BlindMoved, tr.Blind[0].What)
	require.Equal(t, "d", tr.Blind[0].Path)
}

var partRefused = part("refused", func(dir string) error {
	return first(
		fails(raw(unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&someBytes))), unix.ENOSYS),
		fails(raw(unix.SYS_IO_SETUP, 4, uintptr(unsafe.Pointer(&someBytes))), unix.ENOSYS),
		fails(raw(unix.SYS_IO_URING_ENTER, 1<<20, 1, 0, 0, 0, 0), unix.ENOSYS), fails(raw(unix.SYS_IO_SUBMIT, 0, 0, 0), unix.ENOSYS),
		fails(raw(unix.SYS_SETXATTRAT, 0, 0, 0, 0, 0, 0), unix.ENOSYS),
		fails(raw(1<<30|unix.SYS_WRITE, 1, 0, 0), unix.ENOSYS), // x32
	)
})

func TestRefused(t *testing.T) {
	tr := run(t, partRefused, shm(t), record.Options{})
	require.Empty(t, tr.Ops)
	require.Len(t, tr.Blind, 4)
	for i, what := range []string{record.BlindURing, record.BlindAIO, record.BlindURing, record.BlindAIO} {
		require.Equal(t, what, tr.Blind[i].What)
	}
	require.Contains(t, tr.Sites[tr.Blind[0].Site].Own().Func, runtimePackage())
}

// runtimePackage returns the import path of this package.
func runtimePackage() string {
	pc, _, _, _ := runtime.Caller(0)
	name := runtime.FuncForPC(pc).Name()
	return name[:len(name)-len(".runtimePackage")]
}
