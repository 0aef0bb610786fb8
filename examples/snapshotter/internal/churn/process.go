package churn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// A process is a child as the parent sees it.
type process struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	stderr  bytes.Buffer
	reports chan Report // closed when the child has ended and its last line is read
}

// start runs this program again, as a child with these orders.
func start(orders Orders) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start child: %w", err)
	}
	text, err := json.Marshal(orders)
	if err != nil {
		return nil, fmt.Errorf("start child: %w", err)
	}
	p := &process{cmd: exec.Command(program), reports: make(chan Report, 64)}
	p.cmd.Env = append(os.Environ(), ChildEnv+"="+string(text))
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = dieWithParent()
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start child: %w", err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start child: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start child: %w", err)
	}
	go p.read(stdout)
	return p, nil
}

// read passes the child's reports on, also those that it wrote before it was killed
// and that were still in the pipe.
func (p *process) read(stdout io.Reader) {
	defer close(p.reports)
	for lines := json.NewDecoder(stdout); ; {
		var r Report
		if lines.Decode(&r) != nil {
			return
		}
		p.reports <- r
	}
}

// send gives the child a command. A child that has just died does not take it, and
// will not begin it either.
func (p *process) send(c Command) {
	_ = json.NewEncoder(p.stdin).Encode(c)
}

// kill ends the child without warning, if it still lives.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

// wait returns, after reports has been closed, whether the child was killed. It
// returns an error if it ended by itself and with a complaint.
func (p *process) wait() (killed bool, err error) {
	_ = p.stdin.Close() // a pipe to a process that is gone
	err = p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && wasKilled(exit) {
		return true, nil
	}
	if err != nil {
		return false, p.complaint(fmt.Errorf("child: %w", err))
	}
	return false, nil
}

// complaint returns err with what the child printed. Only after wait is it complete.
func (p *process) complaint(err error) error {
	if text := strings.TrimSpace(p.stderr.String()); text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}
