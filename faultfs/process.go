package faultfs

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
)

// process is a copy of the test binary that plays a role.
type process struct {
	cmd     *exec.Cmd
	session *record.Session // if it is recorded
	control *json.Encoder
	answer  *json.Decoder
	pipes   []*os.File
	output  *tail
}

// start makes the process for role at c, in dir, and starts it by launch.
func (c call) start(role, dir string, launch func(p *process) error) (*process, error) {
	tmp := filepath.Join(dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory for temporary files: %w", err)
	}
	cmd, err := c.command(role, dir, tmp)
	if err != nil {
		return nil, err
	}
	controlR, controlW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	answerR, answerW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", closed(err, controlR, controlW))
	}
	lifeR, lifeW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", closed(err, controlR, controlW, answerR, answerW))
	}
	cmd.ExtraFiles = []*os.File{controlR, answerW, lifeR} // controlFD, answerFD and lifeFD
	p := &process{
		cmd: cmd, control: json.NewEncoder(controlW), answer: json.NewDecoder(answerR),
		pipes: []*os.File{controlW, answerR, lifeW}, output: &tail{},
	}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	cmd.SysProcAttr = ownGroup()
	cmd.WaitDelay = waitDelay
	err = launch(p)
	_ = closed(nil, controlR, answerW, lifeR)
	if err != nil {
		return nil, fmt.Errorf("start a %s process: %w", role, closed(err, p.pipes...))
	}
	return p, nil
}

// waitDelay is how long a process that has ended is waited for because others hold
// its output open.
const waitDelay = time.Second

// plain starts p without a recorder.
func plain(p *process) error { return p.cmd.Start() }

// closed closes files and returns err.
func closed(err error, files ...*os.File) error {
	for _, f := range files {
		_ = f.Close()
	}
	return err
}

// kill ends p and waits for it. It returns the last that p printed.
func (p *process) kill() string {
	killGroup(p.cmd.Process.Pid)
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = closed(nil, p.pipes...)
	return p.output.String()
}

// end lets p end by itself, for a moment, and returns the last that it printed.
func (p *process) end() string {
	timer := time.AfterFunc(waitDelay, func() { killGroup(p.cmd.Process.Pid) })
	defer timer.Stop()
	_ = p.cmd.Wait()
	killGroup(p.cmd.Process.Pid)
	_ = closed(nil, p.pipes...)
	return p.output.String()
}

// tail keeps the last that was written to it. It is safe for concurrent use.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// tailSize is how much a tail keeps, in bytes: enough for a panic with the stack
// of the goroutine at fault.
const tailSize = 16 << 10

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	if over := len(w.text) - tailSize; over > 0 {
		w.text = append(w.text[:0], w.text[over:]...)
	}
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.text)
}
