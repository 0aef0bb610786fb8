package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

// naiveVolumes reads every directory in dir, whose names are the ids.
func naiveVolumes(dir string) ([]Volume, error) {
	return volumes(dir, "", func(v *Volume, path string) error {
		v.ID = parseID(v.Name, 10, "%d")
		return v.read(path)
	})
}

// carefulVolumes reads the directories that a backing.Dir keeps in dir: the ids
// there are hexadecimal, and beside the content lies the stamp. What is being made
// or removed has no business to be there while nothing runs, and neither has
// anything that is not part of the layout.
func carefulVolumes(dir string) ([]Volume, error) {
	all, err := volumes(dir, "devices", func(v *Volume, path string) error {
		v.ID = parseID(filepath.Base(path), 16, "%08x")
		text, err := os.ReadFile(filepath.Join(path, "stamp"))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if stamp, ok := strings.CutPrefix(line, "stamp "); ok {
				v.Stamp = strings.TrimSpace(stamp)
			}
		}
		return v.read(filepath.Join(path, "data"))
	})
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if v.ID == 0 {
			continue // a stray as a whole
		}
		beside, err := strays(dir, v.Name, "stamp", "data")
		if err != nil {
			return nil, err
		}
		all = append(all, beside...)
	}
	for _, name := range []string{"staging", "trash"} {
		half, err := strays(dir, name)
		if err != nil {
			return nil, err
		}
		all = append(all, half...)
	}
	beside, err := strays(dir, "", "identity", "devices", "staging", "trash")
	return append(all, beside...), err
}

// parseID returns the id that has exactly this name, and 0 if there is none: with
// zeros put before it, a name would stand for the id of another directory.
func parseID(name string, base int, format string) uint32 {
	id, err := strconv.ParseUint(name, base, 32)
	if err != nil || fmt.Sprintf(format, id) != name {
		return 0
	}
	return uint32(id)
}

// strays returns the entries of the directory below in dir that are not expected
// there, as the volumes of nobody.
func strays(dir, below string, expected ...string) (all []Volume, err error) {
	entries, err := volumes(dir, below, func(*Volume, string) error { return nil })
	for _, v := range entries {
		if !slices.Contains(expected, filepath.Base(v.Name)) {
			all = append(all, v)
		}
	}
	return all, err
}

// volumes returns what read makes of each entry of the directory below in dir. An
// entry of which a part is missing is returned as far as it goes.
func volumes(dir, below string, read func(v *Volume, path string) error) (all []Volume, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, below))
	if err != nil {
		return nil, fmt.Errorf("read volumes: %w", err)
	}
	for _, entry := range entries {
		v := Volume{Name: filepath.Join(below, entry.Name())}
		if entry.IsDir() {
			if err := read(&v, filepath.Join(dir, v.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("read volume %s: %w", v.Name, err)
			}
		}
		all = append(all, v)
	}
	return all, nil
}

// read reads the content, as the operating system shows it.
func (v *Volume) read(content string) (err error) {
	info, err := os.Lstat(content)
	if err != nil {
		return err
	}
	if !info.IsDir() { // a link to equal content is not the content
		v.Tree = tree.Tree{".": {Mode: info.Mode().Type()}}
		return nil
	}
	if v.Tree, err = tree.Scan(content); err != nil {
		return err
	}
	owner, err := os.ReadFile(filepath.Join(content, layer.OwnerFile))
	v.Owner = string(owner)
	return err
}
