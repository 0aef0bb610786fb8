package arch_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const (
	root   = "../.."
	module = "github.com/driftlesskv/driftless"
)

// source is one Go file of a tree.
type source struct {
	path  string // slash-separated, from the root of the tree
	pkg   string // its directory
	test  bool   // a _test.go file
	lines int
	fset  *token.FileSet
	file  *ast.File
}

// imports returns the import paths of s.
func (s source) imports() []string {
	paths := make([]string, 0, len(s.file.Imports))
	for _, spec := range s.file.Imports {
		// The parser has checked that it is a string.
		unquoted, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			unquoted = spec.Path.Value
		}
		paths = append(paths, unquoted)
	}
	return paths
}

// functions returns the functions and methods that s declares with a body.
func (s source) functions() []*ast.FuncDecl {
	var list []*ast.FuncDecl
	for _, decl := range s.file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
			list = append(list, f)
		}
	}
	return list
}

// span returns how many lines node takes, its comment not counted.
func (s source) span(node ast.Node) int {
	return s.fset.Position(node.End()).Line - s.fset.Position(node.Pos()).Line + 1
}

// load parses every Go file of the tree in all its modules, whatever system it is
// for. As the go command does, it passes over testdata and hidden directories.
func load(fsys fs.FS) ([]source, error) {
	var tree []source
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if hidden(name) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		s, err := parse(fsys, name)
		if err == nil {
			tree = append(tree, s)
		}
		return err
	})
	return tree, err
}

func hidden(dir string) bool {
	base := path.Base(dir)
	return dir != "." && (base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_"))
}

func parse(fsys fs.FS, name string) (source, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return source{}, err
	}
	s := source{
		path:  name,
		pkg:   path.Dir(name),
		test:  strings.HasSuffix(name, "_test.go"),
		lines: bytes.Count(text, []byte("\n")),
		fset:  token.NewFileSet(),
	}
	s.file, err = parser.ParseFile(s.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return s, err
}

// project returns the tree that these tests are in.
func project(t *testing.T) []source {
	t.Helper()
	tree, err := load(os.DirFS(root))
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(tree, func(s source) bool { return s.path == "internal/arch/tree_test.go" }), "this file is not in the tree")
	return tree
}

// none fails the test with each violation on a line of its own.
func none(t *testing.T, violations []string) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}

// planted returns a tree of the files given, path by path.
func planted(t *testing.T, files map[string]string) []source {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	tree, err := load(fsys)
	require.NoError(t, err)
	return tree
}

func TestLoad(t *testing.T) {
	tree := planted(t, map[string]string{
		"store/db.go":              "package store\n\nimport \"os\"\n",
		"store/db_windows.go":      "package store\n",
		"store/db_test.go":         "package store_test\n",
		"store/testdata/bad.go":    "not Go at all",
		"store/README.md":          "not Go either",
		".git/hooks/hook.go":       "hidden",
		"_old/old.go":              "hidden",
		"cmd/driftless/main.go":    "//go:build never\n\npackage main\n",
		"examples/vendor/x/xyz.go": "vendored",
	})
	var paths []string
	for _, s := range tree {
		paths = append(paths, s.path)
	}
	require.Equal(t, []string{"cmd/driftless/main.go", "store/db.go", "store/db_test.go", "store/db_windows.go"}, paths)
	require.Equal(t, []string{"os"}, tree[1].imports())
	require.Equal(t, 3, tree[1].lines)
	require.True(t, tree[2].test)

	_, err := load(fstest.MapFS{"a.go": {Data: []byte("nonsense")}})
	require.Error(t, err, "a file that does not parse escapes every rule")
}
