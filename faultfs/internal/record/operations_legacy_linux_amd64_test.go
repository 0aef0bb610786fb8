package record_test

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cstring returns where a copy of s is, with a zero byte at its end. It never moves
// and is never freed.
func cstring(s string) uintptr {
	p := new([64]byte)
	copy(p[:63], s)
	pinned = append(pinned, p)
	return uintptr(unsafe.Pointer(p))
}

var (
	pinned    []*[64]byte
	legacySec = [2]int64{11, 12}
	legacyTV  = [2]unix.Timeval{{Sec: 5, Usec: 6}, {Sec: 7, Usec: 8}}
)

// times checks the times of f.
func times(atime, mtime unix.Timespec) error {
	var st unix.Stat_t
	err := unix.Stat("f", &st)
	return first(err, want(st.Atim == atime && st.Mtim == mtime, "times %v %v", st.Atim, st.Mtim))
}

// Wrappers use the newer calls, which the older ones are served as. Some programs
// make the older ones.
var legacyOperations = table([]operation{
	{"older calls for names", func(int) error {
		return first(
			raw(unix.SYS_OPEN, cstring("a"), creating, 0o777), raw(unix.SYS_OPEN, cstring("f"), unix.O_WRONLY|unix.O_TRUNC), raw(unix.SYS_CREAT, cstring("b"), 0o666),
			raw(unix.SYS_CREAT, cstring("d/g"), 0o666), raw(unix.SYS_MKDIR, cstring("c"), 0o777), raw(unix.SYS_MKNOD, cstring("p"), unix.S_IFIFO|0o666, 0),
			raw(unix.SYS_RENAME, cstring("a"), cstring("e")), raw(unix.SYS_RENAMEAT, uintptr(cwd), cstring("e"), uintptr(cwd), cstring("a")), raw(unix.SYS_LINK, cstring("a"), cstring("h")), raw(unix.SYS_SYMLINK, cstring("h"), cstring("s")),
			raw(unix.SYS_UNLINK, cstring("h")), raw(unix.SYS_RMDIR, cstring("c")), raw(unix.SYS_TRUNCATE, cstring("a"), 7),
		)
	}, []string{
		"create 1/a =5 755", "truncate 4 to 0", "create 1/b =6 644", "truncate 3 to 0", "mkdir 1/c =7 755", "mknod 1/p =8 644",
		"rename 1/a > 1/e =5", "rename 1/e > 1/a =5", "link 1/h =5", "symlink 1/s =9 > h", "unlink 1/h =5", "rmdir 1/c =7", "truncate 5 to 7",
	}},
	{"older calls for attributes", func(int) error {
		uid, gid := uintptr(unix.Getuid()), uintptr(unix.Getgid())
		return first(
			raw(unix.SYS_SYMLINK, cstring("f"), cstring("s")), raw(unix.SYS_CHMOD, cstring("s"), 0o600), raw(unix.SYS_FCHMODAT, uintptr(cwd), cstring("f"), 0o640),
			raw(unix.SYS_CHOWN, cstring("s"), uid, gid), raw(unix.SYS_LCHOWN, cstring("s"), uid, gid),
		)
	}, []string{"symlink 1/s =5 > f", "chmod 4 600", "chmod 4 640", "chown 4", "chown 5"}},
	{"older calls for times", func(int) error {
		return first(
			raw(unix.SYS_UTIME, cstring("f"), uintptr(unsafe.Pointer(&legacySec))), times(unix.Timespec{Sec: 11}, unix.Timespec{Sec: 12}),
			raw(unix.SYS_UTIMES, cstring("f"), uintptr(unsafe.Pointer(&legacyTV))), times(unix.Timespec{Sec: 5, Nsec: 6000}, unix.Timespec{Sec: 7, Nsec: 8000}),
			raw(unix.SYS_UTIME, cstring("f"), 0), raw(unix.SYS_FUTIMESAT, uintptr(cwd), cstring("f"), uintptr(unsafe.Pointer(&legacyTV))),
			times(unix.Timespec{Sec: 5, Nsec: 6000}, unix.Timespec{Sec: 7, Nsec: 8000}),
		)
	}, []string{"utimes 4", "utimes 4", "utimes 4", "utimes 4"}},
})

// cwd is a variable: the constant is no uintptr.
var cwd = unix.AT_FDCWD

func TestLegacyOperations(t *testing.T) { testTable(t, legacyOperations) }
