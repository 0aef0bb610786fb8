package layer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
)

// Limits bounds what one archive may make of a few bytes. The zero value of a
// field stands for its default.
type Limits struct {
	Bytes   int64 // of the archive, of its decompressed form, and of all its files; default 256 MiB
	Entries int   // with the directories that names imply; default 1 000 000
}

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 256 << 20
	}
	if l.Entries <= 0 {
		l.Entries = 1_000_000
	}
	return l
}

// Decompress returns the archive itself, or what gzip packed into it.
func Decompress(archive io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(archive, 64<<10)
	magic, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return gzip.NewReader(buffered)
	}
	return buffered, nil
}

// A meter ends a stream that is too long, or that nobody waits for any more.
type meter struct {
	ctx  context.Context
	r    io.Reader
	left int64
}

func (m *meter) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	if m.left -= int64(n); m.left < 0 {
		return 0, ErrLimit
	}
	return n, err
}
