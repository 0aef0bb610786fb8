//go:build linux && (amd64 || arm64)

package record_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/driftlesskv/driftless/faultfs/internal/record"
	"github.com/driftlesskv/driftless/faultfs/internal/trace"
)

const (
	errENODATA = syscall.ENODATA
	errEBUSY   = syscall.EBUSY
)

var partForever = part("forever", func(dir string) error {
	f, err := os.Create(dir + "/f")
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		name := fmt.Sprintf("%s/%d", dir, i%5)
		if err := first(ignore(f.WriteString("x")), os.WriteFile(name, []byte("y"), 0o600), f.Sync(), os.Rename(name, name+"r")); err != nil {
			return err
		}
	}
})

// resources counts what this process holds.
func resources(t *testing.T) (fds, goroutines, children int) {
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	require.NoError(t, err)
	for _, task := range tasks {
		list, err := os.ReadFile(task)
		if err == nil { // a thread may have ended
			children += len(strings.Fields(string(list)))
		}
	}
	return len(entries), runtime.NumGoroutine(), children
}

// leaks checks, in the end, that nothing is left of what happens in between.
func leaks(t *testing.T) func() {
	_, _ = record.Supported(), os.Getpid() // opens nothing the second time
	fds, goroutines, children := resources(t)
	return func() {
		var f, g, c int
		require.Eventually(t, func() bool {
			f, g, c = resources(t)
			return f <= fds && g <= goroutines+1 && c <= children // Eventually has one of its own
		}, 5*time.Second, 10*time.Millisecond, "was %d descriptors, %d goroutines, %d children", fds, goroutines, children)
		_, _, _ = f, g, c
	}
}

// However the program ends, what was recorded is what happened, and nothing is left.
func TestKilledAtAnyMoment(t *testing.T) {
	next(t, start(t, partSmall, shm(t), record.Options{})) // what is made once
	check := leaks(t)
	for i := range 15 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			dir := shm(t)
			cmd := command(t, partForever, dir)
			s, err := record.Start(cmd, record.Options{})
			require.NoError(t, err)
			time.Sleep(time.Duration(rand.IntN(40_000)) * time.Microsecond)
			if i%3 == 0 {
				s.Kill()
			} else {
				require.NoError(t, cmd.Process.Kill())
			}
			require.Error(t, s.Wait())
			for {
				tr, err := s.Next(t.Context())
				if err != nil {
					break
				}
				sound(t, tr)
				same(t, tr, dir)
			}
			s.Kill()
			s.Kill()
		})
	}
	check()
}

var partThreads = part("threads", func(dir string) error {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			runtime.LockOSThread()
			f, err := os.OpenFile(dir+"/f", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			for range 100 {
				err = first(err, ignore(fmt.Fprintf(f, "%d\n", i)))
			}
			errs[i] = first(err, f.Sync(), f.Close())
		})
	}
	wg.Wait()
	return first(errs...)
})

func TestThreads(t *testing.T) {
	check := leaks(t)
	tr := run(t, partThreads, shm(t), record.Options{})
	require.Len(t, tr.Ops, 1+8*100+8)
	off := int64(0)
	for _, op := range tr.Ops {
		if op.Kind == trace.Write {
			require.Equal(t, off, op.Off, "appended")
			off += op.Len
		}
	}
	check()
}

var partShell = part("shell", func(dir string) error {
	cmd := exec.Command("/bin/sh", "-c", `umask 077; echo one >a; echo two >>a; mkdir d && mv a d/b; (cd d; ln -s b l; cat b >c); rm d/l; sync d/c; (echo "faultfs: ack put k 1"; echo "faultfs: ack put k 2" >&3) 3>/dev/full | cat; echo rest >&2; ulimit -f 0; echo x >>d/b`)
	cmd.Dir = dir
	cmd.Stdout = os.Stdout
	_ = cmd.Run() // the limit
	return nil
})

