package cost

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// Options of a measurement, filled by flags.
type Options struct {
	Callers   []int
	Creates   int
	Devices   int
	FlushTime time.Duration
	Dir       string
	JSON      bool
}

// Register defines the flags and their defaults.
func (o *Options) Register(flags *flag.FlagSet) {
	o.Callers = []int{1, 16, 64}
	flags.Func("callers", "measure with each of these `numbers` of goroutines (default 1,16,64)", o.setCallers)
	flags.IntVar(&o.Creates, "creates", 512, "average over `n` creates, and over 16 for each caller at least")
	flags.IntVar(&o.Devices, "devices", 1000, "have `n` devices beforehand")
	flags.DurationVar(&o.FlushTime, "flush", 2*time.Millisecond, "make each flush take this `duration` longer, as on a slow medium")
	flags.StringVar(&o.Dir, "dir", "", "measure in this `directory`, not the bytes to its disk (default: as root, an ext4 of its own; else a temporary directory)")
	flags.BoolVar(&o.JSON, "json", false, "print one JSON array of rows instead of a table")
}

func (o *Options) setCallers(text string) error {
	o.Callers = nil
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(field)
		if err != nil {
			return err
		}
		o.Callers = append(o.Callers, n)
	}
	return nil
}

func (o *Options) check() error {
	for _, n := range append([]int{o.Creates}, o.Callers...) {
		if n < 1 {
			return fmt.Errorf("callers %v, creates %d: want at least 1 of each", o.Callers, o.Creates)
		}
	}
	if o.Devices < 0 || o.FlushTime < 0 {
		return fmt.Errorf("devices %d, flush %v: want no negative number", o.Devices, o.FlushTime)
	}
	return nil
}

// Args returns the flags that give another command the same options, with -json.
func (o *Options) Args() []string {
	return []string{
		"-json", "-creates", strconv.Itoa(o.Creates), "-devices", strconv.Itoa(o.Devices),
		"-flush", o.FlushTime.String(), "-dir", o.Dir,
		"-callers", strings.Trim(strings.Join(strings.Fields(fmt.Sprint(o.Callers)), ","), "[]"),
	}
}

// Measure returns a row for each subject and number of callers. It tells progress
// on log.
func Measure(ctx context.Context, opts Options, subjects []Subject, log io.Writer) (rows []Row, err error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	s := setup{dir: opts.Dir, devices: opts.Devices, creates: opts.Creates, flushTime: opts.FlushTime}
	if s.dir == "" {
		dir, remove, err := ownDisk(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			_, _ = fmt.Fprintln(log, "what the disk is given is not measured: no disk of our own:", err)
			s.dir = os.TempDir()
		default:
			s.dir, s.own = dir, true
			defer func() { err = errors.Join(err, remove()) }()
		}
	}
	for _, callers := range opts.Callers {
		for _, subject := range subjects {
			_, _ = fmt.Fprintf(log, "measuring %s, callers: %d\n", subject.Name, callers)
			row, err := s.measure(ctx, subject, callers)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// Print writes rows as the options want them.
func Print(w io.Writer, opts Options, rows []Row) error {
	if opts.JSON {
		return json.NewEncoder(w).Encode(rows)
	}
	return WriteTable(w, rows)
}
