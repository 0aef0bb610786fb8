//go:build amd64 || arm64

package record

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

const cwd = unix.AT_FDCWD

// always are the calls that mean something when nothing is recorded, too.
var always [filter.Calls]bool

// handlers serve the calls. The older variants of a call differ from the newer ones
// in which argument is what.
var handlers [filter.Calls]func(*request) reply

func init() {
	for _, c := range []filter.Call{filter.Setxattr, filter.Umask, filter.Setrlimit, filter.Prlimit64, filter.Execve, filter.Execveat, filter.IoUringSetup, filter.IoUringEnter, filter.IoSetup, filter.IoSubmit} {
		always[c] = true
	}
	handlers = [filter.Calls]func(*request) reply{
		filter.Write:    func(q *request) reply { return q.write(writing{}) },
		filter.Pwrite64: func(q *request) reply { return q.write(writing{at: true}) },
		filter.Writev:   func(q *request) reply { return q.write(writing{vector: true}) },
		filter.Pwritev:  func(q *request) reply { return q.write(writing{vector: true, at: true}) },
		filter.Pwritev2: func(q *request) reply {
			return q.write(writing{vector: true, at: true, flags: q.flags(5), flagged: true})
		},

		filter.Truncate:  func(q *request) reply { return q.truncate(q.byPath(cwd, q.n.args[0], 0)) },
		filter.Ftruncate: func(q *request) reply { return q.truncate(q.byFD(q.fd(0))) },
		filter.Fallocate: (*request).fallocate,

		filter.Open:    func(q *request) reply { return q.open(cwd, q.n.args[0], q.openFlags(1, 2)) },
		filter.Creat:   func(q *request) reply { return q.open(cwd, q.n.args[0], q.creatFlags()) },
		filter.Openat:  func(q *request) reply { return q.open(q.fd(0), q.n.args[1], q.openFlags(2, 3)) },
		filter.Openat2: (*request).openat2,

		filter.Mkdir:     func(q *request) reply { return q.mkdir(cwd, q.n.args[0], q.n.args[1]) },
		filter.Mkdirat:   func(q *request) reply { return q.mkdir(q.fd(0), q.n.args[1], q.n.args[2]) },
		filter.Mknod:     func(q *request) reply { return q.mknod(cwd, q.n.args[0], q.n.args[1], q.n.args[2]) },
		filter.Mknodat:   func(q *request) reply { return q.mknod(q.fd(0), q.n.args[1], q.n.args[2], q.n.args[3]) },
		filter.Symlink:   func(q *request) reply { return q.symlink(q.n.args[0], cwd, q.n.args[1]) },
		filter.Symlinkat: func(q *request) reply { return q.symlink(q.n.args[0], q.fd(1), q.n.args[2]) },
		filter.Unlink:    func(q *request) reply { return q.unlink(cwd, q.n.args[0], 0) },
		filter.Unlinkat:  func(q *request) reply { return q.unlink(q.fd(0), q.n.args[1], q.flags(2)) },
		filter.Rmdir:     func(q *request) reply { return q.unlink(cwd, q.n.args[0], unix.AT_REMOVEDIR) },
		filter.Link:      func(q *request) reply { return q.link(cwd, q.n.args[0], cwd, q.n.args[1], 0) },
		filter.Linkat:    func(q *request) reply { return q.link(q.fd(0), q.n.args[1], q.fd(2), q.n.args[3], q.flags(4)) },
		filter.Rename:    func(q *request) reply { return q.rename(cwd, q.n.args[0], cwd, q.n.args[1], 0) },
		filter.Renameat:  func(q *request) reply { return q.rename(q.fd(0), q.n.args[1], q.fd(2), q.n.args[3], 0) },
		filter.Renameat2: func(q *request) reply { return q.rename(q.fd(0), q.n.args[1], q.fd(2), q.n.args[3], q.flags(4)) },

		filter.Fsync:         func(q *request) reply { return q.fsync(trace.SyncFull) },
		filter.Fdatasync:     func(q *request) reply { return q.fsync(trace.SyncData) },
		filter.SyncFileRange: (*request).syncRange,
		filter.Syncfs:        (*request).syncfs,
		filter.Sync:          (*request).sync,
		filter.Msync:         (*request).msync,

		filter.CopyFileRange: (*request).copyFileRange,
		filter.Sendfile:      (*request).sendfile,
		filter.Splice:        (*request).splice,
		filter.Ioctl:         (*request).ioctl,

		filter.Mmap:         (*request).mmap,
		filter.Mprotect:     (*request).mprotect,
		filter.PkeyMprotect: (*request).mprotect,
		filter.IoUringSetup: func(q *request) reply { return q.refuse(BlindURing) },
		filter.IoUringEnter: func(q *request) reply { return q.refuse(BlindURing) }, // of a ring made before
		filter.IoSetup:      func(q *request) reply { return q.refuse(BlindAIO) },
		filter.IoSubmit:     func(q *request) reply { return q.refuse(BlindAIO) },

		filter.Bind: (*request).bind,
	}
	addProcessHandlers()
	addAttributeHandlers()
}

