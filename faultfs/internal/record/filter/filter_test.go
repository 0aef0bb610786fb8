package filter_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
	"github.com/driftlesskv/driftless/internal/testenv"
)

// seccompData is struct seccomp_data.
type seccompData struct {
	nr   uint32
	arch uint32
	args [6]uint64
}

func (d *seccompData) word(off uint32) uint32 {
	switch {
	case off == 0:
		return d.nr
	case off == 4:
		return d.arch
	}
	value := d.args[(off-16)/8]
	if off%8 == 4 {
		return uint32(value >> 32)
	}
	return uint32(value)
}

// interpret runs prog as the kernel does.
func interpret(t *testing.T, prog []filter.Instruction, d *seccompData) uint32 {
	a := uint32(0)
	for pc := 0; ; pc++ {
		require.Less(t, pc, len(prog), "runs off the end")
		i := prog[pc]
		jump := func(yes bool) {
			if yes {
				pc += int(i.JT)
			} else {
				pc += int(i.JF)
			}
		}
		switch i.Code {
		case filter.Load:
			require.Zero(t, i.K%4)
			a = d.word(i.K)
		case filter.Equal:
			jump(a == i.K)
		case filter.Set:
			jump(a&i.K != 0)
		case filter.Return:
			return i.K
		default:
			require.Fail(t, "unknown instruction")
		}
	}
}

// x32 marks the numbers of an ABI of amd64.
const x32 = 1 << 30

var tables = map[string]filter.Table{"amd64": filter.AMD64, "arm64": filter.ARM64}

// Each call that the rules name is notified, refused or allowed as they say; every
// other number is allowed.
func TestFilter(t *testing.T) {
	for name, tab := range tables {
		t.Run(name, func(t *testing.T) {
			prog := tab.Program()
			require.Less(t, len(prog), 4096, "the kernel's limit")
			by := map[uint32]filter.Call{}
			for c, nr := range tab.Calls {
				by[nr] = c
			}
			for nr := range uint32(600) {
				c := by[nr]
				want := uint32(filter.Notify)
				switch {
				case c == filter.None:
					want = filter.Allow
				case c == filter.Setxattrat, c == filter.Removexattrat:
					want = filter.Nosys
				case conditional(c):
					continue // TestFilterConditions
				}
				require.Equal(t, want, interpret(t, prog, &seccompData{nr: nr, arch: tab.Arch}), "%d %s", nr, c)
			}
			for _, foreign := range []seccompData{{nr: 1, arch: 0x40000003}, {nr: 64, arch: 0x40000028}, {nr: x32 | 1, arch: tab.Arch}} {
				require.EqualValues(t, filter.Nosys, interpret(t, prog, &foreign))
			}
		})
	}
}

// conditions are calls with arguments, and whether they are notified.
var conditions = []struct {
	call filter.Call
	args [6]uint64
	want bool
}{
	{filter.Openat, [6]uint64{2: 0x2}, false},
	{filter.Openat, [6]uint64{2: 0x2, 3: 0x40, 1: 0x40}, false},
	{filter.Openat, [6]uint64{2: 0x42}, true},
	{filter.Openat, [6]uint64{2: 0x202 | high}, true},
	{filter.Openat, [6]uint64{2: 0x410002}, true},
	{filter.Open, [6]uint64{1: 0x2, 2: 0x40}, false},
	{filter.Open, [6]uint64{1: 0x241}, true},
	{filter.Mmap, [6]uint64{2: 3, 3: 0x2}, false},
	{filter.Mmap, [6]uint64{2: 3, 3: 0x22}, false},
	{filter.Mmap, [6]uint64{2: 3, 3: 0x21}, false},
	{filter.Mmap, [6]uint64{2: 3, 3: 0x1}, true},
	{filter.Mmap, [6]uint64{2: 1, 3: 0x1}, true},
	{filter.Mmap, [6]uint64{2: 3, 3: 0x8003}, true},
	{filter.Mprotect, [6]uint64{2: 1}, false},
	{filter.Mprotect, [6]uint64{2: 3}, true},
	{filter.PkeyMprotect, [6]uint64{2: 5}, false},
	{filter.PkeyMprotect, [6]uint64{2: 2}, true},
	{filter.Msync, [6]uint64{2: 1}, false},
	{filter.Msync, [6]uint64{2: 4}, true},
	{filter.Unshare, [6]uint64{0: 0x200}, false},
	{filter.Unshare, [6]uint64{0: 0x20000}, true},
	{filter.Unshare, [6]uint64{0: 0x10000000}, true},
	{filter.Clone, [6]uint64{0: 0x3d0f00}, false}, // a thread
	{filter.Clone, [6]uint64{0: 0x20011}, true},
	{filter.Prlimit64, [6]uint64{3: 0x7ffc12345678}, false},
	{filter.Prlimit64, [6]uint64{2: 0x7ffc12345678}, true},
	{filter.Ioctl, [6]uint64{1: 0x5401}, false},
	{filter.Ioctl, [6]uint64{1: 0x40049409}, true},
	{filter.Ioctl, [6]uint64{1: 0x4020940d | high}, true},
	{filter.Ioctl, [6]uint64{1: 0x40305828}, true},
	{filter.Ioctl, [6]uint64{1: 0x40305829}, true},
	{filter.Ioctl, [6]uint64{1: 0x4030582a}, true},
	{filter.Ioctl, [6]uint64{1: 0x4030582b}, true},
	{filter.Ioctl, [6]uint64{1: 0x40305839}, true},
}

