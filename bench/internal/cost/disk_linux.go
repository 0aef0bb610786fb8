package cost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// ownDisk makes an ext4 of its own on a loop device and returns its root and what
// takes it away again. It needs root.
func ownDisk(ctx context.Context) (dir string, remove func() error, err error) {
	if os.Geteuid() != 0 {
		return "", nil, errors.New("needs root")
	}
	temp, err := os.MkdirTemp("", "cost-disk-")
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(temp) // the error that matters is the first
		}
	}()
	image, dir := filepath.Join(temp, "image"), filepath.Join(temp, "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", nil, err
	}
	// No lazy initialization: a kernel thread would write while we count.
	for _, command := range [][]string{
		{"truncate", "-s", "2G", image},
		{"mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", image},
		{"mount", "-o", "loop", image, dir},
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return "", nil, fmt.Errorf("run %s: %w: %s", command[0], err, out)
		}
	}
	return dir, func() error {
		// The loop device goes with the mount.
		if err := syscall.Unmount(dir, 0); err != nil {
			return errors.Join(&os.PathError{Op: "unmount", Path: dir, Err: err}, syscall.Unmount(dir, syscall.MNT_DETACH))
		}
		return os.RemoveAll(temp)
	}, nil
}
