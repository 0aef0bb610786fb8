//go:build linux && (amd64 || arm64)

package record_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/internal/testenv"
)

// came are what is done to a file elsewhere, which holds "data" and was last written
// by nobody knows whom, before it gets a name in the watched directory; whether the
// trace has a sync of it, and whether it is blind to that.
var came = []struct {
	name        string
	do          func(fd int) error
	sync, blind bool
}{
	{"nothing", func(int) error { return nil }, true, true},
	{"written", func(fd int) error { return ignore(unix.Pwrite(fd, []byte("d"), 0)) }, false, false},
	{"emptied", func(fd int) error {
		return openThen("/proc/self/fd/"+itoa(fd), unix.O_WRONLY|unix.O_TRUNC, func(fd int) error { return ignore(unix.Write(fd, []byte("data"))) })
	}, false, false},
	{"truncated", func(fd int) error { return unix.Ftruncate(fd, 4) }, false, false},
	{"synced", func(fd int) error { return unix.Fsync(fd) }, true, false},
	{"written and synced", func(fd int) error { return first(ignore(unix.Pwrite(fd, []byte("d"), 0)), unix.Fdatasync(fd)) }, true, false},
	{"written and all synced", func(fd int) error { return first(ignore(unix.Pwrite(fd, []byte("d"), 0)), unix.Syncfs(fd)) }, true, false},
	{"synced and written", func(fd int) error { return first(unix.Fsync(fd), ignore(unix.Pwrite(fd, []byte("d"), 0))) }, false, false},
	{"synced and copied to", func(fd int) error {
		return first(unix.Fsync(fd), openThen("/proc/self/exe", unix.O_RDONLY, func(from int) error { return ignore(unix.Sendfile(fd, from, nil, 4)) }))
	}, false, false},
	{"synced by each write", func(fd int) error {
		return openThen("/proc/self/fd/"+itoa(fd), unix.O_WRONLY|unix.O_DSYNC, func(fd int) error { return ignore(unix.Write(fd, []byte("d"))) })
	}, true, true},
	{"mapped", func(fd int) error {
		return first(ignore(unix.Mmap(fd, 0, 4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)), unix.Fsync(fd))
	}, true, true},
}

func init() {
	for _, tt := range came {
		for how, move := range map[string]func(from, to string) error{"rename": os.Rename, "link": os.Link} {
			part(how+" of a file "+tt.name, func(dir string) error {
				from := filepath.Dir(dir) + "/from"
				return first(openThen(from, unix.O_RDWR, tt.do), move(from, dir+"/f"))
			})
		}
	}
}

// A file that was synced elsewhere needs no sync here; its name does. What was not
// seen of it is said.
func TestFilesFromElsewhere(t *testing.T) {
	for _, tt := range came {
		for _, how := range []string{"rename", "link"} {
			t.Run(how+" "+tt.name, func(t *testing.T) {
				outer := shm(t)
				require.NoError(t, first(os.Mkdir(outer+"/in", 0o755), os.WriteFile(outer+"/from", []byte("data"), 0o640)))
				tr := run(t, how+" of a file "+tt.name, outer+"/in", record.Options{})
				ops := slices.DeleteFunc(showAll(tr.Ops), func(op string) bool { return op == "syncfs full" })
				if tt.sync {
					require.Equal(t, "fsync 2 full", ops[2])
					ops = append(ops[:2], ops[3:]...)
				}
				require.Len(t, ops, 3)
				require.Equal(t, "tmpfile =2 640", ops[0])
				require.Equal(t, "link 1/f =2", ops[2], "the sync is no sync of the name")
				if !tt.blind {
					require.Empty(t, tr.Blind)
					return
				}
				require.Len(t, tr.Blind, 1)
				require.Equal(t, record.BlindElsewhere, tr.Blind[0].What)
				require.Equal(t, "f", tr.Blind[0].Path)
			})
		}
	}
}

var partRefusedMoves = part("refused moves", func(dir string) error {
	from := filepath.Dir(dir) + "/from"
	return first(
		os.WriteFile(dir+"/f", nil, 0o600),
		fails(unix.Renameat2(at, from, at, dir+"/f", unix.RENAME_NOREPLACE), unix.EEXIST), fails(unix.Renameat2(at, from, at, dir+"/g", unix.RENAME_EXCHANGE), unix.ENOENT),
		fails(os.Rename(from, dir+"/f/g"), unix.ENOTDIR), fails(os.Rename("/proc/self/status", dir+"/g"), unix.EXDEV), os.Rename(from, dir+"/f"), os.Rename(dir+"/f", from),
	)
})

