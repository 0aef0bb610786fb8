//go:build linux && (amd64 || arm64)

package record_test

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
)

// partLines writes marks in different ways, each in a recording of its own.
var partLines = plainPart("lines", func(dir string) error {
	for _, tt := range []struct {
		writes []string
		want   error
	}{
		{[]string{"faultfs: ack a\nfaultfs: ack b\n"}, unix.EBADMSG},
		{[]string{"faultfs: ack a\n", "faultfs: ack b\n"}, nil}, // the one before is forgotten
		{[]string{"faultfs: ack a\nfault", "fs: ack b\n"}, nil},
		{[]string{"fault", "fs: ack a\nfaultfs: begin b\n"}, unix.EBADMSG},
		{[]string{"hello\nfaultfs: ack a\nfaultfs: is right\n"}, nil},
	} {
		if err := record.Begin(dir); err != nil {
			return err
		}
		for _, w := range tt.writes {
			if _, err := os.Stdout.WriteString(w); err != nil {
				return err
			}
		}
		if err := record.End(); !errors.Is(err, tt.want) {
			return errors.Join(errors.New("end"), err)
		}
	}
	return nil
})

// Marks that come in one write have no order with what was done before.
func TestLinesInOneWrite(t *testing.T) {
	s := start(t, partLines, shm(t), record.Options{MarkLines: true})
	for _, marks := range []int{2, 2, 2, 2, 1} {
		require.Len(t, next(t, s).Marks, marks)
	}
	require.NoError(t, s.Wait())
}
