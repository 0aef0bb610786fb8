package churn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/audit"
	"github.com/driftlesskv/driftless/examples/snapshotter/internal/snapshot"
)

// A ledger is the parent's own account of what it was promised, written from
// nothing but the child's reports.
type ledger struct {
	keys    []string // of all entries, in the order of their first use
	entries map[string]*entry
	sent    map[int]*entry // by sequence number of their command, in this life
	seq     int
}

// An entry is the account of one key, on which at most one operation is under way.
type entry struct {
	audit.Expectation
	command Command
	pending bool // command has been sent, and there was no answer
	begun   bool // pending, and the child said that it began
	failed  bool // command returned an error; nobody knows what it left, so the key is not used again
}

func newLedger() *ledger {
	return &ledger{entries: map[string]*entry{}, sent: map[int]*entry{}}
}

// plan notes down that c is about to be sent, and what it will make of its key.
func (l *ledger) plan(c Command) {
	e, ok := l.entries[c.Key]
	if !ok {
		e = &entry{}
		l.entries[c.Key] = e
		l.keys = append(l.keys, c.Key)
	}
	e.command, e.pending = c, true
	switch c.Op {
	case Prepare:
		e.After = audit.State{Kind: snapshot.Active, Parent: c.Parent, Layers: []string{c.Archive}}
		if parent, ok := l.entries[c.Parent]; ok {
			e.After.Layers = append(slices.Clone(parent.After.Layers), c.Archive)
		}
	case Commit:
		e.After.Kind = snapshot.Committed
	case Remove:
		e.After = audit.State{}
	case View:
	}
}

// send returns the pending command of e under a new number.
func (l *ledger) send(e *entry) Command {
	l.seq++
	e.command.Seq = l.seq
	l.sent[l.seq] = e
	return e.command
}

// answer takes a report down. An entry is no longer pending after ack or fail.
func (l *ledger) answer(r Report) (*entry, error) {
	e, ok := l.sent[r.Seq]
	if !ok {
		return nil, fmt.Errorf("child reports %s of unknown command %d", r.Event, r.Seq)
	}
	switch r.Event {
	case Begin:
		e.begun = true
		return e, nil
	case Ack:
		e.Before = e.After
	case Fail:
		e.failed = true
	case Ready:
		return nil, fmt.Errorf("child reports %s of command %d", r.Event, r.Seq)
	}
	e.pending, e.begun = false, false
	delete(l.sent, r.Seq)
	return e, nil
}

// end closes the books of a child's life. A command that it did not begin has had no
// effect; one that it began is still pending, and will be tried again.
func (l *ledger) end() {
	for _, e := range l.sent {
		if !e.begun {
			e.After, e.pending = e.Before, false
		}
	}
	clear(l.sent)
}

// interrupted returns the entries whose command began and was not answered, except
// those that the present child has been sent again.
func (l *ledger) interrupted() (entries []*entry) {
	for _, key := range l.keys {
		e := l.entries[key]
		if e.begun && l.sent[e.command.Seq] != e {
			entries = append(entries, e)
		}
	}
	return entries
}

// inFlight returns the number of operations that began and were not answered.
func (l *ledger) inFlight() (n int) {
	for _, e := range l.entries {
		if e.begun {
			n++
		}
	}
	return n
}

// doing returns, for people, what the present child has begun and not answered.
func (l *ledger) doing() string {
	var names []string
	for _, e := range l.sent {
		if e.begun {
			names = append(names, e.command.String())
		}
	}
	if names == nil {
		return "recovery, or nothing it was told to"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// expectations returns what the audit may expect of each key.
func (l *ledger) expectations() map[string]audit.Expectation {
	all := make(map[string]audit.Expectation, len(l.entries))
	for key, e := range l.entries {
		all[key] = e.Expectation
	}
	return all
}