// high is in the upper half of an argument that is an int, where it means nothing.
const high = 1 << 40

func conditional(c filter.Call) bool {
	for _, tt := range conditions {
		if tt.call == c {
			return true
		}
	}
	return false
}

func TestFilterConditions(t *testing.T) {
	for _, tt := range conditions {
		for name, tab := range tables {
			nr, found := tab.Calls[tt.call]
			if !found {
				continue
			}
			want := uint32(filter.Allow)
			if tt.want {
				want = filter.Notify
			}
			got := interpret(t, tab.Program(), &seccompData{nr: nr, arch: tab.Arch, args: tt.args})
			require.Equal(t, want, got, "%s: %s %x", name, tt.call, tt.args)
		}
	}
}

// legacy are the calls that new architectures do not have.
var legacy = []filter.Call{
	filter.Open, filter.Creat, filter.Mkdir, filter.Mknod, filter.Rename, filter.Link, filter.Symlink, filter.Unlink, filter.Rmdir, filter.Chmod, filter.Chown, filter.Lchown, filter.Utime, filter.Utimes, filter.Futimesat,
}

// The numbers are those of golang.org/x/sys, which generates its own from the
// kernel's headers.
func TestTables(t *testing.T) {
	for name, tab := range tables {
		t.Run(name, func(t *testing.T) {
			numbers := systemNumbers(t, name)
			for c := filter.None + 1; c < filter.Calls; c++ {
				want, found := numbers[c.String()]
				got, has := tab.Calls[c]
				require.Equal(t, found, has, c)
				require.Equal(t, want, got, c)
			}
			missing := 0
			for _, c := range legacy {
				if _, found := tab.Calls[c]; !found {
					missing++
				}
			}
			require.Equal(t, name == "arm64", missing == len(legacy))
			require.Equal(t, name == "amd64", missing == 0)
			require.Len(t, tab.Calls, int(filter.Calls)-1-missing)
		})
	}
}

// systemNumbers reads the numbers of all calls on an architecture.
func systemNumbers(t *testing.T, arch string) map[string]uint32 {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		testenv.Skip(t, "the module's sources are not here: "+err.Error())
	}
	f, err := os.Open(filepath.Join(strings.TrimSpace(string(out)), "unix", "zsysnum_linux_"+arch+".go"))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	line := regexp.MustCompile(`^\s*SYS_(\w+)\s*=\s*(\d+)`)
	numbers := map[string]uint32{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if m := line.FindStringSubmatch(s.Text()); m != nil {
			nr, err := strconv.ParseUint(m[2], 10, 32)
			require.NoError(t, err)
			numbers[strings.ToLower(m[1])] = uint32(nr)
		}
	}
	require.Greater(t, len(numbers), 300)
	return numbers
}
