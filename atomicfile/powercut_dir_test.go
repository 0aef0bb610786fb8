//go:build linux

package atomicfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/driftlesskv/driftless/atomicfile"
	"github.com/driftlesskv/driftless/faultfs"
)

// all are the models in which a rename within a directory is one change.
var all = faultfs.Models(faultfs.PosixWeak, faultfs.Posix4K, faultfs.Ext4, faultfs.XFS, faultfs.Btrfs)

// A change is one operation on a directory and what it makes of its entries: names
// with the content of files, "dir" for directories.
type change struct {
	do    func(d *atomicfile.Dir) error
	after map[string]string
	loose string // an entry that the operation makes without promising it to be whole before nil
}

// changes is a program: every method of Dir that changes something.
func changes() []change {
	write := func(name, data string, opts atomicfile.Options) func(*atomicfile.Dir) error {
		return func(d *atomicfile.Dir) error { return d.WriteFile(name, []byte(data), opts) }
	}
	return []change{
		{do: write("a", "one", atomicfile.Options{}), after: map[string]string{"a": "one"}},
		{do: func(d *atomicfile.Dir) error { return d.Mkdir("sub", 0o750) }, after: map[string]string{"a": "one", "sub": "dir"}},
		{do: write("b", "two", atomicfile.Options{Exclusive: true}), after: map[string]string{"a": "one", "b": "two", "sub": "dir"}},
		{do: func(d *atomicfile.Dir) error { return d.Rename("a", "b") }, after: map[string]string{"b": "one", "sub": "dir"}},
		{do: func(d *atomicfile.Dir) error { return d.Rename("b", "c") }, after: map[string]string{"c": "one", "sub": "dir"}},
		{do: func(d *atomicfile.Dir) error { return d.Remove("sub") }, after: map[string]string{"c": "one"}},
		{do: plain("log", "three"), after: map[string]string{"c": "one", "log": "three"}, loose: "log"},
		{do: func(d *atomicfile.Dir) error { return d.Remove("c") }, after: map[string]string{"log": "three"}},
		{do: func(d *atomicfile.Dir) error { return d.Remove("log") }, after: map[string]string{}},
	}
}

// plain makes a file as any program does, and its name durable by Dir.Sync.
func plain(name, data string) func(*atomicfile.Dir) error {
	return func(d *atomicfile.Dir) error {
		f, err := d.Root().OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = f.WriteString(data)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
		return d.Sync()
	}
}

// entriesOf returns the entries of dir in the form of change.after, without
// temporary files.
func entriesOf(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), atomicfile.TempPrefix) {
			continue
		}
		if e.IsDir() {
			found[e.Name()] = "dir"
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		found[e.Name()] = string(data)
	}
	return found, nil
}

// dirWork makes all changes, in order.
func dirWork(w *faultfs.W) error {
	d, err := atomicfile.OpenDir(w.Dir())
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	for i, c := range changes() {
		w.Begin("change", i)
		if err := c.do(d); err != nil {
			return err
		}
		w.Ack("change", i)
	}
	return nil
}

// dirVerify returns an error unless the directory is as the acknowledged changes
// left it, or as the one after them does.
func dirVerify(s *faultfs.State) error {
	found, err := entriesOf(s.Dir())
	if err != nil {
		return err
	}
	acked, begun := len(s.Acked("change")), len(s.Begun("change"))
	want := func(done int) map[string]string {
		if done == 0 {
			return map[string]string{}
		}
		return maps.Clone(changes()[done-1].after)
	}
	seen, before, after := maps.Clone(found), want(acked), want(begun)
	if begun > acked {
		if loose := changes()[acked].loose; loose != "" {
			delete(seen, loose)
			delete(after, loose)
		}
	}
	if !maps.Equal(seen, before) && !maps.Equal(seen, after) {
		return fmt.Errorf("after %d changes, %d begun, the entries are %v", acked, begun, found)
	}
	if info, err := os.Stat(filepath.Join(s.Dir(), "sub")); err == nil && acked >= 2 && info.Mode().Perm() != 0o750 {
		return fmt.Errorf("the mode of the directory is %v", info.Mode())
	}
	return dirNext(s.Dir(), found)
}

