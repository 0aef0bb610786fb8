package layer

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links Linux follows on the way to one name.
const maxLinks = 40

// resolve returns the directory that dir leads to, without any link in its name. A
// directory has one such name only, so whether this archive made an entry can be
// looked up by it. With create, missing directories are made, also where a link
// points to them; without, the error for them is fs.ErrNotExist.
func (u *unpacker) resolve(dir string, create bool) (string, error) {
	parts, at, links := split(dir), ".", 0
	for len(parts) > 0 {
		part := parts[0]
		parts = parts[1:]
		if part == ".." { // of a link, for clean refuses it in names
			if at == "." {
				return "", ErrEscape
			}
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		target, err := u.step(next, create)
		if err != nil {
			return "", err
		}
		if target == "" {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "resolve", Path: dir, Err: syscall.ELOOP}
		}
		if path.IsAbs(target) {
			return "", ErrEscape
		}
		parts = append(split(target), parts...)
	}
	return at, nil
}

// step looks at one component on the way, whose parent has been resolved. It returns
// the target of a link, and "" for a directory.
func (u *unpacker) step(name string, create bool) (target string, err error) {
	if u.known[name] {
		return "", nil
	}
	info, err := u.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && create:
		if err := u.implied(name); err != nil {
			return "", err
		}
	case err != nil:
		return "", err
	case info.Mode().Type() == fs.ModeSymlink:
		return u.root.Readlink(name)
	case !info.IsDir() && create:
		return "", &fs.PathError{Op: "mkdir", Path: name, Err: fs.ErrExist}
	case !info.IsDir():
		return "", &fs.PathError{Op: "resolve", Path: name, Err: fs.ErrNotExist}
	}
	u.known[name] = true
	return "", nil
}

// implied makes a directory on the way to an entry that has no entry of its own. It
// counts as one: otherwise a few long names would make any number of directories.
func (u *unpacker) implied(name string) error {
	if err := u.admit(name); err != nil {
		return err
	}
	if u.left.Entries--; u.left.Entries < 0 {
		return ErrLimit
	}
	return u.mkdir(name, 0o755)
}

// admit refuses a resolved name at which nothing may be made.
func (u *unpacker) admit(name string) error {
	if strings.Count(name, "/") >= maxDepth {
		return ErrName
	}
	if name == OwnerFile {
		return ErrReserved
	}
	return nil
}

// remove deletes name and everything below it. All deletions go through here, so
// that what is known stays true.
func (u *unpacker) remove(name string) error {
	if u.known[name] {
		for dir := range u.known {
			if dir == name || strings.HasPrefix(dir, name+"/") {
				delete(u.known, dir)
			}
		}
	}
	return u.root.RemoveAll(name)
}

// split returns the components of a path, except those that lead nowhere.
func split(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(part string) bool {
		return part == "" || part == "."
	})
}
