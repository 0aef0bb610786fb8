package planted_test

import (
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/faultfs/internal/capture"
	"github.com/driftlesskv/driftless/faultfs/model"
	"github.com/stretchr/testify/assert"
)

// plant is a program that forgets something before it acknowledges, and its twin,
// which differs in nothing else.
type plant struct {
	name   string
	setup  func(dir string) error
	work   func(w *faultfs.W, bug bool) error
	verify func(s *faultfs.State) error

	in        []string // the models under which it is a bug
	hopeless  []string // the models under which the twin is one as well
	forgotten string   // in the story of each violation of the bug: the sync that was missing
	note      string   // why in these models and in no other
}

// The models, by name.
var (
	everywhere = names(model.All()...)
	fat        = names(model.FAT32)
	posixOrFAT = names(model.PosixWeak, model.Posix4K, model.FAT32)
)

func names(models ...model.Model) []string {
	var list []string
	for _, m := range models {
		list = append(list, m.Name)
	}
	return list
}

// TestPlantedBugs runs every plant, and its twin, under every built-in model: the
// bug is found in exactly those in which it is one.
func TestPlantedBugs(t *testing.T) {
	for _, tt := range slices.Concat(renames, orders, directories, syncs, databases) {
		t.Run(tt.name, func(t *testing.T) {
			t.Run("bug", func(t *testing.T) { tt.run(t, true, tt.in) })
			t.Run("twin", func(t *testing.T) { tt.run(t, false, tt.hopeless) })
		})
	}
}

// run explores one of the two programs and compares the models that it fails in
// with those in which it has to.
func (p plant) run(t *testing.T, bug bool, want []string) {
	test := faultfs.Test{
		Setup:  p.setup,
		Work:   func(w *faultfs.W) error { return p.work(w, bug) },
		Verify: p.verify,
	}
	var report faultfs.Report
	c := capture.Run(t, func(t faultfs.TB) {
		report = faultfs.Run(t, test, faultfs.Models(model.All()...), faultfs.Budget(5*time.Second))
	})
	var found []string
	for _, m := range report.Models {
		if m.Found > 0 {
			found = append(found, m.Model)
		}
		if bug {
			p.checkStories(t, m)
		}
	}
	assert.Len(t, report.Models, len(model.All()))
	assert.Equal(t, want, found, "the models under which it fails (%s)\n%s", p.note, c.Text())
	assert.Equal(t, len(want) > 0, c.Failed(), "whether Run failed the test")
	assert.NotContains(t, c.Text(), "blind spot")
}

// checkStories demands that the failures under a model name what was forgotten, and
// where in this package.
func (p plant) checkStories(t *testing.T, m faultfs.ModelReport) {
	told := 0
	for _, v := range m.Violations {
		if v.Story == "" {
			continue
		}
		told++
		assert.Contains(t, v.Story, "missing: an fsync", "%s: %s", m.Model, v.Text)
		assert.Contains(t, v.Story, p.forgotten, "%s: %s", m.Model, v.Text)
		assert.Contains(t, v.Story, sourceOf(p), "%s: %s", m.Model, v.Text)
		assert.NotEmpty(t, v.Replay)
	}
	assert.Equal(t, m.Found > 0, told > 0, "%s: a failure without a story", m.Model)
}

// sourceOf returns the name of the file that the program of p is written in.
func sourceOf(p plant) string {
	pc := reflect.ValueOf(p.work).Pointer()
	file, _ := runtime.FuncForPC(pc).FileLine(pc)
	return filepath.Base(file)
}
