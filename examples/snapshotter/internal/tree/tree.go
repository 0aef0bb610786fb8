// Package tree describes the content of a directory so that two of them can be
// compared: one as the operating system shows it, one as it ought to be.
package tree

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
)

// A Node is one file, directory or symbolic link.
type Node struct {
	Mode fs.FileMode // type and permission bits; set-user-id and the like are not kept
	Data string      // hash of a file's content, target of a link, empty for a directory
}

// A Tree maps slash-separated paths, relative to its root, to what is there. The
// root itself is not in it. Owners and times are not part of a tree: an ordinary
// user cannot set the first, and the second tell nothing about the content.
type Tree map[string]Node

// Digest returns a hash of t: equal for equal trees, whatever made them.
func (t Tree) Digest() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(t)) {
		n := t[name]
		// A name may hold any byte but NUL, so quoting keeps the lines apart.
		_, _ = fmt.Fprintf(h, "%v %q %q\n", n.Mode, name, n.Data) // a hash never fails
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Hash returns what Node.Data holds for a file with this content.
func Hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// HashOf returns the Hash of what is left in r, whose size does not matter: it is
// never in memory as a whole. Its error is that of r.
func HashOf(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Difference names the first path at which t and want differ, and how. It is
// empty when they are equal.
func (t Tree) Difference(want Tree) string {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch got, ok := t[name]; {
		case !ok:
			return name + " is missing"
		case got.Mode != want[name].Mode:
			return fmt.Sprintf("%s has mode %v instead of %v", name, got.Mode, want[name].Mode)
		case got.Data != want[name].Data:
			return name + " has other content"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if _, ok := want[name]; !ok {
			return name + " is too many"
		}
	}
	return ""
}
