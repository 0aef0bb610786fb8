package model

import "strconv"

// The built-in models. See docs of each; those of a file system stand for its
// default mount options on Linux.
var (
	// PosixWeak is what POSIX leaves open and a disk with sectors of 512 bytes
	// adds: data, sizes and each name may be lost on their own, fsync of a file
	// says nothing about its name. A program that survives it does not depend on
	// its file system.
	PosixWeak = Model{Name: "posix-weak", Tear: 512, SizeAlone: true, Rename: AcrossInHalves, DropFailed: true}

	// Posix4K is PosixWeak on a medium that writes 4096 bytes at once.
	Posix4K = Model{Name: "posix-4k", Tear: 4096, SizeAlone: true, Rename: AcrossInHalves, DropFailed: true}

	// Ext4 is ext4 with data=ordered and delayed allocation: names go through a
	// journal in order, data does not wait for them. A rename that was not
	// preceded by an fsync can leave a file of the right size full of zeros, and
	// fdatasync of the file does not commit one.
	Ext4 = Model{Name: "ext4", Tear: 4096, SizeAlone: true, Order: Journal, Fsync: Earlier, DropFailed: true}

	// XFS is XFS: a journal of names as in Ext4, which fdatasync commits as well; a
	// size follows its data.
	XFS = Model{Name: "xfs", Tear: 4096, Order: Journal, Fsync: Earlier, FdatasyncNames: true, DropFailed: true}

	// Btrfs is btrfs: between two transactions fsync logs the one file with its
	// names, and no other change. A rename of a file between directories is there
	// at once, or after an fsync of the new directory with the old name beside it.
	Btrfs = Model{Name: "btrfs", Tear: 4096, Order: Journal, Fsync: OwnNames, DropFailed: true}

	// FAT32 is vfat on Linux: nothing is ordered, blocks are not cleared, and a
	// rename is two changes. No overwrite by rename is atomic under it. Fsync of a
	// file writes one sector of its directory, in which its name may not be whole.
	FAT32 = Model{Name: "fat32", Tear: 512, SizeAlone: true, Stale: true, Rename: Halves, DropFailed: true}
)

// All returns the built-in models.
func All() []Model {
	return []Model{PosixWeak, Posix4K, Ext4, XFS, Btrfs, FAT32}
}

// Torn returns m with a tear size of n bytes.
func (m Model) Torn(n int64) Model {
	m.Tear = n
	m.Name += "+torn" + strconv.FormatInt(n, 10)
	return m
}

// LyingFlush returns m on a medium that acknowledges flushes and does not do them.
func (m Model) LyingFlush() Model {
	m.Lying = true
	m.Name += "+lying"
	return m
}

// CollateralDamage returns m on flash with erase blocks of n bytes.
func (m Model) CollateralDamage(n int64) Model {
	m.Collateral = n
	m.Name += "+collateral" + strconv.FormatInt(n, 10)
	return m
}

// WithBitRot returns m on a medium that flips a bit.
func (m Model) WithBitRot() Model {
	m.BitRot = true
	m.Name += "+bitrot"
	return m
}
