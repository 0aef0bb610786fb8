// Package model describes, as data, what a power cut can leave of the file
// operations that a program made.
//
// A Model answers four questions: in which pieces a change reaches the medium, in
// which order, what a sync makes durable, and what the hardware does wrong beside
// losing what was not synced. The explorer knows no file system; it reads these
// fields. The built-in models are variables, to be copied and changed:
//
//	m := model.Ext4.Torn(512)
//
// What none of them contains: a state in which bytes that one sync made durable
// are lost (Lying and the damage fields apart), and one in which a piece holds
// content that it never had: a piece of Tear bytes holds one of the versions that
// it had since it was last durable.
package model

// Model is a set of rules. The zero Model loses nothing but what was never synced,
// in whole operations and in any order.
type Model struct {
	// Name is how reports and replay ids call it: lower-case letters, digits,
	// '-' and '+'.
	Name string

	// Tear is the number of bytes, aligned in the file, that reach the medium
	// wholly or not at all. A write of more can arrive in part, in any
	// combination of such pieces. 0: a write is never torn.
	Tear int64

	// SizeAlone: the new size of a file that grew can reach the medium before
	// the data; what lies between reads as zeros, or as old blocks with Stale.
	SizeAlone bool

	// Stale: blocks that were allocated and never written show what the medium
	// held before (a fixed pattern stands for it), not zeros.
	Stale bool

	// Order is the order in which changes of names, sizes and attributes reach
	// the medium.
	Order Order

	// Fsync is what else becomes durable with the data and attributes of the
	// file that is synced.
	Fsync Fsync

	// FdatasyncNames: with Earlier, fdatasync of a file commits the links, renames
	// and unlinks of it, as fsync does. Without, of its names only the creation.
	FdatasyncNames bool

	// Rename is how the two names of a rename reach the medium.
	Rename Rename

	// DropFailed: pieces whose sync failed are marked clean by the kernel: a
	// later sync that succeeds does not write them. This is what Linux does.
	DropFailed bool

	// Lying: the medium acknowledges flushes and keeps the data in a volatile
	// cache: a sync makes nothing durable.
	Lying bool

	// Collateral is the size in bytes of an erase block: a write that the power
	// cut interrupts can destroy the other pieces of the block, durable or not.
	// At most one piece is destroyed in each state. 0: none.
	Collateral int64

	// BitRot: in each state one bit of one file can be wrong.
	BitRot bool
}

// Order is the order of changes of names, sizes and attributes.
type Order uint8

const (
	AnyOrder Order = iota // each may be lost alone
	Journal               // what is there is a prefix of what was done
)

// Fsync is what an fsync of one file carries beside its data and attributes.
// fdatasync leaves out what is not needed to read the data back.
type Fsync uint8

const (
	// FileOnly: the file alone. Its name takes an fsync of the directory.
	FileOnly Fsync = iota

	// OwnNames: also the names of this file, and those of the directories above
	// it that are new. The sync of a directory carries the names in it: of a file
	// that was renamed from another directory the new name, and not that the old
	// one is gone.
	OwnNames

	// Earlier: every change of names, sizes and attributes up to the last change
	// of this file, as a journal that is committed does.
	Earlier
)

// Rename is how a rename reaches the medium.
type Rename uint8

const (
	// Atomic: both names at once.
	Atomic Rename = iota

	// AcrossInHalves: within one directory at once; between two directories the
	// new name may be there with the old one still in place. No state lacks
	// both. A directory that has both is shown under one of them.
	AcrossInHalves

	// Halves: the old name and the new one are two changes without an order; the
	// new name shows an empty file until the renamed file itself is synced, and
	// the content of a file that is replaced can be gone from the start of the
	// rename. This is FAT.
	Halves
)
