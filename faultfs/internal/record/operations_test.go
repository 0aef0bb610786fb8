//go:build linux && (amd64 || arm64)

package record_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
)

// operation is a row of the table: what a copy does in a directory that holds the
// file f (2, ten bytes, open at fd), the directory d (3) and d/g (4, "xx"), and
// which operations that is.
type operation struct {
	name string
	do   func(fd int) error
	want []string
}

// prepare makes what each operation finds.
func prepare(dir string) error {
	return first(
		os.WriteFile(dir+"/f", []byte("0123456789"), 0o644), // 4: below d in the order of paths
		os.Mkdir(dir+"/d", 0o755),                           // 2
		os.WriteFile(dir+"/d/g", []byte("xx"), 0o644),       // 3
	)
}

// fails makes an error unless err is want.
func fails(err, wanted error) error {
	return want(errors.Is(err, wanted), "got %v, not %v", err, wanted)
}

// raw makes a system call without a wrapper.
func raw(nr uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return errno
	}
	return nil
}

func ignore[T any](_ T, err error) error { return err }

// openThen opens a file and passes it on.
func openThen(path string, flags int, then func(fd int) error) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o666)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if then == nil {
		return nil
	}
	return then(fd)
}

var operations = map[string]operation{}

// table registers rows as parts.
func table(rows []operation) []operation {
	for _, o := range rows {
		part("operation "+o.name, func(dir string) error {
			if err := os.Chdir(dir); err != nil {
				return err
			}
			unix.Umask(0o022)
			return openThen("f", unix.O_RDWR, o.do)
		})
		operations[o.name] = o
	}
	return rows
}

func testTable(t *testing.T, rows []operation) {
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			dir := shm(t)
			require.NoError(t, prepare(dir))
			tr := run(t, "operation "+tt.name, dir, record.Options{})
			require.Equal(t, tt.want, showAll(tr.Ops))
			require.Empty(t, tr.Blind)
			for _, op := range tr.Ops {
				require.NotEmpty(t, tr.Sites[op.Site].Own().Func, "%s comes from %v", show(&op), tr.Sites[op.Site])
			}
		})
	}
}
