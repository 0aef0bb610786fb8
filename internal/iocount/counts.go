package iocount

import (
	"path/filepath"
	"strings"
)

// Sub returns what c has more than base has; calls that both made equally often and
// with as many bytes are left out.
func (c Counts) Sub(base Counts) Counts {
	diff := Counts{}
	for call, count := range c {
		diff[call] = count
	}
	for call, count := range base {
		d := diff[call]
		d.Calls -= count.Calls
		d.Bytes -= count.Bytes
		diff[call] = d
	}
	for call, count := range diff {
		if count == (Count{}) {
			delete(diff, call)
		}
	}
	return diff
}

// Below returns the calls on dir, on what lies below it, and on no file in
// particular. Their paths are relative to dir, so that runs in two directories can
// be compared. Symbolic links in dir are resolved, as the kernel does it.
func (c Counts) Below(dir string) (Counts, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, err
	}
	below := Counts{}
	for call, count := range c {
		switch {
		case call.Path == "":
		case call.Path == dir:
			call.Path = "."
		case strings.HasPrefix(call.Path, dir+"/"):
			call.Path = call.Path[len(dir)+1:]
		default:
			continue
		}
		below[call] = count
	}
	return below, nil
}

// Calls returns how many calls of that name were made.
func (c Counts) Calls(name string) int {
	n := 0
	for call, count := range c {
		if call.Name == name {
			n += count.Calls
		}
	}
	return n
}

// Flushes returns how many calls asked for durability.
func (c Counts) Flushes() int {
	n := 0
	for call, count := range c {
		if !isWrite(call.Name) {
			n += count.Calls
		}
	}
	return n
}

// Bytes returns how many bytes were given to the kernel. It may write more of them
// to the medium, or fewer.
func (c Counts) Bytes() int64 {
	var n int64
	for _, count := range c {
		n += count.Bytes
	}
	return n
}
