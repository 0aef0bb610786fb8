package audit

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"strings"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

// An Oracle knows what a chain of layers unpacks to without unpacking it: it applies
// the archives to a table in memory. It is a second implementation, written apart
// from package layer, so that the two can only agree if both are right.
type Oracle struct{ chains map[string]tree.Tree }

// NewOracle returns an Oracle. It must not be used by several goroutines at once.
func NewOracle() *Oracle { return &Oracle{map[string]tree.Tree{"": {}}} }

// Expect returns the content of the snapshot key made of these archives, the lowest
// first.
func (o *Oracle) Expect(key string, archives []string) (tree.Tree, error) {
	t, err := o.chain(archives)
	if err != nil {
		return nil, fmt.Errorf("expect content: %w", err)
	}
	t = maps.Clone(t)
	replace(t, layer.OwnerFile)
	t[layer.OwnerFile] = layer.OwnerNode(key)
	return t, nil
}

func (o *Oracle) chain(archives []string) (tree.Tree, error) {
	name := strings.Join(archives, "\x00")
	if t, ok := o.chains[name]; ok {
		return t, nil
	}
	top := len(archives) - 1
	below, err := o.chain(archives[:top])
	if err != nil {
		return nil, err
	}
	t := maps.Clone(below)
	if err := apply(t, archives[top]); err != nil {
		return nil, err
	}
	o.chains[name] = t
	return t, nil
}

func apply(t tree.Tree, archive string) (err error) {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	plain, err := layer.Decompress(f)
	if err != nil {
		return err
	}
	stream, made := tar.NewReader(plain), map[string]bool{}
	for {
		header, err := stream.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		hash, err := tree.HashOf(stream)
		if err != nil {
			return err
		}
		add(t, made, header, hash)
	}
}

func add(t tree.Tree, made map[string]bool, header *tar.Header, hash string) {
	dir, base := path.Split(path.Clean(header.Name))
	dir = resolve(t, ".", dir)
	name := path.Join(dir, base)
	if whiteout, ok := strings.CutPrefix(base, ".wh."); ok {
		if whiteout == ".wh..opq" {
			hide(t, dir+"/", made)
		} else if !strings.HasPrefix(whiteout, ".wh.") {
			hide(t, path.Join(dir, whiteout), made)
		}
		return
	}
	if name == "." {
		return
	}
	made[name] = true
	for ; dir != "."; dir = path.Dir(dir) {
		made[dir] = true
		if _, ok := t[dir]; !ok {
			t[dir] = tree.Node{Mode: fs.ModeDir | 0o755}
		}
	}
	perm := header.FileInfo().Mode().Perm()
	switch header.Typeflag {
	case tar.TypeDir:
		if !t[name].Mode.IsDir() {
			replace(t, name)
		}
		t[name] = tree.Node{Mode: fs.ModeDir | perm | 0o700}
		return
	case tar.TypeSymlink:
		replace(t, name)
		t[name] = tree.Node{Mode: fs.ModeSymlink, Data: header.Linkname}
	case tar.TypeLink:
		target := path.Clean(header.Linkname)
		node := t[path.Join(resolve(t, ".", path.Dir(target)), path.Base(target))]
		replace(t, name)
		t[name] = node
	default:
		replace(t, name)
		t[name] = tree.Node{Mode: perm | 0o600, Data: hash}
	}
}

// replace deletes name for something else to take its place. Most names are new, so
// it is worth while not to look through the whole tree for what is below.
func replace(t tree.Tree, name string) {
	if t[name].Mode.IsDir() {
		hide(t, name, nil)
	}
	delete(t, name)
}

// hide deletes name and what is below it, or only the latter if name ends in a
// slash, except for what is in keep.
func hide(t tree.Tree, name string, keep map[string]bool) {
	below := strings.TrimPrefix(strings.TrimSuffix(name, "/")+"/", "./")
	for p := range t {
		if (p == name || strings.HasPrefix(p, below)) && !keep[p] {
			delete(t, p)
		}
	}
}

// resolve follows way from the directory dir, and the links on it. A link that leads
// out of the root is for the unpacker to refuse, and never gets this far.
func resolve(t tree.Tree, dir, way string) string {
	for part := range strings.SplitSeq(way, "/") {
		switch next := path.Join(dir, part); {
		case part == "..":
			dir = path.Dir(dir)
		case t[next].Mode.Type() == fs.ModeSymlink:
			dir = resolve(t, dir, t[next].Data)
		default:
			dir = next
		}
	}
	return dir
}
