package arch_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The limits, in lines. A function counts from "func" to its closing brace. A
// package may have one function in ten, and always one, above the long mark.
const (
	maxFile     = 250
	maxTestFile = 400
	maxFunction = 70
	longMark    = 35
)

// checkSizes returns what is too long in tree. Tests may have long functions, and
// as many as they like, up to the same maximum.
func checkSizes(tree []source) []string {
	var violations []string
	lengths := map[string][]int{}
	for _, s := range tree {
		limit := maxFile
		if s.test {
			limit = maxTestFile
		}
		if s.lines > limit {
			violations = append(violations, fmt.Sprintf("%s: %d lines, at most %d", s.path, s.lines, limit))
		}
		for _, f := range s.functions() {
			n := s.span(f)
			if n > maxFunction {
				violations = append(violations, fmt.Sprintf("%s: %s: %d lines, at most %d", s.path, f.Name.Name, n, maxFunction))
			}
			if !s.test {
				lengths[s.pkg] = append(lengths[s.pkg], n)
			}
		}
	}
	return append(violations, checkLong(lengths)...)
}

// checkLong returns the packages with too many long functions, given the lengths of
// each package's functions.
func checkLong(lengths map[string][]int) []string {
	var violations []string
	for _, pkg := range slices.Sorted(maps.Keys(lengths)) {
		long := 0
		for _, n := range lengths[pkg] {
			if n > longMark {
				long++
			}
		}
		if all := len(lengths[pkg]); long > (all+9)/10 {
			violations = append(violations, fmt.Sprintf("%s: %d of %d functions have more than %d lines, at most one in ten", pkg, long, all, longMark))
		}
	}
	return violations
}

func TestSizes(t *testing.T) {
	none(t, checkSizes(project(t)))
}

// fileOf returns a source file of so many lines.
func fileOf(lines int) string {
	return "package a\n" + strings.Repeat("\n", lines-1)
}

// functionsOf returns a source file with functions of so many lines each.
func functionsOf(lines ...int) string {
	var b strings.Builder
	b.WriteString("package a\n")
	for i, n := range lines {
		// The comment is no part of the function.
		fmt.Fprintf(&b, "\n// f%d is long.\nfunc f%d() {\n%s}\n", i, i, strings.Repeat("\t_ = 0\n", n-2))
	}
	return b.String()
}

func TestSizesCanFail(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"a file at the limit", map[string]string{"a/a.go": fileOf(250)}, nil},
		{"a long file", map[string]string{"a/a.go": fileOf(251)}, []string{"a/a.go: 251 lines, at most 250"}},
		{"a test at the limit", map[string]string{"a/a_test.go": fileOf(400)}, nil},
		{"a long test", map[string]string{"a/a_test.go": fileOf(401)}, []string{"a/a_test.go: 401 lines, at most 400"}},
		{"a function at the limit", map[string]string{"a/a.go": functionsOf(70)}, nil},
		{"a long function", map[string]string{"a/a.go": functionsOf(71)}, []string{"a/a.go: f0: 71 lines, at most 70"}},
		{"a long function in a test", map[string]string{"a/a_test.go": functionsOf(71)}, []string{"a/a_test.go: f0: 71 lines, at most 70"}},
		{"one of ten long", map[string]string{"a/a.go": functionsOf(36, 35, 2, 2, 2, 2, 2, 2, 2, 2)}, nil},
		{
			"two of ten long, in two files",
			map[string]string{"a/a.go": functionsOf(36, 2, 2, 2, 2), "a/b.go": functionsOf(36, 2, 2, 2, 2)},
			[]string{"a: 2 of 10 functions have more than 35 lines, at most one in ten"},
		},
		{"one long in each of two packages", map[string]string{"a/a.go": functionsOf(36), "b/b.go": functionsOf(36)}, nil},
		{"tests with long functions", map[string]string{"a/a_test.go": functionsOf(36, 36, 36)}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, checkSizes(planted(t, tt.files)))
		})
	}
}
