package backing

import (
	"io"

	"github.com/driftlesskv/driftless/store"
)

// What the tests need of the inside: the codecs.

func EncodeStamp(dev store.Device) ([]byte, error) { return encodeStamp(dev) }

func DecodeStamp(data []byte) (store.Resource, error) { return decodeStamp(data) }

func ParseWorkName(name string) store.Ref { return parseWorkName(name) }

func WorkName(ref store.Ref) string { return workName(ref) }

func Trailer(body string) string { return trailer(body) }

var FindMount func(mountinfo io.Reader, dir string) (string, error)
