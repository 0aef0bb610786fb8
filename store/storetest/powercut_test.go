//go:build linux

package storetest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/driftlesskv/driftless/store"
	"github.com/driftlesskv/driftless/store/storetest"
)

// A plainFiles is a backing that keeps each device in a file of its own: a line with
// the stamp, then the content. What it leaves out of a durable write is its defect.
type plainFiles struct{ dir, defect string }

func openFiles(dir, defect string) (store.Backing, error) {
	b := &plainFiles{dir, defect}
	err := os.WriteFile(b.path("identity.new"), []byte(rand.Text()), 0o600)
	if err == nil {
		err = sync(b.path("identity.new"))
	}
	if err == nil {
		err = os.Link(b.path("identity.new"), b.path("identity"))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return b, errors.Join(os.Remove(b.path("identity.new")), sync(dir))
}

func sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (b *plainFiles) path(name string) string { return filepath.Join(b.dir, name) }

func (b *plainFiles) file(id store.DeviceID) string { return b.path(fmt.Sprintf("%08x", uint32(id))) }

// unless syncs, except in the backing that has left it out.
func (b *plainFiles) unless(defect, path string) error {
	if b.defect == defect {
		return nil
	}
	return sync(path)
}

func (b *plainFiles) Identity(ctx context.Context) (string, error) {
	id, err := os.ReadFile(b.path("identity"))
	return string(id), errors.Join(err, ctx.Err())
}

func (b *plainFiles) read(id store.DeviceID) (stamp store.Stamp, content string, err error) {
	data, err := os.ReadFile(b.file(id))
	if err != nil {
		return stamp, "", err
	}
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	stamp, err = store.ParseStamp(string(line))
	return stamp, string(rest), err
}

// held returns ErrExists or ErrStale, whichever is given, for an id of another stamp.
func (b *plainFiles) held(dev store.Device, foreign error) (there bool, err error) {
	stamp, _, err := b.read(dev.ID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err == nil && stamp != dev.Stamp:
		err = foreign
	}
	return err == nil, err
}

func (b *plainFiles) Create(ctx context.Context, dev store.Device) (store.Attrs, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	there, err := b.held(dev, store.ErrExists)
	if err != nil {
		return nil, err
	}
	if there {
		return nil, b.unless("no sync of a found name", b.dir)
	}
	content := ""
	if !dev.Parent.IsZero() {
		if there, err := b.held(store.Device{ID: dev.Parent.ID, Stamp: dev.Parent.Stamp}, store.ErrStale); err != nil || !there {
			return nil, errors.Join(err, store.ErrNotFound)
		}
		if _, content, err = b.read(dev.Parent.ID); err != nil {
			return nil, err
		}
	}
	return nil, b.publish(b.file(dev.ID), []byte(dev.Stamp.String()+"\n"+content))
}

// publish writes a file under another name, syncs it, renames it and syncs the
// directory, except for the defect.
func (b *plainFiles) publish(path string, data []byte) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return err
	}
	if b.defect == "published before it is synced" {
		return errors.Join(os.Rename(temp, path), sync(path), sync(b.dir))
	}
	if err := b.unless("no sync of the file", temp); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return b.unless("no sync of the directory", b.dir)
}

func (b *plainFiles) Remove(ctx context.Context, dev store.Device) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := b.held(dev, store.ErrStale); err != nil {
		return err
	}
	if err := os.Remove(b.file(dev.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return b.unless("no sync after a removal", b.dir)
}

func (b *plainFiles) Probe(ctx context.Context, id store.DeviceID) (store.Presence, store.Stamp, error) {
	if err := ctx.Err(); err != nil {
		return store.Unknown, store.Stamp{}, err
	}
	stamp, _, err := b.read(id)
	if errors.Is(err, fs.ErrNotExist) {
		return store.Absent, stamp, nil
	}
	return store.Present, stamp, err
}

func (b *plainFiles) List(ctx context.Context) iter.Seq2[store.Resource, error] {
	return func(yield func(store.Resource, error) bool) {
		entries, err := os.ReadDir(b.dir)
		for _, e := range entries {
			var id store.DeviceID
			if _, scanErr := fmt.Sscanf(e.Name(), "%08x", &id); scanErr != nil || strings.HasSuffix(e.Name(), ".new") {
				continue
			}
			presence, stamp, err := b.Probe(ctx, id)
			if !yield(store.Resource{ID: id, Stamp: stamp, Presence: presence}, err) {
				return
			}
		}
		if err != nil {
			yield(store.Resource{}, err)
		}
	}
}

// filesIn returns the harness of a plainFiles with a defect.
func filesIn(defect string) func(dir string) storetest.Harness {
	return func(dir string) storetest.Harness {
		b := &plainFiles{dir, defect}
		return storetest.Harness{
			Open: func() (store.Backing, error) { return openFiles(dir, defect) },
			Write: func(id store.DeviceID, content string) error {
				stamp, _, err := b.read(id)
				if err != nil {
					return err
				}
				return os.WriteFile(b.file(id), []byte(stamp.String()+"\n"+content), 0o600)
			},
			Read: func(id store.DeviceID) (string, error) {
				_, content, err := b.read(id)
				return content, err
			},
		}
	}
}

func TestPowerCutConforms(t *testing.T) {
	storetest.Backing(t, func(t testing.TB) storetest.Harness {
		h := filesIn("")(t.TempDir())
		h.In = filesIn("")
		return h
	})
}

// A verdict is a test that is meant to fail: it keeps that to itself.
type verdict struct {
	faultfs.TB
	said    []string
	skipped bool
}

func (v *verdict) Log(...any)          {}
func (v *verdict) Logf(string, ...any) {}

func (v *verdict) Errorf(format string, args ...any) {
	v.said = append(v.said, fmt.Sprintf(format, args...))
}

func (v *verdict) Fatal(args ...any) { v.Fatalf("%s", fmt.Sprint(args...)) }

func (v *verdict) Fatalf(format string, args ...any) {
	v.Errorf(format, args...)
	runtime.Goexit()
}

func (v *verdict) Skipf(format string, args ...any) {
	v.Errorf(format, args...)
	v.SkipNow()
}

func (v *verdict) SkipNow() {
	v.skipped = true
	runtime.Goexit()
}

// The rule finds every sync that a driver leaves out.
func TestPowerCutBrokenBackings(t *testing.T) {
	for _, defect := range []string{
		"no sync of the file", "no sync of the directory", "published before it is synced", "no sync after a removal",
	} {
		t.Run(defect, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir()) // where failures are kept
			v := &verdict{TB: t}
			done := make(chan struct{})
			go func() { // which a Fatal ends
				defer close(done)
				storetest.Durable(v, filesIn(defect))
			}()
			<-done
			if v.skipped {
				t.Skip(v.said)
			}
			require.NotEmpty(t, v.said)
			require.Contains(t, strings.Join(v.said, "\n"), "missing: an fsync")
		})
	}
}
