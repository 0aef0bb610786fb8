//go:build amd64 || arm64

package record

import (
	"bytes"
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	pageSize    = 4096       // the smallest of any machine; only to split reads
	maxTransfer = 0x7ffff000 // what one call writes at most, as the kernel has it
	maxVectors  = 1024
)

// readMemory fills buf from the memory of the thread and returns how much could be
// read.
func readMemory(tid int, addr uint64, buf []byte) int {
	if len(buf) == 0 {
		return 0
	}
	local := [1]unix.Iovec{{Base: &buf[0], Len: uint64(len(buf))}}
	remote := [1]unix.RemoteIovec{{Base: uintptr(addr), Len: len(buf)}}
	n, err := unix.ProcessVMReadv(tid, local[:], remote[:], 0)
	if err != nil {
		return 0
	}
	return n
}

// writeMemory puts buf into the memory of the thread.
func writeMemory(tid int, addr uint64, buf []byte) bool {
	local := [1]unix.Iovec{{Base: &buf[0], Len: uint64(len(buf))}}
	remote := [1]unix.RemoteIovec{{Base: uintptr(addr), Len: len(buf)}}
	n, err := unix.ProcessVMWritev(tid, local[:], remote[:], 0)
	return err == nil && n == len(buf)
}

// text returns the string at addr, as long as a path can be.
func (q *request) text(addr uint64) (string, syscall.Errno) {
	buf := q.w.scratch[:unix.PathMax]
	for n := 0; n < len(buf); {
		// Most strings are short, and what follows one may not be there.
		want := min(256, len(buf)-n)
		if n > 0 {
			want = len(buf) - n
		}
		got := readMemory(q.tid(), addr+uint64(n), buf[n:n+want])
		if i := bytes.IndexByte(buf[n:n+got], 0); i >= 0 {
			return string(buf[:n+i]), 0
		}
		if got < want {
			return "", q.unreadable()
		}
		n += got
	}
	return "", unix.ENAMETOOLONG
}

// bytes returns a copy of size bytes at addr. At the end of what can be read it
// stops, as write does; if there is nothing, it is EFAULT.
func (q *request) bytes(addr, size uint64, align bool) ([]byte, syscall.Errno) {
	data := makeData(min(size, maxTransfer), align)
	n := readMemory(q.tid(), addr, data)
	if n == 0 && len(data) > 0 {
		return nil, q.unreadable()
	}
	return data[:n], 0
}

// unreadable returns why memory could not be read: the address is wrong, or the
// process is none that we may read.
func (q *request) unreadable() syscall.Errno {
	if t, errno := q.dup(-1); errno != unix.EBADF {
		shut(t)
		return errno
	}
	return unix.EFAULT
}

// makeData returns memory for data, at a multiple of a page for O_DIRECT.
func makeData(size uint64, align bool) []byte {
	if !align {
		return make([]byte, size)
	}
	buf := make([]byte, size+pageSize)
	skip := -uintptr(unsafe.Pointer(&buf[0])) % pageSize
	return buf[skip : skip+uintptr(size) : skip+uintptr(size)]
}

// vectors returns a copy of what the iovecs at addr say.
func (q *request) vectors(addr, count uint64, align bool) ([]byte, syscall.Errno) {
	if count > maxVectors {
		return nil, unix.EINVAL
	}
	raw := make([]byte, 16*count)
	if readMemory(q.tid(), addr, raw) != len(raw) {
		return nil, unix.EFAULT
	}
	remote := make([]unix.RemoteIovec, 0, count)
	total := uint64(0)
	for ; len(raw) > 0; raw = raw[16:] {
		base, size := binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint64(raw[8:])
		if int64(size) < 0 {
			return nil, unix.EINVAL
		}
		size = min(size, maxTransfer-total)
		if size > 0 {
			remote = append(remote, unix.RemoteIovec{Base: uintptr(base), Len: int(size)})
		}
		total += size
	}
	if total == 0 {
		return nil, 0
	}
	data := makeData(total, align)
	n, err := unix.ProcessVMReadv(q.tid(), []unix.Iovec{{Base: &data[0], Len: total}}, remote, 0)
	if err != nil {
		return nil, unix.EFAULT
	}
	return data[:n], 0
}

// number reads an integer of 8 bytes.
func (q *request) number(addr uint64) (int64, bool) {
	var buf [8]byte
	if readMemory(q.tid(), addr, buf[:]) != len(buf) {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(buf[:])), true
}

// setNumber writes an integer of 8 bytes.
func (q *request) setNumber(addr uint64, value int64) bool {
	var buf [8]byte
	binary.LittleEndian.PutUint64(buf[:], uint64(value))
	return writeMemory(q.tid(), addr, buf[:])
}

// address returns where p is.
func address(p []byte) uintptr { return uintptr(unsafe.Pointer(&p[0])) }
