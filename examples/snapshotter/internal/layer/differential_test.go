package layer_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/audit"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

// maker makes archives of few names, so that entries, links and whiteouts meet.
type maker struct{ *rand.Rand }

func (m maker) pick(names ...string) string { return names[m.IntN(len(names))] }

// path returns a name of up to three components.
func (m maker) path() string {
	name := m.pick("a", "b", "c", "d")
	for range m.IntN(3) {
		name += "/" + m.pick("a", "b", "x")
	}
	return name
}

func (m maker) item() item {
	name := m.path()
	switch m.IntN(10) {
	case 0, 1:
		return dir(name)
	case 2, 3:
		return symlink(name, m.pick("a", "b", "c", "../a", "../c", "a/b", "b/../c", ".", "./d", "../b/a"))
	case 4:
		return link(name, m.path())
	case 5, 6:
		at, last := "", name
		for i, r := range name {
			if r == '/' {
				at, last = name[:i+1], name[i+1:]
			}
		}
		return file(at+".wh."+last, "")
	case 7:
		return file(name+"/.wh..wh..opq", "")
	default:
		return file(name, m.pick("1", "2", "3"))
	}
}

// stack returns the archives of two to four layers that can be unpacked on top of
// each other. An entry that would be refused is replaced by another.
func (m maker) stack(t *testing.T) (archives [][]byte) {
	for range 2 + m.IntN(3) {
		var all []item
		for range 1 + m.IntN(8) {
			next := append(all[:len(all):len(all)], m.item())
			if _, err := unpacked(t, append(archives[:len(archives):len(archives)], archive(t, next...))); err == nil {
				all = next
			}
		}
		if len(all) > 0 {
			archives = append(archives, archive(t, all...))
		}
	}
	return archives
}

func unpacked(t *testing.T, archives [][]byte) (tree.Tree, error) {
	a := newArena(t)
	for _, data := range archives {
		if err := layer.Unpack(context.Background(), a.root, bytes.NewReader(data), small); err != nil {
			return nil, err
		}
	}
	a.requireConfined(t)
	return tree.Scan(a.root.Name())
}

// TestUnpackLikeOracle unpacks stacks of random layers and sees that the oracle,
// which does the same in its own way, comes to the same result.
func TestUnpackLikeOracle(t *testing.T) {
	for seed := range uint64(80) {
		archives := maker{rand.New(rand.NewPCG(seed, 0))}.stack(t)
		got, err := unpacked(t, archives)
		require.NoError(t, err)
		var paths []string
		for _, data := range archives {
			paths = append(paths, write(t, data))
		}
		want, err := audit.NewOracle().Expect("key", paths)
		require.NoError(t, err)
		got[layer.OwnerFile] = layer.OwnerNode("key")
		require.Empty(t, got.Difference(want), "seed %d", seed)
	}
}
