package backing

import (
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/driftlesskv/driftless/store"
)

// The stamp file says whose a directory is. It is text, so that a person with
// nothing but a shell can read it:
//
//	driftless device 1
//	id 0000002a
//	stamp 5f0e9d3c1b2a4857-0000000000000007
//	name "base"
//	parent 00000029-5f0e9d3c1b2a4857-0000000000000006
//	label "layer" "sha256:..."
//	crc32c 1c291ca3
//
// The lines come in this order; parent and labels only where there are any, labels
// by key. The last line has the CRC-32C of everything before it. A file is accepted
// only in the very form in which it is written.
const (
	stampMagic   = "driftless device "
	stampVersion = "1"
	crcPrefix    = "crc32c "
	crcLine      = len(crcPrefix) + 8 + len("\n")
	maxStampFile = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encodeStamp returns the stamp file of dev, or ErrInvalid when its labels make it
// too large.
func encodeStamp(dev store.Device) ([]byte, error) {
	var b strings.Builder
	b.WriteString(stampMagic + stampVersion + "\n")
	b.WriteString("id " + deviceName(dev.ID) + "\n")
	b.WriteString("stamp " + dev.Stamp.String() + "\n")
	// Not plain Quote: what it escapes changes with the version of Unicode.
	b.WriteString("name " + strconv.QuoteToASCII(dev.Name) + "\n")
	if !dev.Parent.IsZero() {
		b.WriteString("parent " + workName(dev.Parent) + "\n")
	}
	for _, key := range slices.Sorted(maps.Keys(dev.Labels)) {
		b.WriteString("label " + strconv.QuoteToASCII(key) + " " + strconv.QuoteToASCII(dev.Labels[key]) + "\n")
	}
	b.WriteString(trailer(b.String()))
	if b.Len() > maxStampFile {
		return nil, fmt.Errorf("name and labels take %d bytes, at most %d: %w", b.Len(), maxStampFile, store.ErrInvalid)
	}
	return []byte(b.String()), nil
}

func trailer(body string) string {
	return fmt.Sprintf("%s%08x\n", crcPrefix, crc32.Checksum([]byte(body), castagnoli))
}

// decodeStamp returns what a stamp file says, with Presence Present. The error is
// ErrCorrupt, or ErrVersion for a sound file of a later format.
func decodeStamp(data []byte) (store.Resource, error) {
	if len(data) < crcLine || len(data) > maxStampFile {
		return store.Resource{}, fmt.Errorf("decode stamp of %d bytes: %w", len(data), store.ErrCorrupt)
	}
	body := string(data[:len(data)-crcLine])
	if trailer(body) != string(data[len(data)-crcLine:]) {
		return store.Resource{}, fmt.Errorf("decode stamp: wrong checksum: %w", store.ErrCorrupt)
	}
	first, rest, _ := strings.Cut(body, "\n")
	version, ok := strings.CutPrefix(first, stampMagic)
	if ok && version != stampVersion {
		return store.Resource{}, fmt.Errorf("decode stamp of version %q: %w", version, store.ErrVersion)
	}
	dev := store.Device{}
	for line := range strings.Lines(rest) {
		if !decodeLine(&dev, strings.TrimSuffix(line, "\n")) {
			return store.Resource{}, fmt.Errorf("decode stamp: line %q: %w", line, store.ErrCorrupt)
		}
	}
	if again, err := encodeStamp(dev); err != nil || string(again) != string(data) || dev.ID == 0 {
		return store.Resource{}, fmt.Errorf("decode stamp: not in its canonical form: %w", store.ErrCorrupt)
	}
	return store.Resource{
		ID: dev.ID, Stamp: dev.Stamp, Presence: store.Present,
		Name: dev.Name, Parent: dev.Parent, Labels: dev.Labels,
	}, nil
}

// decodeLine sets one field of dev. Order and repetition are left to the comparison
// with the canonical form.
func decodeLine(dev *store.Device, line string) (ok bool) {
	key, value, _ := strings.Cut(line, " ")
	var err error
	switch key {
	case "id":
		dev.ID, ok = parseDeviceName(value)
		return ok
	case "stamp":
		dev.Stamp, err = store.ParseStamp(value)
	case "name":
		dev.Name, err = strconv.Unquote(value)
	case "parent":
		dev.Parent = parseWorkName(value)
		return dev.Parent.ID != 0
	case "label":
		return decodeLabel(dev, value)
	default:
		return false
	}
	return err == nil
}

func decodeLabel(dev *store.Device, text string) bool {
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return false
	}
	label, err := strconv.Unquote(quoted)
	if err != nil {
		return false
	}
	value, err := strconv.Unquote(strings.TrimPrefix(text[len(quoted):], " "))
	if err != nil {
		return false
	}
	if dev.Labels == nil {
		dev.Labels = map[string]string{}
	}
	dev.Labels[label] = value
	return true
}
