package arch_test

import (
	"fmt"
	"go/ast"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// selfEvident are the methods whose contract the standard library states in full.
var selfEvident = []string{"Error", "Unwrap"}

// checkComments returns the exported names of the library without a comment: types,
// functions, methods of exported types, methods of interfaces, constants and
// variables, whose group may carry the comment for all, and packages. Commands
// export nothing, tests have no readers of their documentation.
func checkComments(tree []source) []string {
	var violations []string
	packages := map[string]bool{} // whether one of its files has a package comment
	for _, s := range tree {
		if s.test {
			continue
		}
		packages[s.pkg] = packages[s.pkg] || s.file.Doc != nil
		if s.file.Name.Name == "main" {
			continue
		}
		for _, name := range undocumented(s.file) {
			violations = append(violations, s.path+": "+name+" has no comment")
		}
	}
	for pkg, documented := range packages {
		if !documented {
			violations = append(violations, pkg+": the package has no comment")
		}
	}
	slices.Sort(violations)
	return violations
}

// undocumented returns the exported names of f that lack a comment.
func undocumented(f *ast.File) []string {
	var names []string
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if name, exported := functionName(decl); exported && decl.Doc == nil {
				names = append(names, name)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				names = append(names, undocumentedSpec(decl, spec)...)
			}
		}
	}
	return names
}

func undocumentedSpec(decl *ast.GenDecl, spec ast.Spec) []string {
	var names []string
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() && decl.Doc == nil && spec.Doc == nil && spec.Comment == nil {
			names = append(names, spec.Name.Name)
		}
		if face, ok := spec.Type.(*ast.InterfaceType); ok && spec.Name.IsExported() {
			names = append(names, undocumentedMethods(spec.Name.Name, face)...)
		}
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.IsExported() && decl.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

func undocumentedMethods(of string, face *ast.InterfaceType) []string {
	var names []string
	for _, method := range face.Methods.List {
		for _, name := range method.Names { // none for an embedded interface
			if name.IsExported() && method.Doc == nil && method.Comment == nil {
				names = append(names, of+"."+name.Name)
			}
		}
	}
	return names
}

// functionName returns the name of f with its receiver's type, and whether users of
// the package can see it and need a comment to understand it.
func functionName(f *ast.FuncDecl) (string, bool) {
	if f.Recv == nil {
		return f.Name.Name, f.Name.IsExported()
	}
	receiver := f.Recv.List[0].Type
	for {
		switch r := receiver.(type) {
		case *ast.StarExpr:
			receiver = r.X
		case *ast.IndexExpr:
			receiver = r.X
		case *ast.IndexListExpr:
			receiver = r.X
		case *ast.Ident:
			visible := r.IsExported() && f.Name.IsExported() && !slices.Contains(selfEvident, f.Name.Name)
			return r.Name + "." + f.Name.Name, visible
		default:
			return fmt.Sprintf("%T.%s", receiver, f.Name.Name), true
		}
	}
}

func TestComments(t *testing.T) {
	none(t, checkComments(project(t)))
}

func TestCommentsCanFail(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"a function", "func F() {}", []string{"F"}},
		{"a function with a comment", "// F is here.\nfunc F() {}", nil},
		{"a comment that is apart", "// F is here.\n\nfunc F() {}", []string{"F"}},
		{"an unexported function", "func f() {}", nil},
		{"a method", "type t int\n// T is.\ntype T int\nfunc (T) M() {}\nfunc (t) M() {}", []string{"T.M"}},
		{"a method of a pointer", "func (*T) M() {}", []string{"T.M"}},
		{"a method of a generic type", "func (*T[K]) M() {}\nfunc (T[K, V]) N() {}", []string{"T.M", "T.N"}},
		{"methods that say it all", "func (T) Error() string { return \"\" }\nfunc (T) Unwrap() error { return nil }", nil},
		{"a type", "type T struct{}", []string{"T"}},
		{"an interface", "// I is.\ntype I interface {\n\t// M does.\n\tM()\n\tN()\n\tO() // does\n\terror\n}", []string{"I.N"}},
		{"constants", "const (\n\tA = 1\n\tB = 2 // two\n\t// C is three.\n\tC = 3\n)", []string{"A"}},
		{"a group with a comment", "// Numbers.\nconst (\n\tA = 1\n\tB = 2\n)", nil},
		{"variables", "var A, b, C int", []string{"A", "C"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			for _, name := range tt.want {
				want = append(want, "a/a.go: "+name+" has no comment")
			}
			got := checkComments(planted(t, map[string]string{"a/a.go": "// Package a is.\npackage a\n\n" + tt.text}))
			require.Equal(t, want, got)
		})
	}
	tree := planted(t, map[string]string{"a/a.go": "package a\n", "b/b.go": "package b\n", "b/doc.go": "// Package b is.\npackage b\n", "a/a_test.go": "// P.\npackage a_test\n\nfunc F() {}"})
	require.Equal(t, []string{"a: the package has no comment"}, checkComments(tree))
}
