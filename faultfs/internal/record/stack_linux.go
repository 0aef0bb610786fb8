//go:build amd64 || arm64

package record

import (
	"encoding/binary"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxFrames  = 32
	stackBytes = 8192  // how much of a stack is read
	maxFrame   = 65536 // no frame is larger
)

// stack is the return addresses of a call stack, innermost first, as they are in
// our own copy of the program. The zero one is empty.
type stack [maxFrames]uint64

// stackOf takes the stack of a thread of p that is blocked in a system call. No
// symbols are looked up: a word is a return address if it points into the text,
// and it is one of a frame if the word before it leads to another such frame.
func (w *worker) stackOf(t *thread, p *program) (s stack) {
	sp := w.stackPointer(t)
	if sp == 0 {
		return s
	}
	if runtime.GOARCH == "arm64" {
		sp -= 8 // where the frame record of the function that makes the call lies
	}
	v := view{base: sp, p: p}
	v.words = w.scratch[:readMemory(t.tid, sp, w.scratch[:stackBytes])]
	n := 0
	add := func(pc uint64) {
		if n < len(s) {
			s[n] = pc - p.bias
			n++
		}
	}
	if runtime.GOARCH == "amd64" {
		if pc := v.at(sp); p.has(pc) { // the stub that makes the call has no frame
			add(pc)
		}
		sp += 8
	}
	for at := v.first(sp, &w.runtimes); at != 0 && n < len(s); at = v.next(at) {
		add(v.at(at + 8))
	}
	return s
}

// stackPointer returns the stack pointer of a blocked thread, or 0.
func (w *worker) stackPointer(t *thread) uint64 {
	if t.call < 0 {
		return 0
	}
	buf := w.scratch[:256]
	n, err := unix.Pread(t.call, buf, 0)
	if err != nil {
		return 0
	}
	// The last two of the fields are the stack pointer and the program counter.
	end := n
	for field := 0; ; field++ {
		start := end
		for start > 0 && buf[start-1] != ' ' {
			start--
		}
		if start == 0 {
			return 0
		}
		if field == 1 {
			if end-start < 3 {
				return 0
			}
			sp, err := strconv.ParseUint(string(buf[start+2:end]), 16, 64)
			if err != nil {
				return 0
			}
			return sp
		}
		end = start - 1
	}
}

// view is a part of a stack that was read.
type view struct {
	base  uint64
	words []byte
	p     *program
}

func (v view) at(addr uint64) uint64 {
	off := addr - v.base
	if addr < v.base || off+8 > uint64(len(v.words)) {
		return 0
	}
	return binary.LittleEndian.Uint64(v.words[off:])
}

// first returns the innermost frame record: two words, the address of the next one
// and a return address. Below it can lie others that calls which have returned left
// behind: those of the runtime, which prepared for the system call.
func (v view) first(sp uint64, runtimes *runtimes) uint64 {
	for at := sp; at+16 <= v.base+uint64(len(v.words)); at += 8 {
		if pc := v.at(at + 8); v.p.has(pc) && v.next(at) != 0 && !runtimes.has(pc-v.p.bias) {
			return at
		}
	}
	return 0
}

// next returns the frame record after the one at at, or 0.
func (v view) next(at uint64) uint64 {
	next := v.at(at)
	if next <= at || next > at+maxFrame || !v.p.has(v.at(next+8)) {
		return 0
	}
	return next
}

// runtimes remembers which addresses are in package runtime.
type runtimes map[uint64]bool

func (r *runtimes) has(pc uint64) bool {
	in, known := (*r)[pc]
	if !known {
		f := runtime.FuncForPC(uintptr(pc))
		in = f != nil && strings.HasPrefix(f.Name(), "runtime.")
		if *r == nil {
			*r = runtimes{}
		}
		(*r)[pc] = in
	}
	return in
}
