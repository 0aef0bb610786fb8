package faultfs

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/driftlesskv/driftless/faultfs/internal/explore"
)

const (
	// texts is how many violations of one model are reported with their text.
	texts = 100
	// shrinkTrials and shrinkTime bound what is spent on a smaller story.
	shrinkTrials = 300
	shrinkTime   = 20 * time.Second
)

// tell turns findings into violations. The earliest gets a story, of the smallest
// state that still violates.
func (r *run) tell(x *explore.Explorer, found []finding, m Model) []Violation {
	r.t.Helper()
	slices.SortStableFunc(found, func(a, b finding) int { return cmp.Compare(point(x, a), point(x, b)) })
	var violations []Violation
	for i, f := range found[:min(len(found), texts)] {
		v := Violation{Model: m.Name, Text: f.Text}
		if i == 0 {
			if err := r.explain(&v, f, m); err != nil {
				r.t.Errorf("faultfs: explain a violation: %v", err)
				v.Story = cmp.Or(v.Story, "  without a story")
			}
		}
		violations = append(violations, v)
	}
	return violations
}

// point returns the crash point of f; those of recoveries come last.
func point(x *explore.Explorer, f finding) int {
	s, err := x.Parse(f.State)
	if f.Root != "" || err != nil {
		return math.MaxInt
	}
	return s.Point
}

// explain keeps the trace of f, shrinks its state and writes the story into v.
func (r *run) explain(v *Violation, f finding, m Model) error {
	file, keepErr := r.keep(f.Trace)
	if keepErr != nil {
		file = f.Trace
	}
	id := replayID{file, m.Name, f.State}
	tr, x, s, err := id.find([]Model{m})
	if err != nil {
		return err
	}
	s, v.Text = r.shrink(x, s, v.Text, job{Trace: file, Model: m})
	id.state = s.ID()
	v.Story = newStory(tr, x, s)
	if keepErr == nil {
		v.Replay = id.String()
		v.Story += "\n  look at it: " + id.command(r.call)
	}
	if r.story != "" {
		v.Story = "  " + r.story + "\n" + v.Story
	}
	if keepErr != nil {
		return keepErr
	}
	return os.WriteFile(file+".txt", []byte(v.Text+"\n"+v.Story+"\n"), 0o600)
}

// keep copies a trace to where it outlives the test, for a replay.
func (r *run) keep(from string) (string, error) {
	if r.kept == "" {
		dir := keptDir(r.call)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", fmt.Errorf("make a directory for failures: %w", err)
		}
		kept, err := os.MkdirTemp(dir, time.Now().Format("20060102-150405-"))
		if err != nil {
			return "", fmt.Errorf("make a directory for a failure: %w", err)
		}
		r.kept = kept
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return "", fmt.Errorf("read a trace: %w", err)
	}
	f, err := os.CreateTemp(r.kept, callName(r.call)+"-*.trace")
	if err != nil {
		return "", fmt.Errorf("keep a trace: %w", err)
	}
	if _, err := f.Write(data); err != nil {
		return "", fmt.Errorf("keep a trace: %w", closed(err, f))
	}
	return f.Name(), f.Close()
}

// keptDir is where failures of c are kept.
func keptDir(c call) string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("faultfs-failures-%d", os.Getuid()), callName(c))
}

// callName is what the names of the traces of c that are kept begin with, so that
// they can be told apart wherever they are copied to.
func callName(c call) string {
	return fmt.Sprintf("%s-%d", unsafeRunes.ReplaceAllString(c.test, "_"), c.number)
}

var unsafeRunes = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// shrink returns the state with the fewest lost operations that still violates, and
// what is wrong with it: it gives back one operation after the other, the last
// first.
func (r *run) shrink(x *explore.Explorer, s explore.State, text string, j job) (explore.State, string) {
	until := time.Now().Add(shrinkTime)
	trials := 0
	for smaller := true; smaller; {
		smaller = false
		for _, l := range slices.Backward(x.Lost(s)) {
			if trials == shrinkTrials || time.Now().After(until) {
				return s, text
			}
			t, ok := x.Restore(s, l.Op)
			if !ok {
				continue
			}
			trials++
			if said := r.violates(t, j); said != "" {
				s, text, smaller = t, said, true
			}
		}
	}
	return s, text
}

// violates verifies s once more and returns what is wrong with it; empty if nothing
// is, or if that cannot be found out.
func (r *run) violates(s explore.State, j job) string {
	j.States = []string{s.ID()}
	said := ""
	err := r.pool.run(new(tally), []job{j}, func(*job, int, int) {}, func(f finding) { said = f.Text })
	if err != nil {
		return ""
	}
	return said
}
