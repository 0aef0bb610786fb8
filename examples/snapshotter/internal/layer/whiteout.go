package layer

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// Whiteouts, as AUFS began them and the OCI image specification keeps them.
const (
	hidePrefix = ".wh."         // .wh.NAME hides NAME of the layers below
	auxPrefix  = ".wh..wh."     // bookkeeping of AUFS itself
	opaque     = ".wh..wh..opq" // hides all that the layers below have in this directory
)

// whiteout carries name out if it is a whiteout, and reports whether it is one. Like
// any entry's, its directory may be reached through links, and is resolved first.
func (u *unpacker) whiteout(name string) (done bool, err error) {
	dir, base := path.Split(name)
	if !strings.HasPrefix(base, hidePrefix) {
		return false, nil
	}
	hidden := strings.TrimPrefix(base, hidePrefix)
	if hidden == "" || hidden == "." || hidden == ".." {
		return true, ErrName
	}
	if strings.HasPrefix(base, auxPrefix) && base != opaque {
		return true, nil
	}
	dir, err = u.resolve(path.Clean(dir), false)
	if err != nil {
		return true, ignoreMissing(err) // nothing to hide there
	}
	if base == opaque {
		return true, u.hideChildren(dir)
	}
	return true, u.hide(path.Join(dir, hidden))
}

// hide removes what the layers below left at the resolved name. What this layer made itself
// stays, wherever in the archive the whiteout stands.
func (u *unpacker) hide(name string) error {
	if u.made[name] {
		return u.hideChildren(name)
	}
	return ignoreMissing(u.remove(name))
}

func (u *unpacker) hideChildren(dir string) error {
	info, err := u.root.Lstat(dir)
	if err != nil || !info.IsDir() {
		return ignoreMissing(err)
	}
	f, err := u.root.Open(dir)
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	for _, name := range names {
		if err := u.hide(path.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
