package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/driftlesskv/driftless/faultfs"
)

// prove runs the commands of s under faultfs. The copies of this program that
// faultfs starts come here too, with the same command line, and end in Run.
func prove(out io.Writer, s settings, options []faultfs.Option) int {
	p := &printer{out: out}
	done := make(chan struct{})
	var report faultfs.Report
	go func() { // what ends a test ends this goroutine
		defer close(done)
		defer p.cleanup()
		report = faultfs.Run(p, s.test(), options...)
	}()
	<-done
	if status := neverRun(report); status != "" {
		p.Logf("powercut: %s in every state: the shell cannot run the command, and no state was verified", status)
		return exitUsage
	}
	if p.failed {
		return exitViolation
	}
	if p.skipped {
		return exitUsage
	}
	return exitClean
}

// cannotRun matches what is said of a command that the shell cannot run.
var cannotRun = regexp.MustCompile(`^(?:recover: )?(the \w+ command: exit status 12[67])\n`)

// neverRun returns how the verify or the recover command ended if the shell could run
// it in no state at all; else empty. In some states it may be what was lost.
func neverRun(report faultfs.Report) (status string) {
	for _, m := range report.Models {
		if m.Found < m.Verified() {
			return ""
		}
		for _, v := range m.Violations {
			found := cannotRun.FindStringSubmatch(v.Text)
			if found == nil {
				return ""
			}
			status = found[1]
		}
	}
	return status
}

// test returns the commands as a test.
func (s settings) test() faultfs.Test {
	test := faultfs.Test{
		Work: func(w *faultfs.W) error { return shell(w.Dir(), s.work, os.Stdout, nil) },
		Verify: func(state *faultfs.State) error {
			env, remove, err := environment(state)
			if err != nil {
				return err
			}
			defer remove()
			var output bytes.Buffer
			if err := shell(state.Dir(), s.verify, &output, env); err != nil {
				return fmt.Errorf("the verify command: %w\n%s", err, output.String())
			}
			return nil
		},
	}
	if s.setup != "" {
		test.Setup = func(dir string) error { return shell(dir, s.setup, os.Stdout, nil) }
	}
	if s.recover != "" {
		test.Recover = func(dir string) error {
			var output bytes.Buffer
			if err := shell(dir, s.recover, &output, nil); err != nil {
				return fmt.Errorf("the recover command: %w\n%s", err, output.String())
			}
			return nil
		}
	}
	return test
}

// shell runs command in dir.
func shell(dir, command string, output io.Writer, env []string) error {
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = time.Second // a process in the background may hold its output open
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return err
	}
	return nil
}

// environment writes the marks of state out, next to its directory, and returns the
// variables that name them.
func environment(state *faultfs.State) (env []string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "powercut-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a directory for marks: %w", err)
	}
	remove = func() { _ = os.RemoveAll(dir) }
	var acked, begun strings.Builder
	for _, m := range state.Marks() {
		to := &begun
		if m.Ack {
			to = &acked
		}
		fmt.Fprintln(to, strings.Join(append([]string{m.Op}, words(m)...), " "))
	}
	env = []string{"POWERCUT_MODEL=" + state.Model()}
	for name, text := range map[string]string{"ACKED": acked.String(), "BEGUN": begun.String()} {
		path := filepath.Join(dir, strings.ToLower(name))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			remove()
			return nil, nil, fmt.Errorf("write the marks: %w", err)
		}
		env = append(env, "POWERCUT_"+name+"="+path)
	}
	return env, remove, nil
}

// printer is the [faultfs.TB] of a program that is no test.
type printer struct {
	out             io.Writer
	failed, skipped bool
	cleanups        []func()
}

func (p *printer) Name() string     { return "powercut" }
func (p *printer) Helper()          {}
func (p *printer) Cleanup(f func()) { p.cleanups = append(p.cleanups, f) }

func (p *printer) Log(args ...any) { _, _ = fmt.Fprintln(p.out, args...) }

func (p *printer) Logf(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, format+"\n", args...)
}

func (p *printer) Errorf(format string, args ...any) {
	p.failed = true
	p.Logf(format, args...)
}

func (p *printer) Fatal(args ...any) {
	p.failed = true
	p.Log(args...)
	runtime.Goexit()
}

func (p *printer) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	runtime.Goexit()
}

func (p *printer) Skipf(format string, args ...any) {
	p.Logf(format, args...)
	p.SkipNow()
}

func (p *printer) Failed() bool { return p.failed }

func (p *printer) SkipNow() {
	p.skipped = true
	runtime.Goexit()
}

func (p *printer) cleanup() {
	for i := len(p.cleanups) - 1; i >= 0; i-- {
		p.cleanups[i]()
	}
}

// words returns the arguments of m. Those of a line are strings.
func words(m faultfs.Mark) []string {
	var all []string
	if err := json.Unmarshal(m.Args, &all); err != nil {
		return []string{string(m.Args)}
	}
	return all
}