// addProcessHandlers adds the calls that change what is known about a process.
func addProcessHandlers() {
	h := handlers[:]
	h[filter.Umask] = (*request).umask
	h[filter.Execve] = (*request).execve
	h[filter.Execveat] = (*request).execve
	h[filter.Setrlimit] = (*request).setrlimit
	h[filter.Prlimit64] = (*request).setrlimit
	h[filter.Clone3] = (*request).clone3
	for _, c := range []filter.Call{filter.Chroot, filter.PivotRoot, filter.Unshare, filter.Setns, filter.Mount, filter.MoveMount, filter.Clone} {
		h[c] = (*request).changeRoot
	}
	for c := filter.Setuid; c <= filter.Capset; c++ {
		always[c] = true
		h[c] = (*request).setCredentials
	}
}

// addAttributeHandlers adds the calls about attributes.
func addAttributeHandlers() {
	h := handlers[:]
	const nofollow = unix.AT_SYMLINK_NOFOLLOW
	h[filter.Chmod] = func(q *request) reply { return q.chmod(q.byPath(cwd, q.n.args[0], 0))(q.n.args[1]) }
	h[filter.Fchmod] = func(q *request) reply { return q.chmod(q.byFD(q.fd(0)))(q.n.args[1]) }
	h[filter.Fchmodat] = func(q *request) reply { return q.chmod(q.byPath(q.fd(0), q.n.args[1], 0))(q.n.args[2]) }
	h[filter.Fchmodat2] = func(q *request) reply { return q.chmod(q.byPath(q.fd(0), q.n.args[1], q.flags(3)))(q.n.args[2]) }
	h[filter.Chown] = func(q *request) reply { return q.chown(q.byPath(cwd, q.n.args[0], 0))(1) }
	h[filter.Lchown] = func(q *request) reply { return q.chown(q.byPath(cwd, q.n.args[0], nofollow))(1) }
	h[filter.Fchown] = func(q *request) reply { return q.chown(q.byFD(q.fd(0)))(1) }
	h[filter.Fchownat] = func(q *request) reply { return q.chown(q.byPath(q.fd(0), q.n.args[1], q.flags(4)))(2) }

	h[filter.Utime] = func(q *request) reply { return q.utimes(q.byPath(cwd, q.n.args[0], 0))(q.n.args[1], wholeSeconds) }
	h[filter.Utimes] = func(q *request) reply { return q.utimes(q.byPath(cwd, q.n.args[0], 0))(q.n.args[1], microseconds) }
	h[filter.Futimesat] = func(q *request) reply { return q.utimes(q.byPathOrFD(0))(q.n.args[2], microseconds) }
	h[filter.Utimensat] = func(q *request) reply { return q.utimes(q.byPathOrFD(q.flags(3)))(q.n.args[2], nanoseconds) }

	h[filter.Setxattr] = func(q *request) reply {
		if q.n.args[4] == tellMagic {
			return q.told()
		}
		if q.rec == nil {
			return goOn
		}
		return q.setxattr(q.byPath(cwd, q.n.args[0], 0))
	}
	h[filter.Lsetxattr] = func(q *request) reply { return q.setxattr(q.byPath(cwd, q.n.args[0], nofollow)) }
	h[filter.Fsetxattr] = func(q *request) reply { return q.setxattr(q.byFD(q.fd(0))) }
	h[filter.Removexattr] = func(q *request) reply { return q.removexattr(q.byPath(cwd, q.n.args[0], 0)) }
	h[filter.Lremovexattr] = func(q *request) reply { return q.removexattr(q.byPath(cwd, q.n.args[0], nofollow)) }
	h[filter.Fremovexattr] = func(q *request) reply { return q.removexattr(q.byFD(q.fd(0))) }
}

// byPathOrFD is the path in the second argument from the directory in the first
// one, or the descriptor in the first one if there is no path.
func (q *request) byPathOrFD(flags int) (*target, syscall.Errno) {
	if q.n.args[1] == 0 && q.fd(0) != cwd {
		return q.byFD(q.fd(0))
	}
	return q.byPath(q.fd(0), q.n.args[1], flags)
}
