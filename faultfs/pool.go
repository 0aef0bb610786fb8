package faultfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// pool runs jobs in processes that it kills when a state takes too long and
// replaces when one dies.
type pool struct {
	call    call
	dir     string
	timeout time.Duration // of one state
	free    chan *worker  // as many as there may be processes

	seen atomic.Int64 // states that were begun to be verified

	mu  sync.Mutex
	bad func(finding) // called with mu held
}

// worker is the place of one process. proc is nil until it is first needed.
type worker struct {
	dir  string
	proc *process
	dead int // processes
}

func newPool(c call, dir string, n int, timeout time.Duration) *pool {
	p := &pool{call: c, dir: dir, timeout: timeout, free: make(chan *worker, n)}
	for i := range n {
		p.free <- &worker{dir: filepath.Join(dir, fmt.Sprintf("verify-%d", i))}
	}
	return p
}

// close ends all processes. No job may run.
func (p *pool) close() {
	for range cap(p.free) {
		w := <-p.free
		if w.proc != nil {
			w.proc.kill()
		}
	}
}

// run does jobs and adds what they did to sum. plan is called for each just before it
// starts, with how many have not started, it included, and how many states were
// verified; bad is called for each violation. Neither is called twice at a time. The
// error is one of the machinery.
func (p *pool) run(sum *tally, jobs []job, plan func(j *job, left, verified int), bad func(finding)) error {
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		failed error
	)
	p.bad = bad
	for i, j := range jobs {
		w := <-p.free
		mu.Lock()
		stop := failed != nil
		plan(&j, len(jobs)-i, sum.Verified)
		mu.Unlock()
		if stop {
			p.free <- w
			break
		}
		wg.Go(func() {
			defer func() { p.free <- w }()
			done, err := p.do(w, j)
			mu.Lock()
			defer mu.Unlock()
			sum.add(done)
			if failed == nil {
				failed = err
			}
		})
	}
	wg.Wait()
	return failed
}

// deaths is how many states of one job may kill or hang the process that verifies
// them before the job is given up: each costs a new process or a time-out.
const deaths = 3

// do runs j in the process of w. A state that ends the process, or takes too long,
// is a violation; the next process goes on after it.
func (p *pool) do(w *worker, j job) (tally, error) {
	for n := 0; ; n++ {
		done, at, err := p.attempt(w, j)
		if done != nil {
			return *done, nil
		}
		var useless *uselessError
		output, status := w.end(errors.As(err, &useless))
		if errors.Is(err, errDied) {
			err = fmt.Errorf("%w (%s)", err, status)
		}
		switch {
		case useless != nil:
			useless.Text += "\n" + output
			p.report(useless.finding)
		case at == nil || errors.Is(err, errMachinery):
			return tally{}, fmt.Errorf("verify: %w\n%s", err, output)
		default:
			p.report(finding{w.kept(*at, j), fmt.Sprintf("%v\n%s", err, output)})
		}
		if n+1 == deaths {
			return tally{Cut: true}, nil
		}
		j = j.resumed(*at)
	}
}

// end ends the process of w, by itself if it is about to, and returns the last that
// it printed and how it exited.
func (w *worker) end(itself bool) (output, status string) {
	if w.proc == nil {
		return "", ""
	}
	if itself {
		output = w.proc.end()
	} else {
		output = w.proc.kill()
	}
	status = w.proc.cmd.ProcessState.String()
	w.proc = nil
	w.clear()
	return output, status
}

// clear removes what a process that died has left, apart from traces.
func (w *worker) clear() {
	left, _ := filepath.Glob(filepath.Join(w.dir, stateDir+"*"))
	for _, dir := range left {
		_ = removeAll(dir) // the next process reports a directory that is in its way
	}
}

// kept returns at with a trace that the next process of w does not overwrite.
func (w *worker) kept(at place, j job) place {
	if at.Root == "" {
		return at
	}
	w.dead++
	path := filepath.Join(w.dir, fmt.Sprintf("dead-%d.trace", w.dead))
	if at.State == recording || os.Rename(at.Trace, path) != nil {
		return place{Trace: j.Trace, State: at.Root}
	}
	at.Trace = path
	return at
}

// resumed returns what is left of j after the state at.
func (j job) resumed(at place) job {
	if j.States == nil {
		j.After = at.State
		return j
	}
	last := at.State
	if at.Root != "" {
		last = at.Root
	}
	for i, id := range j.States {
		if id == last {
			j.States = j.States[i+1:]
			break
		}
	}
	return j
}

// attempt gives j to the process of w. Without a result it returns the state that
// the process was at, if it was at one, and what happened.
func (p *pool) attempt(w *worker, j job) (*tally, *place, error) {
	if w.proc == nil {
		proc, err := p.call.start(roleVerify, w.dir, plain)
		if err != nil {
			return nil, nil, err
		}
		w.proc = proc
	}
	proc := w.proc
	timer := time.AfterFunc(p.timeout+startTime, func() { killGroup(proc.cmd.Process.Pid) })
	defer timer.Stop()
	if err := w.proc.control.Encode(j); err != nil {
		return nil, nil, err
	}
	var at *place
	begun := time.Now()
	for {
		var e event
		if err := w.proc.answer.Decode(&e); err != nil {
			if !timer.Stop() {
				return nil, at, fmt.Errorf("hangs: no answer after %v", time.Since(begun).Round(time.Millisecond))
			}
			return nil, at, errDied
		}
		timer.Reset(p.timeout)
		begun = time.Now()
		switch {
		case e.At != nil:
			at = e.At
			if at.State != recording {
				p.seen.Add(1)
			}
		case e.Bad != nil && e.Useless:
			return nil, at, &uselessError{*e.Bad}
		case e.Bad != nil:
			p.report(*e.Bad)
		case e.Err != "":
			return nil, at, fmt.Errorf("%w: %s", errMachinery, e.Err)
		case e.Done != nil:
			return e.Done, nil, nil
		}
	}
}

// uselessError is returned when a process ends itself after a violation.
type uselessError struct{ finding }

func (*uselessError) Error() string { return errUseless.Error() }

// errDied is returned when a process ended without an answer.
var errDied = errors.New("the process died")

// errMachinery is wrapped by errors that are faultfs's own, not those of a state.
var errMachinery = errors.New("no state could be verified")

// startTime is what a process may take longer for its first state: it starts, reads
// the trace, and runs what the test function does before Run.
const startTime = 30 * time.Second

func (p *pool) report(f finding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bad(f)
}
