package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/audit"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/churn"
)

// maxFindings bounds what is printed of the differences; all of them are counted.
const maxFindings = 10

// A summary is the result for machines. Wrong owners are in the drift alone.
type summary struct {
	Operations int     `json:"operations"`
	Crashes    int     `json:"crashes"`
	Lost       int     `json:"lost"`
	Leaked     int     `json:"leaked"`
	Orphans    int     `json:"orphans"`
	Drift      int     `json:"drift"`
	Seconds    float64 `json:"seconds"`
}

// print writes the table, and examples of what was found to stderr.
func (o options) print(stdout, stderr io.Writer, r churn.Result) error {
	for i, f := range r.Findings {
		if i == maxFindings {
			_, _ = fmt.Fprintf(stderr, "and %d more\n", len(r.Findings)-i)
			break
		}
		_, _ = fmt.Fprintln(stderr, f)
	}
	if r.Failed > 0 {
		_, _ = fmt.Fprintf(stderr, "first of %d failed operations: %s\n", r.Failed, r.Failure)
	}
	protocol := "driftless"
	if o.naive {
		protocol = "naive"
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, value any) { _, _ = fmt.Fprintf(w, "%s\t%v\t\n", name, value) }
	row("protocol", protocol)
	row("seed", o.seed)
	row("seconds", fmt.Sprintf("%.1f", r.Elapsed.Seconds()))
	row("operations", r.Operations)
	row("failed", r.Failed)
	row("crashes", r.Crashes)
	row("lost", r.Count(audit.Lost))
	row("leaked ids", r.Count(audit.Leaked))
	row("orphans", r.Count(audit.Orphan))
	row("wrong owners", r.Count(audit.WrongOwner))
	row("drift", r.Drift())
	for _, step := range r.Steps {
		row("killed "+step.Name, step.Hits)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print table: %w", err)
	}
	if !o.json {
		return nil
	}
	return json.NewEncoder(stdout).Encode(summary{
		Operations: r.Operations, Crashes: r.Crashes, Lost: r.Count(audit.Lost),
		Leaked: r.Count(audit.Leaked), Orphans: r.Count(audit.Orphan), Drift: r.Drift(),
		Seconds: r.Elapsed.Seconds(),
	})
}
