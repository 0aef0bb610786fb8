package cost

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/driftlesskv/driftless/internal/iocount"
)

// A Row is what one create of a subject costs on average, by so many callers at once.
type Row struct {
	Subject         string  `json:"subject"`
	Callers         int     `json:"callers"`
	Creates         int     `json:"creates"`
	Transactions    float64 `json:"transactions"`     // of the metadata file
	MetadataFlushes float64 `json:"metadata_flushes"` // of the metadata file
	OtherFlushes    float64 `json:"other_flushes"`    // of the resources
	KernelBytes     float64 `json:"kernel_bytes"`     // given to the kernel
	DiskBytes       float64 `json:"disk_bytes"`       // given to the disk; 0: not measured
	DiskFlushes     float64 `json:"disk_flushes"`     // of the disk's cache; 0: not measured
	Seconds         float64 `json:"seconds"`
}

// setup is where and how rows are measured.
type setup struct {
	dir       string        // on the disk to measure
	own       bool          // nobody else uses the disk
	devices   int           // that are there beforehand
	creates   int           // to average over, if that is enough rounds
	flushTime time.Duration // how much longer each flush is made to take
}

// rounds is how many creates each caller does at least: the groups of the first few
// have not found their size.
const rounds = 16

// reading is what is counted before and after a piece of work.
type reading struct {
	transactions int
	calls        iocount.Counts
	disk         iocount.Disk
	took         time.Duration
}

// measure has a subject make the devices that are there beforehand, then runs it
// twice under count, with nothing to do and with the creates. What opening and
// closing cost so falls away.
func (s setup) measure(ctx context.Context, subject Subject, callers int) (Row, error) {
	dir, err := os.MkdirTemp(s.dir, "cost-")
	if err != nil {
		return Row{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // nothing depends on it
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return Row{}, err
	}
	w := work{Subject: subject.Name, Dir: dir, Creates: s.devices, Callers: 64}
	if _, err := start(ctx, w, func(cmd *exec.Cmd) error { return cmd.Run() }); err != nil {
		return Row{}, err
	}
	w.First, w.Creates, w.Callers = s.devices, 0, callers
	idle, err := s.read(ctx, subject, w)
	if err != nil {
		return Row{}, err
	}
	w.Creates = max(s.creates, rounds*callers)
	busy, err := s.read(ctx, subject, w)
	if err != nil {
		return Row{}, err
	}
	calls, disk := busy.calls.Sub(idle.calls), busy.disk.Sub(idle.disk)
	row := Row{
		Subject: subject.Name, Callers: callers, Creates: w.Creates,
		Transactions: float64(busy.transactions - idle.transactions),
		KernelBytes:  float64(calls.Bytes()),
		DiskBytes:    float64(disk.Bytes),
		DiskFlushes:  float64(disk.Flushes),
		Seconds:      busy.took.Seconds(),
	}
	metadata := iocount.Counts{}
	for call, n := range calls {
		if call.Path == subject.Data {
			metadata[call] = n
		}
	}
	row.MetadataFlushes = float64(metadata.Flushes())
	row.OtherFlushes = float64(calls.Flushes()) - row.MetadataFlushes
	for _, x := range []*float64{
		&row.Transactions, &row.MetadataFlushes, &row.OtherFlushes,
		&row.KernelBytes, &row.DiskBytes, &row.DiskFlushes, &row.Seconds,
	} {
		*x /= float64(w.Creates)
	}
	return row, nil
}

// read does w and counts. The transactions are those of the file until then: what
// two readings differ by is what lies between them.
func (s setup) read(ctx context.Context, subject Subject, w work) (r reading, err error) {
	var before iocount.Disk
	if s.own {
		if before, err = iocount.DiskOf(w.Dir); err != nil {
			return r, err
		}
	}
	r.took, err = start(ctx, w, func(cmd *exec.Cmd) (err error) {
		r.calls, err = iocount.Run(ctx, cmd, iocount.Options{FlushTime: s.flushTime})
		return err
	})
	if err != nil {
		return r, err
	}
	if s.own {
		after, err := iocount.DiskOf(w.Dir)
		if err != nil {
			return r, err
		}
		r.disk = after.Sub(before)
	}
	if r.calls, err = r.calls.Below(w.Dir); err != nil {
		return r, err
	}
	r.transactions, err = transactions(filepath.Join(w.Dir, subject.Data))
	return r, err
}

// childEnv tells a process that it is a child of start, and what to do.
const childEnv = "DRIFTLESS_COST_WORK"

// start does w in a child, which run runs, and returns how long its creates took.
func start(ctx context.Context, w work, run func(*exec.Cmd) error) (time.Duration, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	text, err := json.Marshal(w)
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := run(cmd); err != nil {
		return 0, fmt.Errorf("measure %s: %w", w.Subject, err)
	}
	took, err := time.ParseDuration(out.String())
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", w.Subject, err)
	}
	return took, nil
}

// Child does the work of a child and ends the process, if it is one. Commands that
// call Main, and their tests, call it first.
func Child(ctx context.Context, subjects []Subject) {
	text, ok := os.LookupEnv(childEnv)
	if !ok {
		return
	}
	if err := child(ctx, text, subjects); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(ctx context.Context, text string, subjects []Subject) error {
	var w work
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return err
	}
	for _, subject := range subjects {
		if subject.Name == w.Subject {
			took, err := w.do(ctx, subject)
			fmt.Print(took)
			return err
		}
	}
	return fmt.Errorf("no subject %q", w.Subject)
}
