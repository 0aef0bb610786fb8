// Package crashtest is a program that knows nothing of driftless: a number in a
// file, replaced as a whole. Its test proves that no power cut loses a number that
// was saved; see counter_test.go.
package crashtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Save replaces the number in dir, durably: temporary file, sync, rename, sync of
// the directory.
func Save(dir string, n int) error {
	path := filepath.Join(dir, "number")
	if err := write(path+".new", fmt.Sprintln(n)); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(dir)
}

// Load returns the number in dir; 0 if none was saved.
func Load(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "number"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// write makes the file path with text, durably but for its name.
func write(path, text string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
