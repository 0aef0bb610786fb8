package main

import (
	"encoding/json"
	"io"
	"time"

	"github.com/driftlesskv/driftless/store"
)

// recordJSON is one line of "ids ls --json". What is empty is left out, except for
// what every id has.
type recordJSON struct {
	Table    string            `json:"table"`
	ID       store.DeviceID    `json:"id"`
	State    string            `json:"state"`
	Phase    string            `json:"phase,omitempty"`
	Claimed  bool              `json:"claimed"`
	Name     string            `json:"name,omitempty"`
	Stamp    string            `json:"stamp,omitempty"`
	Parent   *refJSON          `json:"parent,omitempty"`
	Attempts int               `json:"attempts,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Since    *time.Time        `json:"since,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Attrs    map[string]string `json:"attrs,omitempty"`
	Meta     []byte            `json:"meta,omitempty"` // base64
	History  []eventJSON       `json:"history,omitempty"`
}

type refJSON struct {
	ID    store.DeviceID `json:"id"`
	Stamp string         `json:"stamp"`
}

type eventJSON struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"`
}

// jsonPrinter prints records as they come; there is nothing to finish.
func jsonPrinter(w io.Writer) (print printRecord, finish func() error) {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	print = func(table string, rec store.Record) error { return encoder.Encode(toJSON(table, rec)) }
	return print, func() error { return nil }
}

func toJSON(table string, rec store.Record) recordJSON {
	out := recordJSON{
		Table:    table,
		ID:       rec.ID,
		State:    rec.State.String(),
		Claimed:  rec.Claimed,
		Name:     rec.Name,
		Attempts: rec.Attempts,
		Reason:   rec.Reason,
		Labels:   rec.Labels,
		Attrs:    rec.Attrs,
		Meta:     rec.Meta,
	}
	if rec.Phase != 0 {
		out.Phase = rec.Phase.String()
	}
	if !rec.Stamp.IsZero() {
		out.Stamp = rec.Stamp.String()
	}
	if !rec.Parent.IsZero() {
		out.Parent = &refJSON{rec.Parent.ID, rec.Parent.Stamp.String()}
	}
	if !rec.Since.IsZero() {
		out.Since = &rec.Since
	}
	for _, event := range rec.History {
		out.History = append(out.History, eventJSON(event))
	}
	return out
}
