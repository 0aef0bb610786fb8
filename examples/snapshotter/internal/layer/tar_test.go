package layer_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// item is one entry of an archive made for a test.
type item struct {
	kind    byte
	name    string
	link    string
	content string
	mode    int64
}

func dir(name string) item { return item{kind: tar.TypeDir, name: name, mode: 0o755} }
func file(name, content string) item {
	return item{kind: tar.TypeReg, name: name, content: content, mode: 0o644}
}

func symlink(name, target string) item {
	return item{kind: tar.TypeSymlink, name: name, link: target, mode: 0o777}
}

func link(name, target string) item {
	return item{kind: tar.TypeLink, name: name, link: target, mode: 0o644}
}

func archive(t testing.TB, items ...item) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		require.NoError(t, w.WriteHeader(&tar.Header{
			Typeflag: i.kind, Name: i.name, Linkname: i.link, Size: int64(len(i.content)), Mode: i.mode,
			Devmajor: 1, Devminor: 3, Format: tar.FormatPAX,
		}))
		_, err := w.Write([]byte(i.content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func compressed(t testing.TB, plain []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(plain)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// block returns a header as no honest writer makes it.
func block(name string, kind byte, size int, magic string) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x00")
	copy(b[124:], fmt.Sprintf("%011o\x00", size))
	copy(b[136:], "00000000000\x00")
	b[156] = kind
	copy(b[257:], magic)
	return b
}

func seal(b []byte) []byte {
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// sparse is an archive of 1.5 KiB that claims one file of 8 GiB without content.
func sparse() []byte { return sparseOf(1<<33 - 1) }

// sparseOf is the same for another size.
func sparseOf(size int64) []byte {
	b := block("bomb", tar.TypeGNUSparse, 0, "ustar  \x00")
	end := fmt.Sprintf("%011o\x00", size)
	copy(b[386:], end+"00000000000\x00") // one piece of 0 bytes at the end
	copy(b[483:], end)
	return append(seal(b), make([]byte, 1024)...)
}

// withNUL is an archive whose only entry has a NUL in its name.
func withNUL() []byte {
	record := "16 path=evil\x00me\n"
	b := seal(block("pax", tar.TypeXHeader, len(record), "ustar\x0000"))
	b = append(b, record+strings.Repeat("\x00", 512-len(record))...)
	b = append(b, seal(block("x", tar.TypeReg, 0, "ustar\x0000"))...)
	return append(b, make([]byte, 1024)...)
}
