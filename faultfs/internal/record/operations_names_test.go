//go:build linux && (amd64 || arm64)

package record_test

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

// beneath is an openat2 relative to d.
func beneath(path string, flags uint64, resolve uint64) error {
	return openThen("d", unix.O_PATH, func(d int) error {
		how := unix.OpenHow{Flags: flags, Resolve: resolve}
		if flags&unix.O_CREAT != 0 {
			how.Mode = 0o600
		}
		fd, err := unix.Openat2(d, path, &how)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	})
}

const creating = unix.O_CREAT | unix.O_WRONLY

var nameOperations = table([]operation{
	{"create", func(int) error {
		return first(openThen("a", creating, nil), openThen("a", creating, nil), openThen("a", creating|unix.O_TRUNC, nil), fails(openThen("a", creating|unix.O_EXCL, nil), unix.EEXIST))
	}, []string{"create 1/a =5 644", "create 1/a =0 666 failed: file exists"}},
	{"create with a umask", func(int) error {
		unix.Umask(0o077)
		return first(openThen("a", creating, nil), unix.Mkdir("b", 0o777), openThen("d/../d/c", creating, nil))
	}, []string{"create 1/a =5 600", "mkdir 1/b =6 700", "create 2/c =7 600"}},
	{"create fails", func(int) error {
		return first(fails(openThen("d", creating, nil), unix.EISDIR), fails(openThen("x/y", creating, nil), unix.ENOENT), fails(openThen("f/y", creating, nil), unix.ENOTDIR))
	}, []string{}},
	{"empty", func(int) error { return openThen("f", unix.O_WRONLY|unix.O_TRUNC, nil) }, []string{"truncate 4 to 0"}},
	{"empty by creating", func(int) error { return openThen("f", creating|unix.O_TRUNC, nil) }, []string{"truncate 4 to 0"}},
	{"empty through proc", func(fd int) error {
		return openThen("/proc/self/fd/"+itoa(fd), unix.O_WRONLY|unix.O_TRUNC, nil)
	}, []string{"truncate 4 to 0"}},
	{"create through links", func(int) error {
		return first(
			os.Symlink("d/new", "l"), os.Symlink("l", "ll"), openThen("ll", creating, nil), openThen("ll", creating|unix.O_TRUNC, nil),
			fails(openThen("ll", creating|unix.O_EXCL, nil), unix.EEXIST), fails(openThen("ll", creating|unix.O_NOFOLLOW, nil), unix.ELOOP),
		)
	}, []string{
		"symlink 1/l =5 > d/new", "symlink 1/ll =6 > l", "create 2/new =7 644", "create 1/ll =0 666 failed: file exists",
	}},
	{"a loop of links", func(int) error {
		return first(os.Symlink("l", "l"), fails(openThen("l", creating, nil), unix.ELOOP))
	}, []string{"symlink 1/l =5 > l"}},
	{"openat2", func(int) error {
		return first(
			beneath("a", creating, 0), beneath("a", creating|unix.O_TRUNC, unix.RESOLVE_BENEATH), beneath("b", creating|unix.O_EXCL, unix.RESOLVE_BENEATH),
			fails(beneath("../c", creating, unix.RESOLVE_BENEATH), unix.EXDEV), beneath("/c", creating, unix.RESOLVE_IN_ROOT),
			beneath("g", unix.O_RDWR|unix.O_TRUNC, 0), beneath("g", unix.O_RDONLY, 0),
		)
	}, []string{"create 2/a =5 600", "create 2/b =6 600", "create 2/c =7 600", "truncate 3 to 0"}},
	{"tmpfile", func(int) error {
		return openThen("d", unix.O_TMPFILE|unix.O_RDWR, func(fd int) error {
			proc := "/proc/self/fd/" + itoa(fd)
			return first(ignore(unix.Write(fd, []byte("t"))), unix.Linkat(unix.AT_FDCWD, proc, unix.AT_FDCWD, "t", unix.AT_SYMLINK_FOLLOW), ignore(unix.Write(fd, []byte("u"))))
		})
	}, []string{"tmpfile =5 644", `write 5 @0 "t"`, "link 1/t =5", `write 5 @1 "u"`}},
	{"mkdir and rmdir", func(int) error {
		return first(unix.Mkdir("a", 0o700), unix.Mkdir("a/b/", 0o1777), fails(unix.Mkdir("a", 0o700), unix.EEXIST), fails(unix.Rmdir("a"), unix.ENOTEMPTY), unix.Rmdir("a/b"), unix.Rmdir("a"))
	}, []string{
		"mkdir 1/a =5 700", "mkdir 5/b =6 1755", "mkdir 1/a =0 700 failed: file exists", "rmdir 1/a =5 failed: directory not empty", "rmdir 5/b =6", "rmdir 1/a =5",
	}},
	{"mknod", func(int) error {
		return first(unix.Mkfifo("p", 0o600), unix.Mknod("r", unix.S_IFREG|0o600, 0))
	}, []string{"mknod 1/p =5 600", "create 1/r =6 600"}},
	{"link", func(fd int) error {
		return first(
			unix.Link("f", "d/h"), fails(unix.Link("f", "d/g"), unix.EEXIST), os.Symlink("f", "s"), unix.Link("s", "s2"),
			unix.Linkat(unix.AT_FDCWD, "s", unix.AT_FDCWD, "i", unix.AT_SYMLINK_FOLLOW), ignore(unix.Write(fd, []byte("w"))), unix.Unlink("f"), unix.Unlink("d/h"),
		)
	}, []string{
		"link 2/h =4", "link 2/g =4 failed: file exists", "symlink 1/s =5 > f", "link 1/s2 =5", "link 1/i =4", `write 4 @0 "w"`, "unlink 1/f =4", "unlink 2/h =4",
	}},
	{"unlink", func(fd int) error {
		return first(
			unix.Unlink("d/g"), fails(unix.Unlink("d/g"), unix.ENOENT), fails(unix.Unlink("d/"), unix.EISDIR), fails(unix.Unlink("f/"), unix.ENOTDIR), unix.Unlink("f"),
			ignore(unix.Write(fd, []byte("gone"))), unix.Fsync(fd), openThen("f", creating, nil),
		)
	}, []string{
		"unlink 2/g =3", "unlink 2/g =0 failed: no such file or directory", "unlink 1/d =2 failed: is a directory", "unlink 1/f =4 failed: not a directory", "unlink 1/f =4",
		`write 4 @0 "gone"`, "fsync 4 full", "create 1/f =5 644",
	}},
	{"rename", func(int) error {
		return first(
			os.Rename("f", "e"), os.Rename("e", "d/g"), fails(unix.Rename("e", "x"), unix.ENOENT), unix.Mkdir("k", 0o755), os.Rename("d", "k/d"), openThen("k/d/new", creating, nil),
			fails(unix.Rename("k", "k/d/k"), unix.EINVAL), unix.Rename("k/", "m/"),
		)
	}, []string{
		"rename 1/f > 1/e =4", "rename 1/e > 2/g =4 over 3", "rename 1/e > 1/x =0 failed: no such file or directory", "mkdir 1/k =5 755", "rename 1/d > 5/d =2", "create 2/new =6 644",
		"rename 1/k > 2/k =5 failed: invalid argument", "rename 1/k > 1/m =5",
	}},
	{"renameat2", func(int) error {
		at := unix.AT_FDCWD
		return first(
			fails(unix.Renameat2(at, "f", at, "d/g", unix.RENAME_NOREPLACE), unix.EEXIST), unix.Renameat2(at, "f", at, "d", unix.RENAME_EXCHANGE),
			unix.Renameat2(at, "f/g", at, "n", unix.RENAME_NOREPLACE), unix.Renameat2(at, "n", at, "w", unix.RENAME_WHITEOUT),
		)
	}, []string{
		"rename 1/f > 2/g =4 over 3 failed: file exists", "rename 1/f > 1/d =4 over 2 exchange", "rename 2/g > 1/n =3", "rename 1/n > 1/w =3", "mknod 1/n =5 0",
	}},
	{"rename of one inode onto itself", func(int) error {
		return first(unix.Link("f", "e"), os.Rename("e", "f"), unix.Unlink("e"))
	}, []string{"link 1/e =4", "unlink 1/e =4"}},
})

func TestNameOperations(t *testing.T) { testTable(t, nameOperations) }
