package arch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// library is what a program imports; allowedModules is all that it may link for
// that, beside the standard library. Each must earn its place: bbolt is the durable
// base, btree the overlay and the free index, renameio and x/sys the system calls.
var (
	library        = []string{"atomicfile", "store", "store/backing", "recovery"}
	allowedModules = []string{
		module,
		"go.etcd.io/bbolt",
		"golang.org/x/sys",
		"github.com/google/renameio/v2",
		"github.com/tidwall/btree",
	}
	// Packages of the standard library that tell of test code in production, or
	// cost an embedded program megabytes.
	forbiddenPackages = []string{"testing", "net/http", "plugin"}
)

// linked is one package as "go list -json" prints it.
type linked struct {
	ImportPath string
	Standard   bool
	Module     *struct{ Path string }
}

// checkLinks returns which packages are neither standard nor of an allowed module,
// or are forbidden by name.
func checkLinks(packages []linked) []string {
	var violations []string
	for _, p := range packages {
		switch {
		case slices.Contains(forbiddenPackages, p.ImportPath):
			violations = append(violations, "links "+p.ImportPath)
		case p.Standard:
		case p.Module == nil || !slices.Contains(allowedModules, p.Module.Path):
			violations = append(violations, "links "+p.ImportPath+", of a module that is not in the list")
		}
	}
	return violations
}

// dependencies asks the go command, run at the root, what the packages link on goos.
func dependencies(t *testing.T, goos string, packages ...string) []linked {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Standard,Module")
	for _, p := range packages {
		cmd.Args = append(cmd.Args, "./"+p)
	}
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%v: %s", cmd.Args, stderr.String())
	list, err := decodeAll(bytes.NewReader(out))
	require.NoError(t, err)
	return list
}

func decodeAll(r io.Reader) ([]linked, error) {
	var list []linked
	for decoder := json.NewDecoder(r); ; {
		var p linked
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, fmt.Errorf("decode package: %w", err)
		}
		list = append(list, p)
	}
}

func TestLinks(t *testing.T) {
	for _, pkg := range library {
		t.Run(strings.ReplaceAll(pkg, "/", "_"), func(t *testing.T) {
			for _, goos := range []string{"linux", "darwin", "windows"} {
				list := dependencies(t, goos, pkg)
				require.NotEmpty(t, list)
				for _, violation := range checkLinks(list) {
					t.Errorf("on %s: %s", goos, violation)
				}
			}
		})
	}
}

func TestLinksCanFail(t *testing.T) {
	// What the go command says of this very test's imports must be refused.
	got := checkLinks(dependencies(t, "linux", "internal/testenv"))
	require.Contains(t, got, "links testing")

	const list = `
		{"ImportPath": "os", "Standard": true}
		{"ImportPath": "` + module + `/store", "Module": {"Path": "` + module + `"}}
		{"ImportPath": "go.etcd.io/bbolt/errors", "Module": {"Path": "go.etcd.io/bbolt"}}
		{"ImportPath": "github.com/spf13/cobra", "Module": {"Path": "github.com/spf13/cobra"}}
		{"ImportPath": "net/http", "Standard": true}
		{"ImportPath": "lost"}`
	packages, err := decodeAll(strings.NewReader(list))
	require.NoError(t, err)
	require.Equal(t, []string{
		"links github.com/spf13/cobra, of a module that is not in the list",
		"links net/http",
		"links lost, of a module that is not in the list",
	}, checkLinks(packages))
	_, err = decodeAll(strings.NewReader(`{"ImportPath": `))
	require.Error(t, err)
}
