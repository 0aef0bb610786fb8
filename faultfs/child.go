package faultfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
)

// The pipes between a process that was started for a role and the one that
// started it. Recorders place their own descriptors after them.
const (
	controlFD = 3
	answerFD  = 4
	lifeFD    = 5 // its other end is open as long as the parent lives
)

// outcome is how the function of a role ended.
type outcome struct {
	Failed bool   // it returned an error, or panicked
	Text   string // the error, or the panic with its stack
	// Surfaced are the errno values that the error wraps.
	Surfaced []syscall.Errno

	PID   int  // of the process that played it, if that is Work's
	Fatal bool // it failed the test and ended it, as Fatal does
	Lost  bool // not a failure of Work: what it did cannot be told from the recording

	quit bool // it ended its goroutine
}

// inside is whether a function of a Test is running in this process.
var inside atomic.Bool

// play runs the role that this process was started for and ends the test. It is
// called at the right call of Run or Sweep.
func play(t TB, test Test) {
	go dieWithParent()
	control := json.NewDecoder(os.NewFile(controlFD, "control"))
	answer := json.NewEncoder(os.NewFile(answerFD, "answer"))
	switch self.name {
	case roleWork:
		playWork(t, test, answer)
	case roleVerify:
		playVerify(t, test, control, answer)
	case roleRecover:
		playRecover(t, test, control, answer)
	}
	t.SkipNow() // runs what the test function deferred
}

// dieWithParent ends this process when its parent is gone, whatever it is doing. The
// kernel's own way, a signal at the parent's death, is tied to the thread that
// started the process and comes when that one ends.
func dieWithParent() {
	_, _ = os.NewFile(lifeFD, "life").Read(make([]byte, 1))
	killGroup(0)
	os.Exit(3)
}

// playWork runs Setup, joins the recorder and runs Work.
func playWork(t TB, test Test, answer *json.Encoder) {
	var out outcome
	if test.Setup != nil {
		out = guard(func() error { return test.Setup(self.dir) })
		out.Text = "setup: " + out.Text
	}
	if !out.Failed {
		out = recordWork(test)
	}
	out.PID, out.Fatal = os.Getpid(), out.quit && t.Failed()
	_ = failing(t, &out)
	_ = answer.Encode(out) // the parent sees a missing answer
}

// recordWork joins the recorder and runs Work.
func recordWork(test Test) outcome {
	lost := false
	out := guard(func() error {
		if err := record.Join(); err != nil {
			return fmt.Errorf("join the recorder: %w", err)
		}
		if err := record.Begin(self.dir); err != nil {
			return fmt.Errorf("begin the recording: %w", err)
		}
		err := test.Work(&W{dir: self.dir})
		endErr := record.End()
		if lost = endErr != nil; lost {
			return errors.Join(ended(endErr), err)
		}
		return err
	})
	out.Lost = lost
	return out
}

// ended says what is wrong with a recording that could not be ended.
func ended(err error) error {
	if errors.Is(err, syscall.EBADMSG) {
		return errors.New("mark lines: one write held more than one of them, so that nobody knows what was done before the first: " +
			"let the program flush after each line (stdbuf -oL, python -u)")
	}
	return fmt.Errorf("end the recording: %w", err)
}

// playRecover records Recover in one directory after the other.
func playRecover(t TB, test Test, control *json.Decoder, answer *json.Encoder) {
	if err := record.Join(); err != nil {
		_ = answer.Encode(outcome{Failed: true, Text: "join the recorder: " + err.Error()})
		return
	}
	var dir string
	for control.Decode(&dir) == nil {
		out := guard(func() error {
			if err := record.Begin(dir); err != nil {
				return fmt.Errorf("begin the recording: %w", err)
			}
			return errors.Join(test.Recover(dir), record.End())
		})
		if answer.Encode(out) != nil || t.Failed() { // verifying the same state tells
			return
		}
	}
}

// failing makes out a failure if the function of a role has failed the test itself:
// nobody looks at the test in this process. It returns whether it has, and then the
// process is of no more use.
func failing(t TB, out *outcome) bool {
	if out.quit && !t.Failed() { // what it logged is printed only of a test that fails
		t.Errorf("faultfs: skip before the call of Run, not within a function of the Test")
	}
	if !t.Failed() {
		return false
	}
	if !out.Failed {
		*out = outcome{Failed: true, Text: "the test was failed by Errorf or Fail; what it logged follows"}
	}
	return true
}

// guard calls f, in a goroutine that it may end, and returns how it ended. Faults on
// maps of files that were cut short are panics here, not the end of the process.
func guard(f func() error) outcome {
	inside.Store(true)
	defer inside.Store(false)
	ended := make(chan outcome)
	go func() {
		out := outcome{Failed: true, quit: true, Text: "the function ended by Fatal, Skip or runtime.Goexit, it did not return; what it logged follows"}
		defer func() { ended <- out }()
		defer func() {
			if p := recover(); p != nil {
				out = outcome{Failed: true, Text: fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}
			}
		}()
		debug.SetPanicOnFault(true)
		err := f()
		out = outcome{}
		if err != nil {
			out = outcome{Failed: true, Text: err.Error(), Surfaced: errnos(err)}
		}
	}()
	return <-ended
}

// errnos returns the values of errno that err wraps.
func errnos(err error) []syscall.Errno {
	var found []syscall.Errno
	for e := syscall.Errno(1); e < 134; e++ {
		if errors.Is(err, e) {
			found = append(found, e)
		}
	}
	return found
}
