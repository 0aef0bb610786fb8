// Package store keeps what a program's metadata says and what the machine really
// has the same, through any crash.
//
// A DB is a small key-value store: flat buckets of ordered keys, transactions that
// are durable when Update returns nil, snapshots that never wait. On top of it a
// device table (Devices) gives names to numbered resources outside the database,
// such as thin devices, subvolumes, directories or addresses, which a Backing
// makes and removes. No transaction spans the two; the protocol below makes the
// pair behave as if one did.
//
// # Invariants
//
// Code, tests and Check cite these by number.
//
//  1. Durable after nil. What Update, Prepare, Claim, Unclaim, Create and Remove
//     acknowledged survives any later power cut.
//  2. All or nothing. What was not acknowledged is, after recovery, wholly there or
//     wholly absent.
//  3. Free means absent. An id whose state is free has no backing resource; so a
//     create never meets "already exists".
//  4. Present means owned. After recovery every backing resource is named by exactly
//     one record, or is reported as an orphan. None is leaked silently.
//  5. One owner. No id is ever held by two names; a stale holder of a reused id is
//     refused: each resource bears the stamp of the intent that made it.
//  6. Nothing is destroyed on doubt. Probing can answer unknown. Unknown changes
//     nothing and never turns a healthy device into a faulty one.
//  7. Recovery is idempotent and crash-safe itself, and bounded: a step that fails
//     MaxAttempts times marks its device faulty, and start-up goes on.
//  8. A failed sync is sticky. After a write or sync error every later mutation
//     returns ErrFailed, reads serve the last durable state, nothing of the failed
//     commit is visible; closing writes nothing; reopen to recover. A medium that is
//     found full before anything was published is no such error: ErrNoSpace, and the
//     store goes on.
//  9. No silent damage. Every stored value carries a CRC-32C; a bad one is
//     quarantined and reported, the rest stays readable.
//  10. Still works afterwards. After any crash and recovery the next operation
//     succeeds.
//
// # Protocol of the device table
//
// A record is keyed by its id; name to id is an index. If a record is durable,
// everything committed before it is. Lazy means committed in order, but flushed with
// the next commit, at Close, or after Options.SettleDelay.
//
//	step                 Prepare                Create              Remove
//	flushed first        taken, creating,       taken, creating,    removing,
//	                     unclaimed              claimed             name released
//	then outside         Backing.Create         Backing.Create      Backing.Remove
//	then lazily          present                present             id free
//	nil means            durable, unclaimed     durable, claimed    durable: gone
//
// Claim and Unclaim are one flushed record each. A crash leaves creating or removing
// records; Settle asks the backing what is there and rolls forward what is complete,
// and undoes or retries the rest. Until then the name answers ErrPending.
//
// A caller with records of its own makes a device by Prepare, filling it, its own
// transaction, Claim; and deletes one by Unclaim, its own transaction, Remove.
// Whatever crash falls between, its own records decide at start-up: see
// recovery.Table.Owner.
//
// # Concurrency
//
// All methods of DB and Devices may be called from any number of goroutines. A Tx
// belongs to the goroutine that it was passed to.
package store
