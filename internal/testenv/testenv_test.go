package testenv_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/internal/testenv"
)

// outcome is what became of a test: its name and the text it ended with.
type outcome struct{ verdict, text string }

// recorder stands in for the test of a caller, whose skips and failures are what
// is tested here. What ends a test ends the goroutine, as in the real one.
type recorder struct {
	testing.TB
	got outcome
}

func (r *recorder) Helper() {}

func (r *recorder) Skip(args ...any) { r.end("skipped", fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) { r.end("failed", fmt.Sprintf(format, args...)) }

func (r *recorder) end(verdict, text string) {
	r.got = outcome{verdict, text}
	panic(r)
}

// judge runs body as a test and returns its outcome.
func judge(t *testing.T, body func(testing.TB)) (got outcome) {
	t.Helper()
	r := &recorder{TB: t, got: outcome{verdict: "passed"}}
	defer func() {
		if caught := recover(); caught != nil && caught != any(r) {
			panic(caught)
		}
		got = r.got
	}()
	body(r)
	return r.got
}

func TestSkip(t *testing.T) {
	for _, tt := range []struct{ require, want string }{
		{"", "skipped"},
		{"none", "skipped"},
		{"all", "failed"},
	} {
		t.Run("require="+tt.require, func(t *testing.T) {
			t.Setenv(testenv.Require, tt.require)
			got := judge(t, func(tb testing.TB) { testenv.Skip(tb, "no such disk") })
			require.Equal(t, tt.want, got.verdict)
			require.Contains(t, got.text, "no such disk")
		})
	}
}

func TestPrivileges(t *testing.T) {
	needRoot, skipAsRoot := "skipped", "passed"
	if os.Geteuid() == 0 {
		needRoot, skipAsRoot = "passed", "skipped"
	}
	t.Setenv(testenv.Require, "")
	require.Equal(t, needRoot, judge(t, testenv.NeedRoot).verdict)
	t.Setenv(testenv.Require, "all")
	got := judge(t, func(tb testing.TB) { testenv.SkipAsRoot(tb, "root may write everywhere") })
	require.Equal(t, skipAsRoot, got.verdict, "the requirement must not reach SkipAsRoot")
}

func TestNeedTool(t *testing.T) {
	t.Setenv(testenv.Require, "")
	const missing = "driftless-no-such-program"
	got := judge(t, func(tb testing.TB) { testenv.NeedTool(tb, missing) })
	require.Equal(t, "skipped", got.verdict)
	require.Contains(t, got.text, missing)

	var path string
	got = judge(t, func(tb testing.TB) { path = testenv.NeedTool(tb, "go") })
	require.Equal(t, "passed", got.verdict)
	require.FileExists(t, path)
}
