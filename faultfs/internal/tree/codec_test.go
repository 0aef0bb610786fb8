package tree_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/internal/tree/wire"
)

// full returns a tree that uses every field.
func full() *tree.Tree {
	t := made("hello")
	t.SetXattr(2, "user.a", []byte("1"))
	t.SetXattr(2, "user.b", nil)
	t.Make(3, tree.Inode{Mode: tree.ModeDir | 0o700, UID: 5, GID: 1<<32 - 1})
	t.Enter(tree.Root, "d", 3)
	t.Make(5, tree.Inode{Mode: tree.ModeSymlink | 0o777, Target: "../f"})
	t.Enter(3, "link", 5)
	t.Enter(3, "hard", 2)
	t.Make(6, tree.Inode{Mode: file})
	t.WriteAt(6, 1<<40, []byte("far"))
	t.WriteAt(6, 5000, []byte("near"))
	t.Enter(3, "sparse", 6)
	t.Make(7, tree.Inode{Mode: tree.ModeBlock | 0o600, Rdev: 1 << 60})
	t.Make(8, tree.Inode{})
	return t
}

func TestCodec(t *testing.T) {
	for name, tr := range map[string]*tree.Tree{"root": tree.New(0o700), "full": full()} {
		t.Run(name, func(t *testing.T) {
			p := tr.Append(nil)
			r := wire.NewReader(append(p, "rest"...))
			got := tree.Decode(r)
			require.NoError(t, r.Err())
			require.Equal(t, 4, r.Len())
			require.Equal(t, tr.Hash(), got.Hash())
			require.Equal(t, p, got.Append(nil))
			got.WriteAt(2, 0, []byte("it can change"))

			for n := range p {
				r := wire.NewReader(p[:n])
				require.Nil(t, tree.Decode(r))
				require.ErrorIs(t, r.Err(), wire.ErrDamaged)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(full().Append(nil))
	f.Add(tree.New(0).Append(nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		r := wire.NewReader(p)
		tr := tree.Decode(r)
		if r.Err() != nil {
			require.ErrorIs(t, r.Err(), wire.ErrDamaged)
			require.Nil(t, tr)
			return
		}
		hash := tr.Hash()
		again := wire.NewReader(tr.Append(nil))
		copied := tree.Decode(again)
		require.NoError(t, again.Err())
		require.Zero(t, again.Len())
		require.Equal(t, hash, copied.Hash())
		require.Nil(t, tree.Diff(tr, copied))
	})
}
