package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

// naiveVolumes reads every directory in dir, whose names are the ids.
func naiveVolumes(dir string) ([]Volume, error) {
	return volumes(dir, "", func(v *Volume, path string) error {
		id, _ := strconv.ParseUint(v.Name, 10, 32) // 0, if it is none
		v.ID = uint32(id)
		return v.read(path)
	})
}

// carefulVolumes reads the directories that a backing.Dir keeps in dir: the ids
// there are hexadecimal, and beside the content lies the stamp. What is being made
// or removed has no business to be there while nothing runs.
func carefulVolumes(dir string) ([]Volume, error) {
	all, err := volumes(dir, "devices", func(v *Volume, path string) error {
		id, _ := strconv.ParseUint(filepath.Base(path), 16, 32) // 0, if it is none
		v.ID = uint32(id)
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
	for _, name := range []string{"staging", "trash"} {
		half, err := volumes(dir, name, func(*Volume, string) error { return nil })
		if err != nil {
			return nil, err
		}
		all = append(all, half...)
	}
	return all, nil
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
	if v.Tree, err = tree.Scan(content); err != nil {
		return err
	}
	owner, err := os.ReadFile(filepath.Join(content, layer.OwnerFile))
	v.Owner = string(owner)
	return err
}
