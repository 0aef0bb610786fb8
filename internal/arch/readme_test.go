package arch_test

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// unknownTests returns the tests that a document names in backquotes and that no
// file of the tree declares: every guarantee is a test's name, or it is none.
func unknownTests(tree []source, document string) (unknown []string) {
	var declared []string
	for _, s := range tree {
		if !s.test {
			continue
		}
		for _, f := range s.functions() {
			declared = append(declared, f.Name.Name)
		}
	}
	for _, match := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark|Example)[A-Z]\\w*)`").FindAllStringSubmatch(document, -1) {
		if !slices.Contains(declared, match[1]) {
			unknown = append(unknown, match[1])
		}
	}
	return unknown
}

// brokenLinks returns the relative links of a document that lead nowhere.
func brokenLinks(fsys fs.FS, document string) (broken []string) {
	for _, match := range regexp.MustCompile(`\]\(([^):#]+)\)`).FindAllStringSubmatch(document, -1) {
		if _, err := fs.Stat(fsys, match[1]); err != nil {
			broken = append(broken, match[1])
		}
	}
	return broken
}

func TestDocumentsNameRealThings(t *testing.T) {
	fsys := os.DirFS(root)
	tree, err := load(fsys)
	require.NoError(t, err)
	documents := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"}
	decisions, err := fs.Glob(fsys, "docs/decisions/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, decisions)
	named := 0
	for _, name := range append(documents, decisions...) {
		text, err := fs.ReadFile(fsys, name)
		require.NoError(t, err)
		require.Empty(t, unknownTests(tree, string(text)), name)
		require.Empty(t, brokenLinks(fsys, string(text)), name)
		named += strings.Count(string(text), "`Test")
	}
	require.Greater(t, named, 20)
}

func TestDocumentRulesCanFail(t *testing.T) {
	fsys := fstest.MapFS{"a_test.go": {Data: []byte("package a_test\nfunc TestReal() {}\n")}}
	tree, err := load(fsys)
	require.NoError(t, err)
	require.Equal(t, []string{"TestGone"}, unknownTests(tree, "`TestReal` and `TestGone`, not `Testing`"))
	require.Equal(t, []string{"gone.go"}, brokenLinks(fsys, "[a](a_test.go) [b](gone.go) [c](https://example.org)"))
}
