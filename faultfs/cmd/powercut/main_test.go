package main_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/internal/testenv"
)

// binary is the command, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "powercut-test-")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		binary = filepath.Join(dir, "powercut")
		if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
			panic(string(out))
		}
		return m.Run()
	}())
}

// powercut runs the command and returns its exit status and what it printed.
func powercut(t *testing.T, args ...string) (status int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

const (
	// rightWork replaces a file as a whole, durably.
	rightWork = `for i in 1 2 3; do echo "faultfs: begin put $i"; echo $i >f.tmp && sync f.tmp && mv f.tmp f && sync . && echo "faultfs: ack put $i"; done`
	// wrongWork forgets to sync the directory.
	wrongWork = `for i in 1 2 3; do echo $i >f.tmp && sync f.tmp && mv f.tmp f && echo "faultfs: ack put $i"; done`
	// verify demands a number no older than the last acknowledged.
	verify = `n=$(wc -l <"$POWERCUT_ACKED"); [ "$n" = 0 ] || [ "$(cat f)" -ge "$n" ]`
)

func TestRightScript(t *testing.T) {
	status, out, errOut := powercut(t, "-work", rightWork, "-verify", verify, "-exhaustive", "-models", "posix-weak,posix-4k,ext4,xfs,btrfs")
	require.Zero(t, status, out+errOut)
	require.Regexp(t, `ext4: exhaustive: \d+ of \d+ legal states`, out)
	require.Contains(t, out, "0 violations")
}

func TestWrongScript(t *testing.T) {
	status, out, _ := powercut(t, "-work", wrongWork, "-verify", verify, "-models", "posix-weak")
	require.Equal(t, 1, status)
	for _, part := range []string{"lost:", "rename f.tmp to f", "process mv", "missing: an fsync of the directory", `ack put("`} {
		require.Contains(t, out, part)
	}
}

// TestReplay takes the id that a failure prints and gets the files of that state.
func TestReplay(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	cmd := exec.Command(binary, "-work", wrongWork, "-verify", verify, "-models", "ext4")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	id := regexp.MustCompile(`-replay='([^']+)'`).FindSubmatch(out)
	require.NotNil(t, id, string(out))
	out, err = exec.Command(binary, "-work", wrongWork, "-verify", verify, "-models", "ext4", "-replay", string(id[1])).CombinedOutput()
	require.Error(t, err, "the state violates again: %s", out)
	require.Contains(t, string(out), "the verify command")
	crashed := regexp.MustCompile(`after the power cut: (\S+)`).FindSubmatch(out)
	require.NotNil(t, crashed, string(out))
	require.DirExists(t, string(crashed[1]))
}

func TestRecoverAndSetup(t *testing.T) {
	status, out, errOut := powercut(t,
		"-setup", "echo 0 >f; sync -f f", "-work", rightWork, "-recover", "rm -f f.tmp; echo ok >recovered; sync .", "-nested", "1",
		"-verify", verify+` && [ ! -e f.tmp ] && [ -e f ] && [ -e recovered ]`, "-models", "ext4")
	require.Zero(t, status, out+errOut)
	require.Contains(t, out, "recoveries cut off")
}

func TestSQLite(t *testing.T) {
	testenv.NeedTool(t, "sqlite3")
	work := `sqlite3 db 'pragma journal_mode=delete; pragma synchronous=extra; create table t(i)' &&
		for i in 1 2 3; do sqlite3 db "pragma synchronous=extra; insert into t values($i)" && echo "faultfs: ack put $i"; done`
	check := `n=$(wc -l <"$POWERCUT_ACKED"); [ "$n" = 0 ] || [ "$(sqlite3 db 'select count(*) from t')" -ge "$n" ]`
	status, out, errOut := powercut(t, "-work", work, "-verify", check, "-models", "ext4", "-states", "300")
	require.Zero(t, status, out+errOut)
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"help", []string{"-help"}, 0, "usage: powercut -work"},
		{"nothing", nil, 2, "both -work and -verify are needed"},
		{"no verify", []string{"-work", "true"}, 2, "both -work and -verify are needed"},
		{"no quotes", []string{"-work", "echo", "-verify", "true", "x", "y"}, 2, "a command with spaces wants quotes"},
		{"no such model", []string{"-work", "true", "-verify", "true", "-models", "ntfs"}, 2, `no model is called "ntfs"`},
		{"no such flag", []string{"-wrok", "true"}, 2, "flag provided but not defined: -wrok"},
		{"nested alone", []string{"-work", "true", "-verify", "true", "-nested", "1"}, 2, "-nested needs -recover"},
		{"budget", []string{"-work", "true", "-verify", "true", "-budget", "0s"}, 2, "times must be positive"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errOut := powercut(t, tt.args...)
			require.Equal(t, tt.status, status, out+errOut)
			require.Contains(t, errOut, tt.want)
		})
	}
}

func TestCommandsThatFail(t *testing.T) {
	for _, tt := range []struct{ name, work, verify, want string }{
		{"work", "echo oh no; exit 3", "true", "oh no"},
		{"nothing written", "true", "true", "changed no file"},
		{"verify", "echo x >f", "echo all is lost; exit 1", "all is lost"},
		{"work hangs", "echo x >f; sleep 60", "true", "time-out"},
		{"verify hangs", "echo x >f", "sleep 60", "hangs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errOut := powercut(t, "-work", tt.work, "-verify", tt.verify, "-models", "ext4", "-work-timeout", "1s", "-state-timeout", "1s")
			require.Equal(t, 1, status, out+errOut)
			require.Contains(t, out, tt.want)
		})
	}
}
