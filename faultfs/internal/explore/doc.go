// Package explore knows which states a power cut can leave of what a trace recorded,
// under a model, and goes through them.
//
// # Atoms
//
// An atom is what may or may not have reached the medium: a tear unit of a write or
// of a hole, a size, a change of names, an attribute. Times are not looked at. The
// atoms of an operation may be there from its start; an operation that failed has
// none. An atom becomes durable when a sync that covers it returns, and until then it
// is pending. A state consists of everything that is durable and some of what is
// pending. Which sets are legal is said by what an atom needs of earlier ones:
//
//   - A tear unit of a file is a chain of versions: a later change of it needs the
//     earlier one. A truncate is a version of every unit that it cuts. So an older
//     write never comes back over a newer one, not even if a sync of a range makes
//     only the newer one durable: what becomes durable takes along what it needs.
//   - The sizes of a file are a chain. Data needs the first size from which on the
//     file is long enough. If the model has no sizes alone, data that makes the file
//     longer brings the size with it.
//   - The changes of one name in one directory are a chain, and those of one
//     attribute of an inode. A rename is one change of two names, or, by the model,
//     two: then the new name is there first, or they are independent. A rename on FAT
//     has a third part, see model.Halves: the new name shows an empty file before it
//     shows the renamed one. Exchanging two names is in halves on FAT alone.
//   - In the order of a journal, changes of names and attributes, truncates and
//     fallocates need all earlier ones that are pending. The growth by a write needs
//     those before the write; none of them needs a growth. Data in place is free. A medium
//     that lies about flushes keeps no order between changes of different things.
//
// An inode exists in every state; without a name it is not seen. A directory that has
// two names in a state, because only half of its rename is there, is written under the
// first. Operations that overlap count as done in the order of their starts. A write
// of what is there already is no change, unless an earlier one of the unit is pending
// or an interrupted write can damage its neighbours.
//
// # Syncs
//
// A sync covers only operations that ended before it started, and only if it
// succeeded.
//
//   - fsync covers data, sizes and attributes of its inode; fdatasync leaves out the
//     attributes; the sync of a directory covers the changes of names in it, and of a
//     rename in halves between directories the one of the new name with the new
//     directory, both with the old one. A synchronous write covers its range and the
//     size, and with SyncFull the attributes; a synchronous msync its range and the
//     size. syncfs covers all, sync_file_range nothing.
//   - With model.OwnNames all of these cover also names that the inode itself got by a
//     create, link or rename (with the removal of the old name), and those of the
//     directories above it of which the creation is pending. An unlink is not covered.
//     A rename of a file between directories that is whole (model.Atomic) is so until
//     the new directory is synced, which covers the new name alone; from then on the
//     removal of the old one is a change of its own.
//   - With model.Earlier they cover also all that a journal orders up to the last
//     change of the inode: of names that lead to it or are in it, of its size and,
//     with SyncFull, its attributes. Without SyncFull and model.FdatasyncNames, of the
//     names that lead to it only the one that it was created with counts: ext4 notes
//     for fdatasync the last change of the size or the blocks, and a rename is neither.
//     Data in place does not count: whether its time of change goes to the journal
//     depends on the clock.
//   - With model.DropFailed, data that a failed sync would have covered stays pending
//     for ever, until a later write of the same unit is synced. Errors that say that
//     the call was wrong or interrupted drop nothing.
//
// # Crash points
//
// The power can go at any moment, but only some have to be looked at: just before the
// end of each sync that makes something durable, just before each begin that follows
// an operation or an ack (or nothing), and the end. So that what overtakes the journal
// is seen, a sync of that kind counts as an operation. Between two of them changes are
// only added to what is pending, and what is pending may be lost: each state of an
// earlier moment is one of the next point. What that point has beside are acks, which
// make verification stricter. Begins, which make it more lenient, it does not have:
// there is a point just before the first begin that follows anything new.
package explore
