// Package faultfs proves that a program survives power cuts: in go test, without
// root, without FUSE, and without a change to the program.
//
// It runs the program once, records every change that it makes to files below one
// directory, and then makes the states that a power cut at any moment can leave:
// writes that never reached the medium or did so in part, sizes without their data,
// names that were lost or came first. Each state is given to a function of yours
// that restarts the program on it and says what is wrong.
//
//	func TestPowerCut(t *testing.T) {
//		faultfs.Run(t, faultfs.Test{
//			Work: func(w *faultfs.W) error {
//				for i := range 10 {
//					if err := save(w.Dir(), i); err != nil {
//						return err
//					}
//					w.Ack("save", i)
//				}
//				return nil
//			},
//			Verify: func(s *faultfs.State) error {
//				n, err := load(s.Dir())
//				if err != nil {
//					return err
//				}
//				if acked := s.Acked("save"); n < len(acked)-1 {
//					return fmt.Errorf("%d saves were acknowledged, and the file has %d", len(acked), n)
//				}
//				return save(s.Dir(), n+1) // the next operation works
//			},
//		})
//	}
//
// # What is run where
//
// The test process starts copies of the test binary, which run the same test
// function up to the call of [Run]: one for Setup and Work, under the recorder, and
// several that call Recover and Verify for one state after the other, on a tmpfs if
// there is one. So what the test function does before Run happens in each of them;
// keep it short, and let everything that matters go through the directory and
// through marks ([W.Begin], [W.Ack]). What follows Run happens only in the test
// process. A state that makes Verify panic, exit or hang is a violation as well.
//
// # What is recorded
//
// All system calls that change a file, a name or an attribute below the directory,
// of Work and of every process that it starts, with their data, their start and
// end, and the line of your code that made them; and all syncs: fsync, fdatasync,
// sync_file_range, msync, syncfs, sync, O_SYNC, O_DSYNC, RWF_SYNC, RWF_DSYNC. The
// kernel hands each of them to the recorder (seccomp user notification), which
// carries it out on behalf of the program and notes the result. Reads cost nothing.
//
// What cannot be seen is reported, and fails the test: stores through writable
// shared memory maps of files ([AcceptBlind] says why that is right for some). Uring
// and asynchronous I/O are refused to the program, which falls back. Change times are
// recorded and not explored: all states have the time at which they were made.
//
// It needs Linux 5.19 or later on amd64 or arm64; see [Supported].
//
// # What a power cut can leave
//
// A [Model] says so, as data: see package model. [PosixWeak] is what the standards
// promise and no more; [Ext4], [XFS], [Btrfs] and [FAT32] describe file systems of
// Linux. [Models] chooses; a program that holds under PosixWeak does not depend on
// its file system, and one that holds under Ext4 alone should say so. Variants of a
// model have torn sectors, a medium that lies about flushes, flash that loses
// neighbours of the block being written, and bit rot.
//
// A crash point is a moment of the recording. At each, every change that was not
// yet made durable by a sync that began after it had ended is there or not, as far
// as the model leaves it open. If these are at most as many as [Subsets] says, all
// are explored; else a sample is: none, all, each prefix, each change alone and all
// but each, by operation and by file, and random ones from [Seed]. The log line of
// a model says which it was and of how many:
//
//	ext4: exhaustive: 642 of 642 legal states at 87 crash points of 104 operations, ...
//	posix-weak: sampled: 20000 of 2^61 legal states at ...
//
// Only states that differ, in files or in marks, are verified. [Budget] and
// [States] bound the exploration; [Exhaustive] demands all of it. [Nested] cuts off
// the recovery as well.
//
// # Reading a failure
//
// A failure is shrunk to the fewest lost operations with which Verify still fails.
// The story lists the operations that matter with file:line, what was lost, what
// was acknowledged, and which sync was missing in between. The replay line writes
// the state out into a directory to look at:
//
//	go test ./mystore -run '^TestPowerCut$' -faultfs.replay=...
//
// # When an operation fails
//
// [Sweep] lets the n-th operation fail, for all n, with an errno ([Fail]), a short
// write ([ShortWrite]), a delay ([Slow]) or without an end ([Hang]), and explores
// power cuts of each such run: an error that the program did not return must not
// have cost anything that it acknowledged.
//
// # Limits
//
//   - Setup is not recorded: what changes files during Work has to be started by Work.
//     At its end the files are compared with what was recorded.
//   - Paths in files, and symlinks, that are absolute and lead into the directory
//     lead nowhere in a state, which is in a directory of its own.
//   - Copies of the test binary must reach the same calls of Run in the same order: no
//     call in a loop over a map, none in several goroutines of one test, none in a
//     benchmark.
//   - TMPDIR is another directory in the copies of the test binary, and -test.short is
//     the only flag of go test that they get; all others they get as they are. What
//     runs in them counts for no coverage profile. A data race in them is reported as
//     their end.
//   - Set-user-id programs have no effect under a recorder, and what a process does
//     with other credentials is done with those of the recorder; that is reported.
//   - A file that is renamed into the directory from elsewhere over another is taken
//     for two operations.
//   - Failures are kept in the directory for temporary files, for their replay.
//
// # Programs that are not in Go
//
// The command powercut does the same for a shell script or any other program:
//
//	go run github.com/driftlesskv/driftless/faultfs/cmd/powercut -work 'CMD' -verify 'CMD'
package faultfs