// dirNext returns an error unless every entry can be removed and made again.
func dirNext(dir string, found map[string]string) error {
	d, err := atomicfile.OpenDir(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	for name := range found {
		if err := d.Remove(name); err != nil {
			return fmt.Errorf("next operation: %w", err)
		}
	}
	for i, c := range changes() {
		if err := c.do(d); err != nil {
			return fmt.Errorf("change %d once more: %w", i, err)
		}
	}
	return nil
}

// Each method of Dir is all or nothing, and durable on nil.
func TestPowerCutDir(t *testing.T) {
	faultfs.Run(t, faultfs.Test{Work: dirWork, Verify: dirVerify}, all, faultfs.Exhaustive())
}

// tree are the directories that a program makes, one path after another, and the file
// that it writes into each.
var tree = []string{"a", "a/b/c", "a/b/d", "a/b/c/e/f"}

// treeWork makes some of them.
func treeWork(paths []string) func(w *faultfs.W) error {
	return func(w *faultfs.W) error {
		for _, path := range paths {
			w.Begin("make", path)
			if err := atomicfile.MkdirAll(filepath.Join(w.Dir(), path), 0o755); err != nil {
				return err
			}
			w.Ack("make", path)
			w.Begin("write", path)
			if err := atomicfile.WriteFile(filepath.Join(w.Dir(), path, "file"), []byte(path), atomicfile.Options{}); err != nil {
				return err
			}
			w.Ack("write", path)
		}
		return nil
	}
}

func treeVerify(s *faultfs.State) error {
	for _, path := range faultfs.Args[string](s.Acked("make")) {
		info, err := os.Stat(filepath.Join(s.Dir(), path))
		if err != nil {
			return err
		}
		if info.Mode() != fs.ModeDir|0o755 {
			return fmt.Errorf("the mode of %s is %v", path, info.Mode())
		}
	}
	for _, path := range faultfs.Args[string](s.Acked("write")) {
		data, err := os.ReadFile(filepath.Join(s.Dir(), path, "file"))
		if err != nil || string(data) != path {
			return fmt.Errorf("file in %s is %q: %w", path, data, err)
		}
	}
	for _, path := range tree {
		path = filepath.Join(s.Dir(), path)
		if err := atomicfile.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("next operation: %w", err)
		}
		if err := checkNext(filepath.Join(path, "file")); err != nil {
			return err
		}
	}
	return nil
}

// MkdirAll makes every directory of a path durable, whichever of them were there,
// and whatever an earlier call has left.
func TestPowerCutMkdirAll(t *testing.T) {
	faultfs.Run(t, faultfs.Test{Work: treeWork(tree), Verify: treeVerify}, all, faultfs.Exhaustive())
}

// A second program that finds directories which the first one made and did not live
// to sync makes them durable itself.
func TestPowerCutMkdirAllFound(t *testing.T) {
	faultfs.Run(t, faultfs.Test{
		Work: func(w *faultfs.W) error {
			path := filepath.Join(w.Dir(), "a")
			if err := os.Mkdir(path, 0o755); err != nil {
				return err
			}
			w.Begin("make", "a")
			if err := atomicfile.MkdirAll(path, 0o755); err != nil {
				return err
			}
			w.Ack("make", "a")
			return nil
		},
		Verify: treeVerify,
	}, all, faultfs.Exhaustive())
}

// Of several that make the same directories at once each answers nil only once they
// are durable, whoever made them.
func TestPowerCutMkdirAllRace(t *testing.T) {
	const rounds, makers = 8, 4
	faultfs.Run(t, faultfs.Test{
		Work: func(w *faultfs.W) error {
			var errs [rounds * makers]error
			for round := range rounds {
				path := filepath.Join(w.Dir(), fmt.Sprint(round), "sub")
				var crew sync.WaitGroup
				for maker := range makers {
					crew.Go(func() {
						i := round*makers + maker
						if errs[i] = atomicfile.MkdirAll(path, 0o755); errs[i] == nil {
							w.Ack("make", fmt.Sprint(round, "/sub"))
						}
					})
				}
				crew.Wait()
			}
			return errors.Join(errs[:]...)
		},
		Verify: func(s *faultfs.State) error {
			for _, path := range faultfs.Args[string](s.Acked("make")) {
				if _, err := os.Stat(filepath.Join(s.Dir(), path)); err != nil {
					return err // of the mode nothing is said: it is the maker's
				}
			}
			return nil
		},
	}, faultfs.Models(faultfs.PosixWeak), faultfs.States(1000))
}

// The same for a removal: that there is nothing to remove is told when that is durable.
func TestPowerCutRemoveFound(t *testing.T) {
	faultfs.Run(t, faultfs.Test{
		Setup: func(dir string) error {
			return errors.Join(writeSynced(filepath.Join(dir, "file"), version(1, 10)), syncPath(dir))
		},
		Work: func(w *faultfs.W) error {
			if err := os.Remove(filepath.Join(w.Dir(), "file")); err != nil {
				return err
			}
			d, err := atomicfile.OpenDir(w.Dir())
			if err != nil {
				return err
			}
			defer func() { _ = d.Close() }()
			if err := d.Remove("file"); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("the second removal: %w", err)
			}
			w.Ack("remove")
			return nil
		},
		Verify: func(s *faultfs.State) error {
			if _, err := os.Stat(filepath.Join(s.Dir(), "file")); len(s.Acked("remove")) > 0 && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("it is back: %w", err)
			}
			return checkNext(filepath.Join(s.Dir(), "file"))
		},
	}, all, faultfs.Exhaustive())
}