func TestMovesThatFail(t *testing.T) {
	outer := shm(t)
	require.NoError(t, first(os.Mkdir(outer+"/in", 0o755), os.WriteFile(outer+"/from", []byte("data"), 0o640)))
	tr := run(t, partRefusedMoves, outer+"/in", record.Options{})
	require.Equal(t, []string{
		"create 1/f =2 600", "create 1/f =3 640 failed: file exists", "create 1/g =4 640 failed: no such file or directory", "create 1/g =5 444 failed: invalid cross-device link",
		"tmpfile =6 640", `write 6 @0 "data"`, "fsync 6 full", "unlink 1/f =2", "link 1/f =6", "unlink 1/f =6",
	}, showAll(tr.Ops))
}

var partUnseen = plainPart("unseen", func(dir string) error {
	if err := record.Begin(dir); err != nil {
		return err
	}
	if err := os.WriteFile(dir+"/begun", nil, 0o600); err != nil {
		return err
	}
	for {
		if _, err := os.Lstat(dir + "/ready"); err == nil {
			break
		}
	}
	return first(os.Remove(dir+"/l"), os.Rename(dir+"/d", dir+"/e"), os.Remove(dir+"/e/f"), os.WriteFile(dir+"/e/g", nil, 0o600), os.Remove(dir+"/ready"), record.End())
})

// What nobody recorded came into being before something happens to it.
func TestUnseenFiles(t *testing.T) {
	dir := shm(t)
	s := start(t, partUnseen, dir, record.Options{})
	require.Eventually(t, func() bool { _, err := os.Stat(dir + "/begun"); return err == nil }, 5*time.Second, time.Millisecond)
	require.NoError(t, first(os.Symlink("x", dir+"/l"), os.Mkdir(dir+"/d", 0o755), os.WriteFile(dir+"/d/f", []byte("x"), 0o600), os.WriteFile(dir+"/ready", nil, 0o600)))
	tr := next(t, s)
	sound(t, tr)
	same(t, tr, dir)
	require.Len(t, tr.Blind, 3)
	for i, path := range []string{"l", "d", "ready"} {
		require.Equal(t, record.BlindUnknown, tr.Blind[i].What)
		require.Equal(t, path, tr.Blind[i].Path)
	}
}

var rootParts = map[string]string{
	"unshare": part("root unshare", func(string) error { _ = unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); return nil }),
	"user":    part("root user", func(string) error { _ = unix.Unshare(unix.CLONE_NEWUSER); return nil }),
	"setns":   part("root setns", func(string) error { _ = unix.Setns(-1, 0); return nil }),
	"mount":   part("root mount", func(string) error { _ = unix.Mount("", "/nowhere", "", unix.MS_BIND, ""); return nil }),
	"move":    part("root move", func(string) error { _ = unix.MoveMount(-1, "", -1, "", 0); return nil }),
	"chroot":  part("root chroot", func(string) error { _ = unix.Chroot("/nowhere"); return nil }),
	"pivot":   part("root pivot", func(string) error { _ = unix.PivotRoot("/nowhere", "/nowhere"); return nil }),
	"clone": part("root clone", func(string) error {
		_ = raw(unix.SYS_CLONE, unix.CLONE_NEWNS|unix.CLONE_FS) // which exclude each other
		return nil
	}),
	"clone3": part("root clone3", func(string) error {
		someBytes = [256]byte{2: 2, 1: 2} // likewise
		_ = raw(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&someBytes)), 64)
		return nil
	}),
}

func TestChangedRoot(t *testing.T) {
	for name, play := range rootParts {
		t.Run(name, func(t *testing.T) {
			tr := run(t, play, shm(t), record.Options{})
			require.Len(t, tr.Blind, 1)
			require.Equal(t, record.BlindRoot, tr.Blind[0].What)
		})
	}
}

var partNoBegin = plainPart("begin fails", func(dir string) error {
	err := record.Begin(dir)
	return first(fails(err, syscall.EACCES), want(err.Error() == "begin recording: open "+dir+"/secret: permission denied", "%v", err))
})

// The program learns which file it is that cannot be read.
func TestBeginNamesThePath(t *testing.T) {
	testenv.SkipAsRoot(t, "it can read everything")
	dir := shm(t)
	require.NoError(t, os.WriteFile(dir+"/secret", nil, 0))
	require.NoError(t, start(t, partNoBegin, dir, record.Options{}).Wait())
}
