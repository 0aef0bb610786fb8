package layer_test

import (
	"bytes"
	"context"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/layer"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

// TestUnpackModes shows that modes do not depend on the umask, that nothing becomes
// set-user-id, and that the owner can always read and write.
func TestUnpackModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	a := newArena(t)
	data := archive(t,
		item{kind: '0', name: "suid", mode: 0o4755}, item{kind: '0', name: "secret", mode: 0},
		item{kind: '5', name: "d", mode: 0o1777}, item{kind: '5', name: "closed", mode: 0}, file("implied/f", ""))
	require.NoError(t, layer.Unpack(context.Background(), a.root, bytes.NewReader(data), small))
	got, err := tree.Scan(a.root.Name())
	require.NoError(t, err)
	modes := map[string]string{}
	for name := range got {
		info, err := a.root.Lstat(name)
		require.NoError(t, err)
		modes[name] = info.Mode().String()
	}
	require.Equal(t, map[string]string{
		"suid": "-rwxr-xr-x", "secret": "-rw-------", "d": "drwxrwxrwx", "closed": "drwx------",
		"implied": "drwxr-xr-x", "implied/f": "-rw-r--r--",
	}, modes)
}
