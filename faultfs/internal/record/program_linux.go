//go:build amd64 || arm64

package record

import (
	"bytes"
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// program is what a process runs.
type program struct {
	name string // for people
	same bool   // it is our own executable; the rest is valid only then
	bias uint64 // how much higher it was loaded there than here
	text []span // of its code, at its own addresses
}

// span is a range of addresses.
type span struct{ from, to uint64 }

// has reports whether pc points into the code.
func (p *program) has(pc uint64) bool {
	for _, s := range p.text {
		if pc > s.from && pc < s.to {
			return true
		}
	}
	return false
}

// self is what we run ourselves.
var self = sync.OnceValue(func() ownProgram {
	own := ownProgram{entry: entryPoint("self")}
	if unix.Stat("/proc/self/exe", &own.exe) != nil {
		return ownProgram{}
	}
	for m := range mappings("self") {
		if strings.Contains(m.perms, "x") && m.ino == own.exe.Ino {
			own.text = append(own.text, m.span)
		}
	}
	return own
})

type ownProgram struct {
	exe   unix.Stat_t
	entry uint64
	text  []span
}

// of returns what the process of t runs.
func (t *thread) program() *program {
	t.proc.mu.Lock()
	defer t.proc.mu.Unlock()
	if t.proc.program == nil {
		t.proc.program = lookProgram(strconv.Itoa(t.tid))
	}
	return t.proc.program
}

func lookProgram(pid string) *program {
	comm, err := os.ReadFile("/proc/" + pid + "/comm")
	if err != nil {
		return &program{}
	}
	p := &program{name: string(bytes.TrimSpace(comm))}
	own := self()
	var exe unix.Stat_t
	if err := unix.Stat("/proc/"+pid+"/exe", &exe); err != nil || exe.Dev != own.exe.Dev || exe.Ino != own.exe.Ino || own.entry == 0 {
		return p
	}
	entry := entryPoint(pid)
	if entry == 0 {
		return p
	}
	p.same, p.bias = true, entry-own.entry
	for _, s := range own.text {
		p.text = append(p.text, span{s.from + p.bias, s.to + p.bias})
	}
	return p
}

// entryPoint returns where the process began to run, which tells where its
// executable was loaded, or 0.
func entryPoint(pid string) uint64 {
	auxv, err := os.ReadFile("/proc/" + pid + "/auxv")
	if err != nil {
		return 0
	}
	const atEntry = 9
	for ; len(auxv) >= 16; auxv = auxv[16:] {
		if binary.LittleEndian.Uint64(auxv) == atEntry {
			return binary.LittleEndian.Uint64(auxv[8:])
		}
	}
	return 0
}
