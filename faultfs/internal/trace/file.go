package trace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"syscall"

	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/internal/tree/wire"
)

var (
	// ErrForeign is returned when a file is no trace, or one of another version.
	ErrForeign = errors.New("not a trace of this version")

	// ErrDamaged is returned when a file was a trace once.
	ErrDamaged = wire.ErrDamaged
)

// magic begins every trace file; the last byte but one is the version.
const magic = "\x89faultfs trace 1\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Save writes t to path, in place of what is there.
func (t *Trace) Save(path string) error {
	if err := os.WriteFile(path, t.Append(nil), 0o600); err != nil {
		return fmt.Errorf("save trace: %w", err)
	}
	return nil
}

// Load reads what Save wrote. The error wraps [ErrForeign] or [ErrDamaged] if the file
// is there and was not written by it.
func Load(path string) (*Trace, error) {
	p, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load trace: %w", err)
	}
	t, err := Decode(p)
	if err != nil {
		return nil, fmt.Errorf("load trace %s: %w", path, err)
	}
	return t, nil
}

// Append appends t as bytes: the magic, then the fields in the order of their
// declaration, then four bytes of CRC-32C of all before it.
func (t *Trace) Append(p []byte) []byte {
	begin := len(p)
	p = append(p, magic...)
	base := t.Base
	if base == nil {
		base = tree.New(0)
	}
	p = base.Append(p)
	p = binary.AppendUvarint(p, uint64(len(t.Ops)))
	for i := range t.Ops {
		p = t.Ops[i].append(p)
	}
	p = binary.AppendUvarint(p, uint64(len(t.Marks)))
	for _, m := range t.Marks {
		p = appendFlags(binary.AppendVarint(p, m.At), m.Ack)
		p = wire.AppendString(wire.AppendString(p, m.Op), m.Args)
		p = binary.AppendVarint(p, int64(m.Site))
	}
	p = binary.AppendUvarint(p, uint64(len(t.Blind)))
	for _, b := range t.Blind {
		p = wire.AppendString(wire.AppendString(p, b.What), b.Path)
		p = binary.AppendVarint(p, int64(b.Site))
	}
	p = binary.AppendUvarint(p, uint64(len(t.Sites)))
	for _, s := range t.Sites {
		p = s.append(p)
	}
	p = wire.AppendString(wire.AppendString(p, t.Backend), t.Dir)
	return binary.BigEndian.AppendUint32(p, crc32.Checksum(p[begin:], castagnoli))
}

func (s Site) append(p []byte) []byte {
	p = binary.AppendUvarint(p, uint64(len(s.Frames)))
	for _, f := range s.Frames {
		p = wire.AppendString(wire.AppendString(p, f.Func), f.File)
		p = binary.AppendVarint(p, int64(f.Line))
	}
	return wire.AppendString(p, s.Process)
}

func (o *Op) append(p []byte) []byte {
	p = append(p, byte(o.Kind), byte(o.Sync))
	p = appendFlags(p, o.Exchange, o.Injected)
	for _, v := range []int64{o.Start, o.End - o.Start, o.Off, o.Len, int64(o.PID), int64(o.Site)} {
		p = binary.AppendVarint(p, v)
	}
	for _, v := range []uint64{
		uint64(o.Ino), uint64(o.Over), uint64(o.Dir), uint64(o.To),
		uint64(o.Mode), uint64(o.UID), uint64(o.GID), uint64(o.Err),
	} {
		p = binary.AppendUvarint(p, v)
	}
	for _, s := range []string{o.Name, o.New, o.Attr} {
		p = wire.AppendString(p, s)
	}
	return wire.AppendString(p, o.Data)
}

func appendFlags(p []byte, flags ...bool) []byte {
	b := byte(0)
	for i, f := range flags {
		if f {
			b |= 1 << i
		}
	}
	return append(p, b)
}

// Decode reads what Append wrote. It takes any bytes, and what it returns may share
// memory with them.
func Decode(p []byte) (*Trace, error) {
	if !bytes.HasPrefix(p, []byte(magic)) {
		return nil, ErrForeign
	}
	end := len(p) - crc32.Size
	if end < len(magic) || binary.BigEndian.Uint32(p[end:]) != crc32.Checksum(p[:end], castagnoli) {
		return nil, fmt.Errorf("%w: checksum", ErrDamaged)
	}
	r := wire.NewReader(p[len(magic):end])
	t := &Trace{Base: tree.Decode(r)}
	t.Ops = list(r, minOp, decodeOp)
	t.Marks = list(r, 5, func(r *wire.Reader) Mark {
		return Mark{At: r.Varint(), Ack: r.Number(1) == 1, Op: r.String(), Args: r.Bytes(), Site: int(r.Varint())}
	})
	t.Blind = list(r, 3, func(r *wire.Reader) BlindSpot {
		return BlindSpot{What: r.String(), Path: r.String(), Site: int(r.Varint())}
	})
	t.Sites = list(r, 2, func(r *wire.Reader) Site {
		frames := list(r, 3, func(r *wire.Reader) Frame { return Frame{r.String(), r.String(), int(r.Varint())} })
		return Site{Frames: frames, Process: r.String()}
	})
	t.Backend, t.Dir = r.String(), r.String()
	if r.Err() == nil && r.Len() > 0 {
		r.Fail("%d bytes too many", r.Len())
	}
	if r.Err() != nil {
		return nil, r.Err()
	}
	return t, nil
}

// minOp is how many bytes an operation takes at least.
const minOp = 21

func decodeOp(r *wire.Reader) Op {
	var o Op
	o.Kind, o.Sync = Kind(r.Byte()), Durability(r.Byte())
	flags := r.Number(3)
	o.Exchange, o.Injected = flags&1 != 0, flags&2 != 0
	o.Start = r.Varint()
	o.End = o.Start + r.Varint()
	o.Off, o.Len = r.Varint(), r.Varint()
	o.PID, o.Site = int(r.Varint()), int(r.Varint())
	o.Ino, o.Over = tree.Ino(r.Uvarint()), tree.Ino(r.Uvarint())
	o.Dir, o.To = tree.Ino(r.Uvarint()), tree.Ino(r.Uvarint())
	o.Mode, o.UID, o.GID = uint32(r.Number(1<<32-1)), uint32(r.Number(1<<32-1)), uint32(r.Number(1<<32-1))
	o.Err = syscall.Errno(r.Uvarint())
	o.Name, o.New, o.Attr = r.String(), r.String(), r.String()
	o.Data = r.Bytes()
	return o
}

// list reads a list whose items take at least size bytes each; none is nil.
func list[T any](r *wire.Reader, size int, item func(*wire.Reader) T) []T {
	n := r.Count(size)
	if n == 0 {
		return nil
	}
	all := make([]T, 0, n)
	for range n {
		if r.Err() != nil {
			return nil
		}
		all = append(all, item(r))
	}
	return all
}
