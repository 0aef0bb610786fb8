package trace

// Kind is what an operation does.
type Kind uint8

// The kinds of operations. In brackets the fields of Op that they use beside the
// ones that all have.
const (
	Write       Kind = iota + 1 // Ino Off Data Sync
	Truncate                    // Ino Len: the size becomes Len, what is new reads as zeros
	Fallocate                   // Ino Len: the size becomes Len, without data; Len 0: the size stays
	Punch                       // Ino Off Len: a hole; the size stays
	Create                      // Dir Name Ino Mode
	Tmpfile                     // Ino Mode: a file without a name
	Mkdir                       // Dir Name Ino Mode
	Symlink                     // Dir Name Ino Mode Data
	Mknod                       // Dir Name Ino Mode
	Link                        // Dir Name Ino: one more name
	Unlink                      // Dir Name Ino
	Rmdir                       // Dir Name Ino
	Rename                      // Dir Name To New Ino Over Exchange
	Chmod                       // Ino Mode
	Chown                       // Ino UID GID
	Utimes                      // Ino
	Setxattr                    // Ino Attr Data
	Removexattr                 // Ino Attr
	Fsync                       // Ino Sync
	SyncRange                   // Ino Off Len: sync_file_range, which promises nothing
	Msync                       // Ino Off Len Sync
	Syncfs                      // everything on the file system
	kinds
)

var kindNames = [kinds]string{
	Write: "write", Truncate: "truncate", Fallocate: "fallocate", Punch: "punch hole", Create: "create", Tmpfile: "tmpfile",
	Mkdir: "mkdir", Symlink: "symlink", Mknod: "mknod", Link: "link", Unlink: "unlink", Rmdir: "rmdir", Rename: "rename",
	Chmod: "chmod", Chown: "chown", Utimes: "utimes", Setxattr: "setxattr", Removexattr: "removexattr",
	Fsync: "fsync", SyncRange: "sync_file_range", Msync: "msync", Syncfs: "syncfs",
}

// String returns the name of the system call that stands for k.
func (k Kind) String() string {
	if k == 0 || k >= kinds {
		return "unknown"
	}
	return kindNames[k]
}
