package main

import (
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/churn"
)

// A progress tells how far the run is: with a bar on a terminal, with a few lines
// elsewhere.
type progress struct {
	w     io.Writer
	total int
	bar   *progressbar.ProgressBar // nil: lines
	lines int
}

func newProgress(w io.Writer, total int, what string) *progress {
	p := &progress{w: w, total: total}
	_, _ = fmt.Fprintln(w, what)
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(w),
			progressbar.OptionSetDescription("crashes"),
			progressbar.OptionShowCount(),
			progressbar.OptionClearOnFinish(),
		)
	}
	return p
}

// show is told of every crash.
func (p *progress) show(r churn.Result) {
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("crashes (%d operations, drift %d)", r.Operations, r.Drift()))
		_ = p.bar.Set(r.Crashes) // a bar that cannot be drawn is no reason to stop
		return
	}
	if r.Crashes*4 >= p.total*(p.lines+1) && p.total > 0 {
		p.lines = r.Crashes * 4 / p.total
		_, _ = fmt.Fprintf(p.w, "%d of %d crashes, %d operations, drift %d\n", r.Crashes, p.total, r.Operations, r.Drift())
	}
}

func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
