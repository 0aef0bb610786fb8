// Package atomicfile replaces files durably. After nil the file is the new one,
// through any power cut; after an error or a crash it is the old one or the new
// one, never a mix.
//
// WriteFile makes these system calls, where d is the directory of the file, held
// open throughout, and f a temporary file in it:
//
//	f = openat(d, ".atomicfile-<random>", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600)
//	write(f, data)
//	fchmod(f, mode)     the mode asked for, whatever the umask
//	fsync(f)            the content is durable before any name leads to it
//	close(f)
//	fstatat(d, name)    a symbolic link or a directory is refused
//	renameat(d, ".atomicfile-<random>", d, name)
//	fsync(d)            the new name is durable
//
// Without the last one, which many programs leave out, a power cut brings the old
// file back after the caller was told otherwise. With Options.Exclusive the rename
// is renameat2 with RENAME_NOREPLACE or, on file systems that lack it, linkat and
// unlinkat.
//
// On every error path the temporary file is removed. A crash can leave one behind;
// its name starts with TempPrefix, and it may be deleted whenever no writer is at
// work in the directory.
//
// An fsync of a directory that answers EINVAL or ENOTSUP is taken for success: a
// few network and FUSE file systems have no such operation, and nothing more can
// be done there. No other error is tolerated.
//
// The package works on Linux. Elsewhere every operation returns
// errors.ErrUnsupported.
//
// BUG(atomicfile): vfat does not write the directory entries of a rename in an
// order that survives a power cut, so neither the old nor the new file may be
// readable afterwards. No sequence of calls on one file name avoids that.
package atomicfile
