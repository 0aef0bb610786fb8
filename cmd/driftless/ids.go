package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/driftlesskv/driftless/store"
)

func newIDs() *cobra.Command { return group("ids", "Look at the ids of device tables", newList()) }

// listing is what "ids ls" was asked for.
type listing struct {
	table string // empty: all of them
	json  bool
}

func newList() *cobra.Command {
	var l listing
	c := &cobra.Command{
		Use:   "ls DIR",
		Short: "List every id that is not free",
		Long: "Ls lists every id that is not free in the store in DIR, table by table in the order\n" +
			"of the ids: those in use, those not settled and those that are faulty, with the reason.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withStore(c.Context(), args[0], func(db *store.DB) error { return l.run(c, db) })
		},
	}
	c.Flags().StringVar(&l.table, "table", "", "only the table of this name")
	c.Flags().BoolVar(&l.json, "json", false, "print one JSON object a line")
	return c
}

func (l listing) run(c *cobra.Command, db *store.DB) error {
	tables, err := l.tables(db)
	if err != nil {
		return err
	}
	print, finish := l.printer(c.OutOrStdout())
	var damaged error
	for _, table := range tables {
		devices, err := db.OpenDevices(c.Context(), table, store.DevicesOptions{})
		if err != nil {
			return errors.Join(err, finish())
		}
		for rec, err := range devices.Records() {
			if errors.Is(err, store.ErrCorrupt) && rec.ID != 0 {
				// The record says so itself, as the reason of a faulty id.
				damaged = errFound
			} else if err != nil {
				return errors.Join(err, finish())
			}
			if err := errors.Join(c.Context().Err(), print(table, rec)); err != nil {
				return err
			}
		}
	}
	if err := finish(); err != nil {
		return err
	}
	if damaged != nil {
		return fmt.Errorf("list %s: %w", c.Flags().Arg(0), damaged)
	}
	return nil
}

// tables returns the tables to list. Naming one that does not exist is an error, so
// that a slip of the pen does not look like an empty table.
func (l listing) tables(db *store.DB) ([]string, error) {
	tables, err := db.Tables()
	if err != nil || l.table == "" {
		return tables, err
	}
	if !slices.Contains(tables, l.table) {
		return nil, fmt.Errorf("list table %q: %w", l.table, store.ErrNotFound)
	}
	return []string{l.table}, nil
}

// printRecord prints one record of a table.
type printRecord func(table string, rec store.Record) error

// printer returns what prints a record, and what has to be called after the last one.
func (l listing) printer(w io.Writer) (print printRecord, finish func() error) {
	if l.json {
		return jsonPrinter(w)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, first := fmt.Fprintln(table, "TABLE\tID\tSTATE\tPHASE\tCLAIMED\tNAME\tSTAMP\tREASON")
	print = func(name string, rec store.Record) error {
		_, err := fmt.Fprintf(table, "%s\t%v\t%v\t%s\t%s\t%s\t%s\t%s\n",
			plain(name), rec.ID, rec.State, phase(rec.Phase), yesNo(rec.Claimed), plain(rec.Name), stamp(rec.Stamp), plain(rec.Reason))
		return err
	}
	return print, func() error { return errors.Join(first, table.Flush()) }
}

// phase returns the phase as text; the record of a damaged id has none.
func phase(p store.Phase) string {
	if p == 0 {
		return "-"
	}
	return p.String()
}

// stamp returns the stamp as text; the record of a damaged id has none.
func stamp(s store.Stamp) string {
	if s.IsZero() {
		return "-"
	}
	return s.String()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// plain returns text as it is if it can be printed in a table, else quoted: names
// come from the outside and may hold tabs or what a terminal obeys.
func plain(text string) string {
	if text == "" {
		return "-"
	}
	for _, r := range text {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return strconv.Quote(text)
		}
	}
	return text
}
