// Package filter holds, as data, which system calls a recorder wants to be asked
// about, and makes the seccomp filters of that. It knows all architectures
// everywhere, so that a test on one shows mistakes in the others.
package filter

// Call is a system call that the filter looks at, whatever its number is.
type Call uint8

// The calls, by their names in the kernel.
const (
	None Call = iota
	Write
	Pwrite64
	Writev
	Pwritev
	Pwritev2
	Truncate
	Ftruncate
	Fallocate
	Open
	Creat
	Openat
	Openat2
	Mkdir
	Mkdirat
	Mknod
	Mknodat
	Rename
	Renameat
	Renameat2
	Link
	Linkat
	Symlink
	Symlinkat
	Unlink
	Unlinkat
	Rmdir
	Chmod
	Fchmod
	Fchmodat
	Fchmodat2
	Chown
	Fchown
	Lchown
	Fchownat
	Utime
	Utimes
	Futimesat
	Utimensat
	Setxattr
	Lsetxattr
	Fsetxattr
	Removexattr
	Lremovexattr
	Fremovexattr
	Setxattrat
	Removexattrat
	Fsync
	Fdatasync
	SyncFileRange
	Syncfs
	Sync
	Msync
	CopyFileRange
	Sendfile
	Splice
	Ioctl
	Mmap
	Mprotect
	PkeyMprotect
	IoUringSetup
	IoSetup
	Umask
	Execve
	Execveat
	Setrlimit
	Prlimit64
	Chroot
	PivotRoot
	Bind
	IoUringEnter
	IoSubmit
	Unshare
	Setns
	Mount
	MoveMount
	Clone
	Clone3
	Setuid // from here on those that change credentials
	Setgid
	Setreuid
	Setregid
	Setresuid
	Setresgid
	Setfsuid
	Setfsgid
	Setgroups
	Capset
	Calls // how many there are
)

// Names are the names by which the kernel's tables know the calls.
var Names = [Calls]string{
	Write: "write", Pwrite64: "pwrite64", Writev: "writev", Pwritev: "pwritev", Pwritev2: "pwritev2",
	Truncate: "truncate", Ftruncate: "ftruncate", Fallocate: "fallocate",
	Open: "open", Creat: "creat", Openat: "openat", Openat2: "openat2",
	Mkdir: "mkdir", Mkdirat: "mkdirat", Mknod: "mknod", Mknodat: "mknodat",
	Rename: "rename", Renameat: "renameat", Renameat2: "renameat2",
	Link: "link", Linkat: "linkat", Symlink: "symlink", Symlinkat: "symlinkat",
	Unlink: "unlink", Unlinkat: "unlinkat", Rmdir: "rmdir",
	Chmod: "chmod", Fchmod: "fchmod", Fchmodat: "fchmodat", Fchmodat2: "fchmodat2",
	Chown: "chown", Fchown: "fchown", Lchown: "lchown", Fchownat: "fchownat",
	Utime: "utime", Utimes: "utimes", Futimesat: "futimesat", Utimensat: "utimensat",
	Setxattr: "setxattr", Lsetxattr: "lsetxattr", Fsetxattr: "fsetxattr",
	Removexattr: "removexattr", Lremovexattr: "lremovexattr", Fremovexattr: "fremovexattr",
	Setxattrat: "setxattrat", Removexattrat: "removexattrat",
	Fsync: "fsync", Fdatasync: "fdatasync", SyncFileRange: "sync_file_range", Syncfs: "syncfs", Sync: "sync", Msync: "msync",
	CopyFileRange: "copy_file_range", Sendfile: "sendfile", Splice: "splice", Ioctl: "ioctl",
	Mmap: "mmap", Mprotect: "mprotect", PkeyMprotect: "pkey_mprotect",
	IoUringSetup: "io_uring_setup", IoSetup: "io_setup",
	Umask: "umask", Execve: "execve", Execveat: "execveat", Setrlimit: "setrlimit", Prlimit64: "prlimit64",
	Chroot: "chroot", PivotRoot: "pivot_root", Bind: "bind",
	IoUringEnter: "io_uring_enter", IoSubmit: "io_submit",
	Unshare: "unshare", Setns: "setns", Mount: "mount", MoveMount: "move_mount", Clone: "clone", Clone3: "clone3",
	Setuid: "setuid", Setgid: "setgid", Setreuid: "setreuid", Setregid: "setregid", Setresuid: "setresuid", Setresgid: "setresgid",
	Setfsuid: "setfsuid", Setfsgid: "setfsgid", Setgroups: "setgroups", Capset: "capset",
}

// String returns the kernel's name of c.
func (c Call) String() string {
	if c == None || c >= Calls {
		return "unknown"
	}
	return Names[c]
}
