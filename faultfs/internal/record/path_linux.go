//go:build amd64 || arm64

package record

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

// Paths mean for the supervisor what they mean for the program: relative ones start
// at the program's own directory descriptors, and what leads to "myself" leads to
// the program.

// place is a name in a directory.
type place struct {
	dir  int      // O_PATH descriptor
	name string   // one component; may have a slash at the end, as the program wrote it
	ino  tree.Ino // of the directory; 0 if it is not watched
}

func (p *place) shut() {
	if p != nil {
		shut(p.dir)
	}
}

// plain returns the name without the slash.
func (p *place) plain() string { return strings.TrimRight(p.name, "/") }

// stat looks at what is at the place, without following it.
func (p *place) stat(st *unix.Stat_t) error {
	return unix.Fstatat(p.dir, p.plain(), st, unix.AT_SYMLINK_NOFOLLOW)
}

// base returns a descriptor of the directory that a path starts at, and the path
// from there.
func (q *request) base(dirfd int, path string, resolve uint64) (int, string, syscall.Errno) {
	switch {
	case strings.HasPrefix(path, "/") && resolve&(unix.RESOLVE_IN_ROOT|unix.RESOLVE_BENEATH) == 0:
		return unix.AT_FDCWD, q.ours(path), 0
	case dirfd == unix.AT_FDCWD:
		fd, err := unix.Open("/proc/"+strconv.Itoa(q.tid())+"/cwd", unix.O_PATH|unix.O_CLOEXEC, 0)
		return fd, path, errnoOf(err)
	}
	fd, errno := q.dup(dirfd)
	return fd, path, errno
}

// ours replaces what would lead the supervisor to itself.
func (q *request) ours(path string) string {
	if !strings.HasPrefix(path, "/proc/") && !strings.HasPrefix(path, "/dev/") {
		return path
	}
	tid := strconv.Itoa(q.tid())
	for prefix, to := range map[string]string{
		"/proc/self/": "/proc/" + strconv.Itoa(q.t.proc.tgid) + "/", "/proc/thread-self/": "/proc/" + tid + "/", "/dev/fd/": "/proc/" + tid + "/fd/",
	} {
		if rest, found := strings.CutPrefix(path, prefix); found {
			return to + rest
		}
	}
	for i, name := range []string{"/dev/stdin", "/dev/stdout", "/dev/stderr"} {
		if path == name {
			return "/proc/" + tid + "/fd/" + strconv.Itoa(i)
		}
	}
	return path
}

// place resolves all but the last component of the path at addr.
func (q *request) place(dirfd int, addr uint64) (*place, syscall.Errno) {
	path, errno := q.text(addr)
	if errno != 0 {
		return nil, errno
	}
	if path == "" {
		return nil, unix.ENOENT
	}
	base, path, errno := q.base(dirfd, path, 0)
	if errno != 0 {
		return nil, errno
	}
	defer shutBase(base)
	return q.rec.place(base, path, 0)
}

func shutBase(fd int) {
	if fd != unix.AT_FDCWD {
		shut(fd)
	}
}

// errRoot is the error of a path that has no last component. It is none of the
// kernel's.
const errRoot = syscall.Errno(1 << 20)

// ownTrouble are errors that the program's own call would not have.
var ownTrouble = []syscall.Errno{unix.EPERM, unix.ESRCH, unix.EMFILE, unix.ENFILE, unix.ENOMEM}

// cannot answers a call whose descriptors or paths could not be resolved. The kernel
// would find the same, unless another thread has just changed that: then it would do
// something that we do not see.
func (q *request) cannot(errno syscall.Errno) reply {
	switch {
	case errno == errRoot:
		return goOn
	case errno == unix.ESRCH && unix.Tgkill(q.t.proc.tgid, q.tid(), 0) != nil: // just killed
		return goOn
	case slices.Contains(ownTrouble, errno):
		q.rec.note(BlindProcess, "", q.where())
		return goOn
	}
	return fail(errno)
}

// place splits path, which starts at base, and opens the directory.
func (r *recording) place(base int, path string, resolve uint64) (*place, syscall.Errno) {
	dir, name := ".", path
	trimmed := strings.TrimRight(path, "/")
	if trimmed == "" {
		return nil, errRoot
	}
	if i := strings.LastIndexByte(trimmed, '/'); i >= 0 {
		dir, name = path[:i+1], path[i+1:]
	}
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: resolve}
	fd, err := unix.Openat2(base, dir, &how)
	if err != nil {
		return nil, errnoOf(err)
	}
	p := &place{dir: fd, name: name}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		shut(fd)
		return nil, errnoOf(err)
	}
	if n := r.lookup(fd, &st); n != nil {
		p.ino = n.ino
	}
	return p, 0
}

// lock takes a lock. Whoever waits must not keep others from being served.
func (q *request) lock(l interface {
	TryLock() bool
	Lock()
},
) {
	if !l.TryLock() {
		q.w.follow()
		l.Lock()
	}
}

// pathOf returns the path of a descriptor of this process, or "".
func pathOf(fd int) string {
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return ""
	}
	return path
}
