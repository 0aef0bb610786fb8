package testenv

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// errNoLoop is returned when the machine lets nobody make loop devices.
var errNoLoop = errors.New("no loop devices")

// attach makes a loop device of the file at image and returns it open. The device
// detaches itself when the last descriptor and the last mount are gone, so nothing
// is left behind even by a test process that is killed before it has mounted it.
func attach(image string) (*os.File, error) {
	backing, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	// The device holds its own reference to the image.
	defer func() { _ = backing.Close() }()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return nil, errors.Join(errNoLoop, err)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = control.Close() }() // opened for ioctls only
	// Between learning a free number and taking it another process may take it, and
	// a device just detached may still be on its way out: the kernel then says EBUSY
	// or ENXIO, and the next number is asked for.
	const tries = 100
	for range tries {
		device, err := attachFree(control, backing)
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENXIO) {
			return device, err
		}
		time.Sleep(time.Millisecond)
	}
	return nil, fmt.Errorf("attach %s: no loop device free after %d tries: %w", image, tries, unix.EBUSY)
}

// attachFree tries one free loop device. It returns EBUSY or ENXIO when that one
// turns out not to be free.
func attachFree(control, backing *os.File) (*os.File, error) {
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("find free loop device: %w", err)
	}
	device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", number), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	config := unix.LoopConfig{Fd: uint32(backing.Fd())}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	if err := unix.IoctlLoopConfigure(int(device.Fd()), &config); err != nil {
		return nil, errors.Join(fmt.Errorf("configure %s: %w", device.Name(), err), device.Close())
	}
	return device, nil
}
