package faultfs_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/driftlesskv/driftless/faultfs"
)

func TestFaultString(t *testing.T) {
	for _, tt := range []struct {
		fault faultfs.Fault
		want  string
	}{
		{faultfs.Fail(faultfs.Fsync, syscall.EIO), "fsync fails with EIO"},
		{faultfs.Fail(faultfs.Any, syscall.ENOSPC).FromThenOn(), "any operation fails with ENOSPC from then on"},
		{faultfs.Fail(faultfs.Any&^faultfs.Fsync, syscall.ENOTSUP), "any operation but fsync fails with ENOTSUP"},
		{faultfs.Hang(faultfs.Write | faultfs.Create), "write|create hangs"},
		{faultfs.Slow(faultfs.Syncfs, time.Second), "syncfs takes 1s longer"},
		{faultfs.ShortWrite(), "write is short"},
	} {
		if got := tt.fault.String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
