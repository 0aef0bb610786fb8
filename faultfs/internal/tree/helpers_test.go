package tree_test

import (
	"encoding/hex"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
)

func hexOf(t *tree.Tree) string {
	h := t.Hash()
	return hex.EncodeToString(h[:])
}
