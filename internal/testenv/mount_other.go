//go:build !linux

package testenv

import "testing"

// LoopFS skips the test, as Skip does: there are loop devices on Linux only.
func LoopFS(t testing.TB, fstype string, size int64) string {
	t.Helper()
	Skip(t, "needs Linux: a loop device with "+fstype)
	return ""
}

// Tmpfs skips the test, as Skip does: there is tmpfs on Linux only.
func Tmpfs(t testing.TB, size int64) string {
	t.Helper()
	Skip(t, "needs Linux: tmpfs")
	return ""
}
