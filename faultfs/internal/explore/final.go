package explore

import (
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// Final returns the files as all operations of tr left them: what the program saw in
// the end. The error is that of New.
func Final(tr *trace.Trace) (*tree.Tree, error) {
	b := newBuilder(tr, model.Model{Name: "final"})
	if err := b.run(); err != nil {
		return nil, err
	}
	return b.live, nil
}
