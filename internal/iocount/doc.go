// Package iocount counts what a program asks of the disk, from outside the program:
// the system calls by strace, and what a block device was given by the kernel's
// statistics of it. It is for benchmarks, and for tests of what an operation costs.
//
// Both ways count more than the work in question: opening and closing a database
// flushes too, and a file system writes what it had put off. So a workload is run
// twice, with nothing to do and with n operations, and the difference divided by n.
package iocount
