// Package layer unpacks the layers of container images: tar archives, plain or
// compressed with gzip, whose whiteouts hide what the layers below left.
//
// An archive is hostile until shown otherwise. Every path goes through an os.Root,
// so nothing is read, written or linked outside the directory that is filled:
// not by "..", not by an absolute path, and not through a symbolic link that the
// archive planted before. So a layer is refused that puts an entry into a directory
// behind an absolute link, as Debian's var/run is one: the root of the directory is
// not that of the machine. Device nodes are refused, sizes and depths are bounded.
//
// Owners, times and extended attributes are not restored, and neither are the
// set-user-id bits. Files are made readable and writable for the owner, and
// directories searchable too, so that an ordinary user can clone and remove them.
package layer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// Errors that Unpack returns in an *fs.PathError whose path is the entry's name.
var (
	// ErrEscape is returned for an entry that leads out of the directory.
	ErrEscape = errors.New("leads out of the root")
	// ErrName is returned for a name that no file system takes, for one of more than
	// 128 components, and for an impossible whiteout.
	ErrName = errors.New("invalid name")
	// ErrReserved is returned for an entry called as OwnerFile, in the root.
	ErrReserved = errors.New("name is reserved")
	// ErrType is returned for device nodes, pipes and entries of unknown type.
	ErrType = errors.New("entry type not allowed")
	// ErrLimit is returned when the archive holds more than Limits allows.
	ErrLimit = errors.New("archive too large")
)

// Errors that Unpack returns for the archive as a whole.
var (
	// ErrEmpty is returned for an archive without any entry, as an empty file is.
	ErrEmpty = errors.New("archive has no entry")
	// ErrFormat is returned for what is neither a tar archive nor one packed by gzip.
	ErrFormat = errors.New("neither tar nor gzip")
)

// Unpack applies the archive to the directory under root, on top of what is there.
// An entry replaces an earlier one of the same name, whatever their types. After an
// error the directory is partly filled; nothing outside it has changed. What was
// unpacked is not durable before Sync.
func Unpack(ctx context.Context, root *os.Root, archive io.Reader, limits Limits) error {
	limits = limits.orDefault()
	plain, err := Decompress(&meter{ctx: ctx, r: archive, left: limits.Bytes})
	if err != nil {
		return wrap(err)
	}
	stream := tar.NewReader(&meter{ctx: ctx, r: plain, left: limits.Bytes})
	u := unpacker{root: root, left: limits, made: map[string]bool{}, known: map[string]bool{}, escapes: escapeError(root)}
	for first := true; ; first = false {
		header, err := stream.Next()
		if errors.Is(err, io.EOF) && first {
			return wrap(ErrEmpty)
		}
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, plain) // gzip's checksum comes last
			return wrap(err)
		}
		if errors.Is(err, tar.ErrHeader) && first {
			return wrap(fmt.Errorf("%w: %w", ErrFormat, err))
		}
		if err != nil {
			return wrap(err)
		}
		if err := u.entry(header, stream); err != nil {
			return &fs.PathError{Op: "unpack", Path: header.Name, Err: err}
		}
	}
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("unpack layer: %w", err)
}

// escapeError returns the error with which root refuses a path that leads out of
// it. Package os exports no name for it.
func escapeError(root *os.Root) error {
	_, err := root.Lstat("..")
	return errors.Unwrap(err)
}

// An unpacker applies one archive.
type unpacker struct {
	root    *os.Root
	left    Limits
	made    map[string]bool // resolved names, by this archive, with all directories above
	known   map[string]bool // resolved names that are directories, with all above
	escapes error
}

func (u *unpacker) entry(header *tar.Header, content io.Reader) error {
	if u.left.Entries--; u.left.Entries < 0 {
		return ErrLimit
	}
	if header.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name, err := clean(header.Name)
	if err != nil {
		return err
	}
	if err := u.apply(name, header, content); err != nil {
		if u.escapes != nil && errors.Is(err, u.escapes) {
			return fmt.Errorf("%w: %w", ErrEscape, err)
		}
		return err
	}
	return nil
}

func (u *unpacker) apply(name string, header *tar.Header, content io.Reader) error {
	if name == "." {
		if header.Typeflag != tar.TypeDir {
			return ErrType
		}
		return nil // the root is there, and its mode is the backing's affair
	}
	if done, err := u.whiteout(name); done || err != nil {
		return err
	}
	dir, err := u.resolve(path.Dir(name), true)
	if err != nil {
		return err
	}
	name = path.Join(dir, path.Base(name))
	if err := u.admit(name); err != nil {
		return err
	}
	for p := name; p != "." && !u.made[p]; p = path.Dir(p) {
		u.made[p] = true
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return u.directory(name, header.FileInfo().Mode().Perm())
	case tar.TypeReg, tar.TypeGNUSparse:
		return u.file(name, header, content)
	case tar.TypeSymlink:
		return u.symlink(name, header.Linkname)
	case tar.TypeLink:
		return u.link(name, header.Linkname)
	default:
		return ErrType
	}
}
