package iocount

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DiskOf writes out what the kernel holds back for the file system of dir, and
// returns what its block device has been given since it came up. The difference of
// two is what a program cost only if nobody else uses the device.
func DiskOf(dir string) (Disk, error) {
	f, err := os.Open(dir)
	if err != nil {
		return Disk{}, err
	}
	defer func() { _ = f.Close() }() // only read
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return Disk{}, fmt.Errorf("sync file system of %s: %w", dir, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return Disk{}, fmt.Errorf("stat %s: %w", dir, err)
	}
	path := fmt.Sprintf("/sys/dev/block/%d:%d/stat", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)))
	text, err := os.ReadFile(path)
	if err != nil {
		return Disk{}, err
	}
	return parseDisk(string(text))
}

// parseDisk reads the line that the kernel's Documentation/block/stat.rst describes.
func parseDisk(text string) (Disk, error) {
	const (
		sectorsWritten = 6
		flushesDone    = 15 // since Linux 5.5
	)
	fields := strings.Fields(text)
	if len(fields) <= flushesDone {
		return Disk{}, fmt.Errorf("parse statistics of a block device: %d fields, want more than %d", len(fields), flushesDone)
	}
	sectors, err := strconv.ParseInt(fields[sectorsWritten], 10, 64)
	if err != nil {
		return Disk{}, fmt.Errorf("parse sectors written: %w", err)
	}
	flushes, err := strconv.Atoi(fields[flushesDone])
	if err != nil {
		return Disk{}, fmt.Errorf("parse flushes: %w", err)
	}
	return Disk{Bytes: sectors * 512, Flushes: flushes}, nil // always in units of 512 bytes
}