// Processes that the program starts are recorded, whatever they run; a line that is
// passed on counts once.
func TestShell(t *testing.T) {
	tr := run(t, partShell, shm(t), record.Options{MarkLines: true})
	want := []string{
		"create 1/a =2 600", `write 2 @0 "one\n"`, `write 2 @4 "two\n"`, "mkdir 1/d =3 700", "rename 1/a > 3/b =2", "symlink 3/l =4 > b", "create 3/c =5 600",
		`write 5 @0 "one\ntwo\n"`, "unlink 3/l =4", "fsync 5 full",
	}
	require.Equal(t, want, showAll(tr.Ops))
	names := map[string]bool{}
	for _, op := range tr.Ops {
		names[tr.Sites[op.Site].Process] = true
	}
	for _, name := range []string{"sh", "mkdir", "mv", "ln", "cat", "rm", "sync"} {
		require.True(t, names[name], "%s is among %v", name, names)
	}
	require.Len(t, tr.Marks, 1)
	m := tr.Marks[0]
	require.Equal(t, trace.Mark{At: m.At, Ack: true, Op: "put", Args: []byte(`["k","1"]`), Site: m.Site}, m)
	require.Greater(t, m.At, tr.Ops[len(tr.Ops)-1].End)
}

var partExec = plainPart("exec", func(dir string) error {
	if err := record.Begin(dir); err != nil {
		return err
	}
	return unix.Exec("/bin/sh", []string{"sh", "-c", "cd " + dir + "; printf 'faultfs: be'; echo gin op; echo x >f; (sleep 0.1; echo y >>f) & exit 3"}, os.Environ())
})

// A program that joined can become another one. The recording ends with the last of
// its processes.
func TestExec(t *testing.T) {
	dir := shm(t)
	s := start(t, partExec, dir, record.Options{MarkLines: true})
	tr := next(t, s)
	sound(t, tr)
	same(t, tr, dir)
	require.Equal(t, []string{"create 1/f =2 644", `write 2 @0 "x\n"`, `write 2 @2 "y\n"`}, showAll(tr.Ops))
	require.Equal(t, "sh", tr.Sites[tr.Ops[0].Site].Process)
	require.Len(t, tr.Marks, 1)
	require.Equal(t, "op", tr.Marks[0].Op)
	require.Equal(t, "[]", string(tr.Marks[0].Args))
	require.ErrorContains(t, s.Wait(), "exit status 3")
}

var partDaemon = part("daemon", func(dir string) error {
	cmd := exec.Command("/bin/sh", "-c", "for i in $(seq 100000); do echo x >>f; done") // it ends even if nobody kills it
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
})

var partSleeper = part("sleeper", func(dir string) error {
	cmd := exec.Command("/bin/sh", "-c", "sleep 0.4; echo x >f; sleep 60")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
})

// One that nobody knew when Kill came is killed when it makes itself known.
func TestKillOfSleeper(t *testing.T) {
	dir := shm(t)
	s := start(t, partSleeper, dir, record.Options{})
	require.NoError(t, s.Wait())
	time.Sleep(100 * time.Millisecond)
	began := time.Now()
	s.Kill()
	require.Less(t, time.Since(began), 1500*time.Millisecond)
	require.NoFileExists(t, dir+"/f")
}

// Kill finds descendants that have left the process group.
func TestKillOfDaemon(t *testing.T) {
	check := leaks(t)
	dir := shm(t)
	s, err := record.Start(command(t, partDaemon, dir), record.Options{})
	require.NoError(t, err)
	t.Cleanup(s.Kill)
	require.NoError(t, s.Wait())
	require.Eventually(t, func() bool { _, err := os.Stat(dir + "/f"); return err == nil }, 5*time.Second, time.Millisecond)
	began := time.Now()
	s.Kill()
	require.Less(t, time.Since(began), time.Second)
	size := func() int64 { info, err := os.Stat(dir + "/f"); require.NoError(t, err); return info.Size() }
	before := size()
	time.Sleep(20 * time.Millisecond)
	require.Equal(t, before, size(), "it writes no more")
	check()
}
