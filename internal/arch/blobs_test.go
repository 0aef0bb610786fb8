package arch_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// maxBlob is the size in bytes above which a file does not belong in the history.
const maxBlob = 1 << 20

// checkBlobs returns which of the tracked files of fsys are too large.
func checkBlobs(fsys fs.FS, tracked []string) ([]string, error) {
	var violations []string
	for _, name := range tracked {
		info, err := fs.Stat(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, not committed yet
		}
		if err != nil {
			return nil, err
		}
		if info.Size() > maxBlob {
			violations = append(violations, fmt.Sprintf("%s: %d bytes, at most %d", name, info.Size(), maxBlob))
		}
	}
	return violations, nil
}

func TestBlobs(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	cmd.Dir = root
	out, err := cmd.Output()
	if _, none := os.Stat(root + "/.git"); none != nil {
		t.Skip("not a git checkout: ", none)
	}
	require.NoError(t, err)
	tracked := strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
	violations, err := checkBlobs(os.DirFS(root), tracked)
	require.NoError(t, err)
	none(t, violations)
}

func TestBlobsCanFail(t *testing.T) {
	fsys := fstest.MapFS{
		"at the limit": {Data: make([]byte, maxBlob)},
		"above":        {Data: make([]byte, maxBlob+1)},
		"untracked":    {Data: make([]byte, maxBlob+1)},
	}
	got, err := checkBlobs(fsys, []string{"at the limit", "above", "deleted"})
	require.NoError(t, err)
	require.Equal(t, []string{"above: 1048577 bytes, at most 1048576"}, got)
}
