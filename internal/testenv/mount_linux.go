package testenv

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mkfsArgs are the options of mkfs.<fstype>. ext4 gets no reserved blocks, so that
// the size is the same for every user, and no lazy initialization, so that no
// kernel thread writes while a test counts what its own code writes.
var mkfsArgs = map[string][]string{
	"ext4":  {"-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"},
	"xfs":   {"-q", "-f", "-K"},
	"btrfs": {"-q", "-f", "-K"},
}

// LoopFS returns an empty directory that is the root of a new file system of type
// fstype (ext4, xfs or btrfs) on a loop device of its own, size bytes large. The
// image is sparse: it takes only what is written. mkfs sets the least size: 300 MiB
// for xfs and about 110 MiB for btrfs.
//
// The file system is unmounted and its loop device detached when the test ends.
// The test fails if something of it still uses the file system then. LoopFS needs
// root, mkfs.<fstype> and the kernel's support; it skips, as Skip does, without.
// It may be called by any number of tests at once.
func LoopFS(t testing.TB, fstype string, size int64) string {
	t.Helper()
	NeedRoot(t)
	args, ok := mkfsArgs[fstype]
	if !ok {
		t.Fatalf("make file system: unknown type %q", fstype)
	}
	mkfs := NeedTool(t, "mkfs."+fstype)
	image := filepath.Join(t.TempDir(), "image")
	if err := writeSparse(image, size); err != nil {
		t.Fatalf("create image: %v", err)
	}
	if out, err := exec.CommandContext(t.Context(), mkfs, append(args[:len(args):len(args)], image)...).CombinedOutput(); err != nil {
		t.Fatalf("make %s of %d bytes: %v\n%s", fstype, size, err, out)
	}
	dir := MountImage(t, image, fstype)
	// mke2fs makes lost+found; the other types start empty.
	if err := os.Remove(filepath.Join(dir, "lost+found")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("empty the file system: %v", err)
	}
	return dir
}

// MountImage mounts the file system of type fstype in the file image, on a loop
// device of its own, and returns its root. It ends as LoopFS does, and the test
// must own the image until then.
func MountImage(t testing.TB, image, fstype string) string {
	t.Helper()
	NeedRoot(t)
	device, err := attach(image)
	if errors.Is(err, errNoLoop) {
		Skip(t, "needs loop devices: "+err.Error())
	}
	if err != nil {
		t.Fatalf("attach loop device: %v", err)
	}
	// The kernel detaches the device with its last user. Ours is this descriptor
	// until the mount is made; if the mount fails, closing is all there is to undo.
	return mountTemp(t, device, fstype, "")
}

// Tmpfs returns an empty directory that is the root of a new memory file system of
// at most size bytes, rounded up to pages. It is unmounted when the test ends. It
// needs root and skips, as Skip does, without.
func Tmpfs(t testing.TB, size int64) string {
	t.Helper()
	NeedRoot(t)
	return mountTemp(t, nil, "tmpfs", "mode=0700,size="+strconv.FormatInt(size, 10))
}

// mountTemp mounts device, or nothing, on a new directory until the test ends. It
// closes device in any case.
func mountTemp(t testing.TB, device *os.File, fstype, options string) string {
	t.Helper()
	dir := t.TempDir()
	source := fstype
	if device != nil {
		source = device.Name()
	}
	err := unix.Mount(source, dir, fstype, 0, options)
	if device != nil {
		err = errors.Join(err, device.Close())
	}
	switch {
	case errors.Is(err, unix.ENODEV):
		Skip(t, "needs a kernel with "+fstype)
	case errors.Is(err, os.ErrPermission):
		Skip(t, "needs the right to mount: "+err.Error())
	case err != nil:
		t.Fatalf("mount %s on %s: %v", source, dir, err)
	}
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// unmount takes the file system off dir. It gives the processes that the test
// killed a second to die. After that it detaches the mount lazily, which leaves the
// directory free to be removed, and returns the error all the same: something of
// the test has outlived it.
func unmount(dir string) error {
	const pause, tries = 20 * time.Millisecond, 50
	err := unix.Unmount(dir, 0)
	for i := 0; i < tries && errors.Is(err, unix.EBUSY); i++ {
		time.Sleep(pause)
		err = unix.Unmount(dir, 0)
	}
	if err != nil {
		return errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH))
	}
	return nil
}

func writeSparse(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}
