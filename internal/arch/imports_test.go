package arch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rule says what one package may import of this project, beside itself. A package
// name that ends in "/..." stands for a directory and everything below it, which
// may import one another.
type rule struct {
	pkg     string
	imports []string // by every file
	tests   []string // by its tests as well
	testing bool     // it is made for tests: it may import testing and testify
}

// table is the architecture. Arrows point down only, that is, to rules further up
// in this list. A package that has no rule is a violation: whoever adds one decides
// here where it belongs. Only tests may import what is made for tests; faultfs also
// serves the examples and the command.
var table = []rule{
	{pkg: "."},
	{pkg: "internal/arch"},
	{pkg: "internal/testenv", testing: true},
	{pkg: "internal/iocount", tests: []string{"internal/testenv"}},
	{pkg: "faultfs/...", tests: []string{"internal/testenv"}, testing: true},
	{pkg: "atomicfile", tests: []string{"faultfs", "internal/iocount", "internal/testenv"}},
	{
		pkg:     "store",
		imports: []string{"atomicfile"},
		tests:   []string{"faultfs", "internal/iocount", "internal/testenv", "store/backing", "store/storetest"},
	},
	{
		pkg:     "store/backing",
		imports: []string{"atomicfile", "store"},
		tests:   []string{"faultfs", "internal/iocount", "internal/testenv", "store/storetest"},
	},
	{
		pkg:     "store/storetest",
		imports: []string{"faultfs", "store"},
		tests:   []string{"internal/iocount", "internal/testenv", "store/backing"},
		testing: true,
	},
	{
		pkg:     "recovery",
		imports: []string{"atomicfile", "store"},
		tests:   []string{"faultfs", "internal/iocount", "internal/testenv", "store/backing", "store/storetest"},
	},
	{
		pkg:     "bench/...",
		imports: []string{"atomicfile", "internal/iocount", "recovery", "store", "store/backing"},
		tests:   []string{"internal/testenv"},
	},
	{
		pkg:     "cmd/driftless/...",
		imports: []string{"atomicfile", "faultfs", "recovery", "store", "store/backing"},
		tests:   []string{"internal/testenv"},
	},
	{
		pkg:     "examples/...",
		imports: []string{"atomicfile", "faultfs", "recovery", "store", "store/backing"},
		tests:   []string{"internal/testenv", "store/storetest"},
	},
}

// covers reports whether r is the rule of pkg.
func (r rule) covers(pkg string) bool {
	dir, tree := strings.CutSuffix(r.pkg, "/...")
	return pkg == dir || tree && strings.HasPrefix(pkg, dir+"/")
}

// forbids returns why a file under r may not import path; empty if it may.
func (r rule) forbids(path string, test bool) string {
	if local, ours := inProject(path); ours {
		allowed := r.covers(local) || slices.Contains(r.imports, local) || test && slices.Contains(r.tests, local)
		if !allowed {
			return "no arrow leads there"
		}
		return ""
	}
	for _, dir := range []string{"testing", "github.com/stretchr/testify"} {
		if (path == dir || strings.HasPrefix(path, dir+"/")) && !test && !r.testing {
			return "it is for tests only"
		}
	}
	return ""
}

// inProject returns path from the project's root, if it is a package of the project.
func inProject(path string) (string, bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// checkImports returns the imports of the tree that rules does not allow.
func checkImports(rules []rule, tree []source) []string {
	var violations []string
	for _, s := range tree {
		i := slices.IndexFunc(rules, func(r rule) bool { return r.covers(s.pkg) })
		if i < 0 {
			violations = append(violations, fmt.Sprintf("%s: package %s has no rule", s.path, s.pkg))
			continue
		}
		for _, path := range s.imports() {
			if why := rules[i].forbids(path, s.test); why != "" {
				violations = append(violations, fmt.Sprintf("%s: may not import %s: %s", s.path, path, why))
			}
		}
	}
	return violations
}

func TestImports(t *testing.T) {
	none(t, checkImports(table, project(t)))
}

// checkTable returns the arrows of rules that do not point to an earlier rule.
func checkTable(rules []rule) []string {
	var violations []string
	for i, r := range rules {
		for _, to := range r.imports {
			j := slices.IndexFunc(rules, func(r rule) bool { return r.covers(to) })
			if j < 0 || j >= i {
				violations = append(violations, fmt.Sprintf("%s -> %s does not point down", r.pkg, to))
			}
		}
	}
	return violations
}

func TestTablePointsDown(t *testing.T) {
	none(t, checkTable(table))
	require.NotEmpty(t, checkTable([]rule{{pkg: "a", imports: []string{"b"}}, {pkg: "b"}}), "upwards")
	require.NotEmpty(t, checkTable([]rule{{pkg: "a", imports: []string{"a"}}}), "to itself")
	require.NotEmpty(t, checkTable([]rule{{pkg: "a", imports: []string{"none"}}}), "to nothing")
}

func TestImportsCanFail(t *testing.T) {
	const ours = module + "/"
	for _, tt := range []struct {
		name, path, imports, want string
	}{
		{"store imports atomicfile", "store/a.go", ours + "atomicfile", ""},
		{"a foreign module", "store/a.go", "go.etcd.io/bbolt", ""},
		{"a test imports the kit", "store/a_test.go", ours + "store/storetest", ""},
		{"a test imports its package", "store/a_test.go", ours + "store", ""},
		{"a test imports testify", "store/a_test.go", "github.com/stretchr/testify/require", ""},
		{"the kit imports testing", "store/storetest/a.go", "testing", ""},
		{"within a tree", "examples/ipam/a.go", ours + "examples/internal/churn", ""},
		{"an example imports faultfs", "examples/ipam/a.go", ours + "faultfs", ""},

		{"upwards", "store/a.go", ours + "recovery", "no arrow"},
		{"upwards in a file for another system", "store/a_windows.go", ours + "recovery", "no arrow"},
		{"upwards in a test", "atomicfile/a_test.go", ours + "store", "no arrow"},
		{"faultfs knows whom it tests", "faultfs/model/a.go", ours + "store", "no arrow"},
		{"production imports faultfs", "recovery/a.go", ours + "faultfs", "no arrow"},
		{"production imports the kit", "store/backing/a.go", ours + "store/storetest", "no arrow"},
		{"a command imports the kit", "cmd/driftless/a.go", ours + "store/storetest", "no arrow"},
		{"production imports the test helpers", "examples/ipam/a.go", ours + "internal/testenv", "no arrow"},
		{"the library imports an example", "recovery/a.go", ours + "examples/ipam", "no arrow"},
		{"the root package", "store/a.go", module, "no arrow"},
		{"production imports testing", "store/a.go", "testing", "for tests only"},
		{"production imports below testing", "store/a.go", "testing/fstest", "for tests only"},
		{"production imports testify", "bench/a.go", "github.com/stretchr/testify/require", "for tests only"},
		{"a package without a rule", "store/secret/a.go", "os", "has no rule"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := planted(t, map[string]string{tt.path: fmt.Sprintf("package a\n\nimport %q\n", tt.imports)})
			got := checkImports(table, tree)
			if tt.want == "" {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			require.Contains(t, got[0], tt.want)
		})
	}
}
