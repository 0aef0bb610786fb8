package faultfs

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
)

// W is what Work gets. Its methods may be called from any number of goroutines.
type W struct {
	dir string
}

// Dir returns the directory to work in. Only what happens below it is recorded.
func (w *W) Dir() string { return w.dir }

// Begin says that an operation is about to start: from here on its effect may be
// there after a crash. args name what it works on and must be encodable as JSON. A
// power cut just before it is always explored.
func (w *W) Begin(op string, args ...any) { w.mark(false, named(op), args) }

// Ack says that an operation was acknowledged to its caller: from here on its
// effect must be there after every crash.
func (w *W) Ack(op string, args ...any) { w.mark(true, named(op), args) }

// named returns op if a mark can be called that. Else it panics: the test itself is
// wrong then.
func named(op string) string {
	if op == surfaced || strings.Contains(op, "\x00") {
		panic(fmt.Errorf("faultfs: set mark %q: the name is reserved, or has a zero byte in it", op))
	}
	return op
}

// Surfaced says that the program's own caller was told of err, and goes on. In a
// [Sweep] it is the way of an error that Work does not return. Nil is ignored.
func (w *W) Surfaced(err error) {
	if err == nil {
		return
	}
	var args []any
	for _, e := range errnos(err) {
		args = append(args, int(e))
	}
	w.mark(true, surfaced, args)
}

// surfaced is the name of the marks that [W.Surfaced] sets. States do not show them.
const surfaced = "faultfs.surfaced"

func (w *W) mark(ack bool, op string, args []any) {
	if args == nil {
		args = []any{}
	}
	text, err := json.Marshal(args)
	if err != nil {
		panic(fmt.Errorf("faultfs: encode arguments of mark %s: %w", op, err))
	}
	if err := record.Mark(ack, op, text); err != nil {
		panic(fmt.Errorf("faultfs: set mark %s: %w", op, err))
	}
}

// Mark is one call of [W.Begin] or [W.Ack].
type Mark struct {
	Op   string          // the name given
	Args json.RawMessage // the arguments given, a JSON array
	Ack  bool            // whether it was an Ack
}

// Scan decodes the arguments of the mark, in order, into what dest point to. It
// fails if there are fewer arguments than destinations.
func (m Mark) Scan(dest ...any) error {
	var args []json.RawMessage
	if err := json.Unmarshal(m.Args, &args); err != nil {
		return fmt.Errorf("decode arguments of mark %s: %w", m.Op, err)
	}
	if len(args) < len(dest) {
		return fmt.Errorf("mark %s has %d arguments, not %d", m.Op, len(args), len(dest))
	}
	for i, d := range dest {
		if err := json.Unmarshal(args[i], d); err != nil {
			return fmt.Errorf("decode argument %d of mark %s: %w", i, m.Op, err)
		}
	}
	return nil
}

// String returns the mark as it was called, such as "ack put(3)".
func (m Mark) String() string {
	word := "begin "
	if m.Ack {
		word = "ack "
	}
	args := string(m.Args)
	if len(args) >= 2 {
		args = args[1 : len(args)-1]
	}
	return word + m.Op + "(" + args + ")"
}

// Args returns the first argument of each mark. It panics if one is missing or
// not a T: the test itself is wrong then.
func Args[T any](marks []Mark) []T {
	values := make([]T, len(marks))
	for i, m := range marks {
		if err := m.Scan(&values[i]); err != nil {
			panic(err)
		}
	}
	return values
}

// State is one state that a power cut can leave, written out into a directory.
type State struct {
	dir   string
	model string
	marks []Mark
}

// Dir returns the directory. It belongs to this state alone.
func (s *State) Dir() string { return s.dir }

// Model returns the name of the model that allows the state.
func (s *State) Model() string { return s.model }

// Marks returns all marks before the power cut, in order.
func (s *State) Marks() []Mark { return s.marks }

// Acked returns the operations called op that were acknowledged before the power
// cut, in order.
func (s *State) Acked(op string) []Mark { return s.filter(op, true) }

// Begun returns the operations called op that had begun before the power cut,
// acknowledged or not, in order.
func (s *State) Begun(op string) []Mark { return s.filter(op, false) }

func (s *State) filter(op string, ack bool) []Mark {
	var found []Mark
	for _, m := range s.marks {
		if m.Op == op && m.Ack == ack {
			found = append(found, m)
		}
	}
	return found
}
