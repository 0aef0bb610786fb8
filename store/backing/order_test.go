//go:build linux

package backing_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/store/backing"
)

func init() { children["umask"] = umaskChild }

// Everything is durable before the rename that shows it, and the rename before the
// call returns.
func TestOrderOfSyncs(t *testing.T) {
	for _, tt := range []struct {
		call string
		want []string
	}{
		{"create", []string{"fsync stamp", "fsync data", "fsync S", "rename staging devices", "fsync devices", "fsync staging"}},
		{"copy", []string{"syncfs S", "rename staging devices", "fsync devices", "fsync staging"}},
		{"remove", []string{"rename devices trash", "fsync devices", "unlink", "fsync devices", "fsync staging", "fsync trash"}},
	} {
		t.Run(tt.call, func(t *testing.T) {
			root := crashRoot(t, tt.call)
			end := strace(t, root, tt.call, "-e", "trace=fsync,syncfs,renameat2,unlinkat")
			require.False(t, end.killed)
			require.Empty(t, end.failed)
			require.Equal(t, tt.want, syncsOf(end.lines, root), "%s", strings.Join(end.lines, "\n"))
		})
	}
}

// syncsOf returns the syncs and renames of a trace by the last elements of their
// paths, from the end of OpenDir on; S is a device in staging/. A run of unlinks
// counts once.
func syncsOf(lines []string, root string) []string {
	call := regexp.MustCompile(`^\d+ +(\w+)\((.*)\) += 0`)
	path := regexp.MustCompile(`<(` + regexp.QuoteMeta(root) + `[^<>]*)>`)
	var calls []string
	for _, line := range lines {
		m := call.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		text := strings.TrimSuffix(m[1], "at2")
		for _, p := range path.FindAllStringSubmatch(m[2], -1) {
			base := filepath.Base(p[1])
			if filepath.Base(filepath.Dir(p[1])) == "staging" {
				base = "S"
			}
			text += " " + base
		}
		switch {
		case text == "fsync R": // the last of OpenDir
			calls = nil
		case m[1] == "unlinkat" && len(calls) > 0 && calls[len(calls)-1] == "unlink":
		case m[1] == "unlinkat":
			calls = append(calls, "unlink")
		default:
			calls = append(calls, text)
		}
	}
	return calls
}

// umaskChild makes a parent and a copy of it in args[1] under the umask args[0].
func umaskChild(args []string) int {
	var mask int
	if _, err := fmt.Sscanf(args[0], "%o", &mask); err != nil {
		fmt.Println(err)
		return 1
	}
	unix.Umask(mask)
	d, err := backing.OpenDir(args[1])
	if err == nil {
		_, err = d.Create(context.Background(), crashParent)
	}
	if err == nil {
		err = os.Mkdir(filepath.Join(d.Path(1), "sub"), 0o777)
	}
	if err == nil {
		err = os.Chmod(filepath.Join(d.Path(1), "sub"), 0o775)
	}
	if err == nil {
		_, err = d.Create(context.Background(), crashChild)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func TestModesWhateverTheUmask(t *testing.T) {
	for _, mask := range []string{"0", "77", "777"} {
		t.Run(mask, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "root")
			cmd := exec.CommandContext(t.Context(), os.Args[0], mask, root)
			cmd.Env = append(os.Environ(), childEnv+"=umask")
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			modes := map[string]string{}
			for name, e := range treeOf(t, root) {
				modes[name] = fmt.Sprintf("%o", e.mode)
			}
			const dir, file = "40700", "100600"
			require.Equal(t, map[string]string{
				".": dir, "identity": file, "devices": dir, "staging": dir, "trash": dir,
				"devices/00000001": dir, "devices/00000001/stamp": file, "devices/00000001/data": dir,
				"devices/00000001/data/sub": "40775",
				"devices/00000002":          dir, "devices/00000002/stamp": file, "devices/00000002/data": dir,
				"devices/00000002/data/sub": "40775",
			}, modes)
		})
	}
}
