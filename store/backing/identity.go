package backing

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/driftlesskv/driftless/atomicfile"
	"github.com/driftlesskv/driftless/store"
)

// Identity returns the uuid of the directory. It is read again each time, so that a
// medium that is gone is noticed.
func (d *Dir) Identity(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := d.verify(); err != nil {
		return "", fmt.Errorf("identify backing: %w", err)
	}
	return d.identity, nil
}

// verify returns nil while the open directories are still the ones below the root.
// Before that is certain no absence means anything. Keeps (6).
func (d *Dir) verify() error {
	id, err := d.readIdentity()
	if err != nil {
		return err
	}
	if id != d.identity {
		return fmt.Errorf("%s is %s, was %s: %w", d.path, id, d.identity, store.ErrIdentity)
	}
	for _, p := range []*place{d.devices, d.staging, d.trash} {
		linked, err := d.root.Root().Lstat(p.name)
		if err != nil {
			return err
		}
		opened, err := p.file.Stat()
		if err != nil {
			return err
		}
		if !os.SameFile(linked, opened) {
			return fmt.Errorf("%s in %s was replaced: %w", p.name, d.path, store.ErrIdentity)
		}
	}
	return nil
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n$`)

func (d *Dir) readIdentity() (string, error) {
	const length = 37
	data, err := readRegular(d.root.Root(), identityName, length)
	if err != nil {
		return "", err
	}
	if !uuid.Match(data) {
		return "", fmt.Errorf("not a uuid: %.50q: %w", data, store.ErrCorrupt)
	}
	return strings.TrimSuffix(string(data), "\n"), nil
}

// makeIdentity reads the identity, or makes one for a root without devices. To give
// a root that has some a new one would hide that the old one was lost.
func (d *Dir) makeIdentity() (string, error) {
	info, err := d.root.Root().Lstat(identityName)
	if err == nil && info.Mode().Type() == fs.ModeSymlink {
		return "", &fs.PathError{Op: "read", Path: identityName, Err: atomicfile.ErrSymlink}
	}
	if err == nil {
		return d.readIdentity()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, p := range []*place{d.devices, d.staging, d.trash} {
		if names, err := p.names(); err != nil || len(names) > 0 {
			return "", errors.Join(err, fmt.Errorf("%d entries in %s, but no identity: %w", len(names), p.name, store.ErrIdentity))
		}
	}
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // version 4 of RFC 9562
	text := fmt.Sprintf("%x-%x-%x-%x-%x\n", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	err = d.root.WriteFile(identityName, []byte(text), atomicfile.Options{Mode: fileMode, Exclusive: true})
	if err != nil && !errors.Is(err, fs.ErrExist) { // another process was faster
		return "", err
	}
	return d.readIdentity()
}
