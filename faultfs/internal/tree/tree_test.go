package tree_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

const file = tree.ModeRegular | 0o644

// made returns a tree of one file f with the contents, inode 2.
func made(contents string) *tree.Tree {
	t := tree.New(0o755)
	t.Make(2, tree.Inode{Mode: file})
	t.Enter(tree.Root, "f", 2)
	t.WriteAt(2, 0, []byte(contents))
	return t
}

func contents(t *tree.Tree, ino tree.Ino) string {
	p := make([]byte, t.Size(ino))
	return string(p[:t.ReadAt(ino, 0, p)])
}

func TestCloneSharesUntilAChange(t *testing.T) {
	changes := map[string]func(*tree.Tree){
		"make":         func(t *tree.Tree) { t.Make(2, tree.Inode{Mode: file | 1}) },
		"enter":        func(t *tree.Tree) { t.Enter(tree.Root, "g", 2) },
		"replace":      func(t *tree.Tree) { t.Make(3, tree.Inode{Mode: file}); t.Enter(tree.Root, "f", 3) },
		"remove":       func(t *tree.Tree) { t.Remove(tree.Root, "f") },
		"write":        func(t *tree.Tree) { t.WriteAt(2, 1, []byte("X")) },
		"write far":    func(t *tree.Tree) { t.WriteAt(2, 1<<40, []byte("X")) },
		"shrink":       func(t *tree.Tree) { t.Resize(2, 1) },
		"grow":         func(t *tree.Tree) { t.Resize(2, 1<<20) },
		"punch":        func(t *tree.Tree) { t.Punch(2, 1, 1) },
		"chmod":        func(t *tree.Tree) { t.Chmod(2, 0o600) },
		"chown":        func(t *tree.Tree) { t.Chown(2, 1, 0) },
		"chgrp":        func(t *tree.Tree) { t.Chown(2, 0, 1) },
		"set xattr":    func(t *tree.Tree) { t.SetXattr(2, "user.a", []byte("2")) },
		"add xattr":    func(t *tree.Tree) { t.SetXattr(2, "user.b", nil) },
		"remove xattr": func(t *tree.Tree) { t.RemoveXattr(2, "user.a") },
	}
	hashes := map[tree.Sum]string{}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			a := made("hello")
			a.SetXattr(2, "user.a", []byte("1"))
			before := a.Hash()
			b := a.Clone()
			require.Equal(t, before, b.Hash())
			require.Empty(t, tree.Diff(a, b))

			change(b)
			require.Equal(t, before, a.Hash())
			require.NotEqual(t, before, b.Hash())
			require.NotEmpty(t, tree.Diff(a, b))
			require.Empty(t, hashes[b.Hash()])
			hashes[b.Hash()] = name

			change(a)
			require.Equal(t, b.Hash(), a.Hash(), "the original can change too")
		})
	}
}

// A file is a string of bytes: whatever is done to it in blocks and chunks.
func TestFileIsBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr, want := made(""), []byte{}
		offset := rapid.OneOf(rapid.IntRange(0, 9000), rapid.Just(4096), rapid.IntRange(262000, 600000))
		for range rapid.IntRange(1, 12).Draw(t, "ops") {
			if rapid.Bool().Draw(t, "clone") {
				tr = tr.Clone()
			}
			off := offset.Draw(t, "off")
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				p := make([]byte, rapid.IntRange(1, 9000).Draw(t, "len"))
				for i := range p {
					p[i] = byte(off + i/7)
				}
				tr.WriteAt(2, int64(off), p)
				want = append(want, make([]byte, max(0, off+len(p)-len(want)))...)
				copy(want[off:], p)
			case 1:
				tr.Resize(2, int64(off))
				want = append(want[:min(off, len(want))], make([]byte, max(0, off-len(want)))...)
			case 2:
				end := offset.Draw(t, "end")
				tr.Punch(2, int64(off), int64(end-off))
				if off < end && off < len(want) {
					clear(want[off:min(end, len(want))])
				}
			}
			require.Equal(t, len(want), int(tr.Size(2)))
			require.True(t, string(want) == contents(tr, 2), "other contents")
		}
		require.Equal(t, made(string(want)).Hash(), tr.Hash(), "the hash does not depend on how it came about")
	})
}

func TestHashIsStable(t *testing.T) {
	tr := made("hello")
	tr.SetXattr(2, "user.a", []byte("1"))
	require.Equal(t, "a786fb131c4d22c0a6008a8e34fab7ad", hexOf(tr), "replay ids and traces of older versions depend on it")
}

func TestHashOfLinks(t *testing.T) {
	two := func(linked bool) *tree.Tree {
		tr := made("same")
		tr.Make(3, tree.Inode{Mode: file})
		tr.WriteAt(3, 0, []byte("same"))
		tr.Enter(tree.Root, "g", 3)
		if linked {
			tr.Enter(tree.Root, "g", 2)
		}
		return tr
	}
	require.NotEqual(t, two(true).Hash(), two(false).Hash())
	require.Equal(t, []string{`g: a link to "f", not to ""`}, tree.Diff(two(false), two(true)))
}

func TestHashIgnoresNumbersAndTheNameless(t *testing.T) {
	a, b := made("x"), tree.New(0o755)
	b.Make(9, tree.Inode{Mode: file})
	b.WriteAt(9, 0, []byte("x"))
	b.Enter(tree.Root, "f", 9)
	b.Make(5, tree.Inode{Mode: file})
	require.Equal(t, a.Hash(), b.Hash())
}

func TestDirectoryCycleIsCut(t *testing.T) {
	tr := tree.New(0o755)
	for ino := tree.Ino(2); ino <= 3; ino++ {
		tr.Make(ino, tree.Inode{Mode: tree.ModeDir | 0o755})
	}
	tr.Enter(tree.Root, "a", 2)
	tr.Enter(2, "b", 3)
	once := tr.Hash()
	tr.Enter(3, "a", 2)
	tr.Enter(3, "root", tree.Root)
	require.Equal(t, once, tr.Hash())
	require.Equal(t, "a/b", tr.Path(3))
}

func TestBadChangesDoNothing(t *testing.T) {
	tr := made("hello")
	tr.Make(3, tree.Inode{Mode: tree.ModeDir | 0o700})
	tr.Enter(tree.Root, "d", 3)
	before := tr.Hash()
	tr.WriteAt(2, -1, []byte("x"))
	tr.WriteAt(2, tree.MaxSize, []byte("x"))
	tr.WriteAt(3, 0, []byte("x"))
	tr.WriteAt(77, 0, []byte("x"))
	tr.Resize(2, -1)
	tr.Resize(2, tree.MaxSize+1)
	tr.Punch(2, 2, -1)
	tr.Punch(2, 1<<60, 1<<60)
	tr.Make(tree.MaxIno+1, tree.Inode{})
	tr.Make(0, tree.Inode{})
	tr.Enter(2, "x", 2)
	tr.Remove(tree.Root, "no")
	tr.RemoveXattr(2, "no")
	tr.Chmod(1<<63, 0)
	require.Equal(t, before, tr.Hash())
	require.Zero(t, tr.Lookup(2, "x"))
}
