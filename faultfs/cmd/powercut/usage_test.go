package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/internal/testenv"
)

// Mistakes of whoever calls powercut are neither violations nor proofs.
func TestMistakes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"no such verify", []string{"-work", "echo x >f", "-verify", "./nosuch.sh"}, 2, "the verify command: exit status 127 in every state"},
		{"verify is no program", []string{"-work", "echo x >f", "-verify", "/etc/passwd"}, 2, "the verify command: exit status 126 in every state"},
		{"no such recover", []string{"-work", "echo x >f", "-recover", "./nosuch.sh", "-nested", "1", "-verify", "true"}, 2, "the recover command: exit status 127 in every state"},
		{"verify is what was lost", []string{"-work", `echo "echo ok" >f; chmod +x f`, "-verify", "./f"}, 1, "exit status 12"},
		{"marks together", []string{"-work", `echo x >f; printf 'faultfs: ack a\nfaultfs: ack b\n'`, "-verify", "true"}, 1, "stdbuf -oL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errOut := powercut(t, append(tt.args, "-models", "ext4")...)
			require.Equal(t, tt.status, status, out+errOut)
			require.Contains(t, out, tt.want)
		})
	}
}

func TestExhaustiveOrStates(t *testing.T) {
	status, _, errOut := powercut(t, "-work", "true", "-verify", "true", "-exhaustive", "-states", "5")
	require.Equal(t, 2, status)
	require.Contains(t, errOut, "-exhaustive explores all states")
}

// A program that buffers its output is told to flush; one that flushes is believed.
func TestBufferedMarks(t *testing.T) {
	testenv.NeedTool(t, "python3")
	t.Setenv("PYTHONUNBUFFERED", "")
	const (
		work   = `import os;[(os.mkdir('d%d'%i), print('faultfs: ack put',i)) for i in range(3)]; os.sync()`
		verify = `[ "$(ls | wc -l)" -ge "$(wc -l <"$POWERCUT_ACKED")" ]`
	)
	status, out, _ := powercut(t, "-work", `python3 -c "`+work+`"`, "-verify", verify, "-models", "ext4")
	require.Equal(t, 1, status)
	require.Contains(t, out, "python -u")
	status, out, _ = powercut(t, "-work", `python3 -u -c "`+work+`"`, "-verify", verify, "-models", "ext4")
	require.Equal(t, 1, status)
	require.Contains(t, out, "missing: ")
}
