//go:build linux

package recovery_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/driftlesskv/driftless/faultfs"
)

// masked are the faults after which store, backing and recovery go on, and why that
// is right.
func masked() []faultfs.Option {
	options := []faultfs.Option{
		faultfs.Masked("*", syscall.EINTR, "a signal: the call is made again"),
		faultfs.Masked("*", 0, "os.File writes the rest"),
		faultfs.Masked("backing.copyData", syscall.EIO, "os.File takes it for a copy_file_range that does not work, and reads and writes"),
		faultfs.Masked("backing.copyData", syscall.ENOTSUP, "os.File reads and writes where copy_file_range does not work"),
		faultfs.Masked("backing.shareBlocks", syscall.ENOTSUP, "files are copied where they cannot share blocks"),
	}
	const later = "Prepare is not about the device that it replaced: that has no name any more, and is removed by Scrub or at the next start"
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOTSUP} {
		options = append(options,
			faultfs.Masked("unlinkAt", errno, later),
			faultfs.Masked("backing.renameNoReplace", errno, later))
	}
	return append(options, faultfs.Masked("atomicfile.(*Dir).sync", syscall.EIO, later))
}

// sweepScript has each operation that calls the backing.
const sweepScript = `prepare(own-a:lone-base) prepare(own-a) record(own-a) claim(own-a) unclaim(own-a) forget(own-a) remove(own-a)`

// Operations on the disk fail, once or for good, in metadata and resources: all of
// them with EIO, those of a kind that an errno is known for with that. The error comes
// back, or what was promised is true without the operation, and a power cut then
// leaves what was acknowledged and a table that recovers.
func TestPowerCutSweep(t *testing.T) {
	const space = faultfs.Write | faultfs.Create | faultfs.Mkdir
	const names = faultfs.Mkdir | faultfs.Rmdir | faultfs.Unlink | faultfs.Rename
	options := append([]faultfs.Option{
		faultfs.Fail(faultfs.Any, syscall.EIO),
		faultfs.Fail(space, syscall.ENOSPC).FromThenOn(),
		faultfs.Fail(space, syscall.EDQUOT),
		faultfs.Fail(faultfs.Fsync|faultfs.Syncfs, syscall.EROFS).FromThenOn(),
		faultfs.Fail(names, syscall.EINTR),
		faultfs.Fail(names|faultfs.Write, syscall.ENOTSUP),
		faultfs.ShortWrite(),
		faultfs.Slow(names|faultfs.Fsync, time.Millisecond),
		faultfs.Hang(faultfs.Rename),
		faultfs.Models(faultfs.Posix4K), faultfs.States(max(100, *cutStates/10)),
	}, masked()...)
	faultfs.Sweep(t, cutTest(steps(sweepScript)), options...)
}
