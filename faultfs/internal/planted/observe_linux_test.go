package planted_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/driftlesskv/driftless/faultfs"
	"github.com/stretchr/testify/require"
)

// observed names the file in which Verify, in its own processes, notes each state.
const observed = "PLANTED_OBSERVED"

// observe explores a program exhaustively and returns, by model, what the states
// that a power cut can leave look like: how many times the program had called
// reached, a colon, and what describe says of the directory.
func observe(t *testing.T, test faultfs.Test, describe func(dir string) (string, error), options ...faultfs.Option) map[string][]string {
	t.Helper()
	path := os.Getenv(observed)
	if path == "" {
		path = filepath.Join(t.TempDir(), "observed")
		t.Setenv(observed, path)
	}
	test.Verify = func(s *faultfs.State) error {
		text, err := describe(s.Dir())
		if err != nil {
			return err
		}
		return note(path, fmt.Sprintf("%s\t%d: %s\n", s.Model(), len(s.Acked("reached")), text))
	}
	faultfs.Run(t, test, append(options, faultfs.Exhaustive())...)
	notes, err := os.ReadFile(path)
	require.NoError(t, err)
	seen := map[string][]string{}
	for line := range strings.Lines(string(notes)) {
		model, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		seen[model] = append(seen[model], text)
	}
	for model := range seen {
		slices.Sort(seen[model])
		seen[model] = slices.Compact(seen[model])
	}
	return seen
}

// reached acknowledges how far a program is. It has crash points made before and
// after that: by itself an explorer leaves out those that only repeat, for a
// verifier, what a later one shows.
func reached(w *faultfs.W, what string) {
	w.Begin("reach", what)
	w.Ack("reached", what)
	w.Begin("go on")
}

// note appends a line, whole even if several processes do.
func note(path, line string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	return errors.Join(err, f.Close())
}

const page = 4096

// pages is a file of pages that are each full of one letter; '0' stands for zeros.
func pages(letters string) []byte {
	var data []byte
	for _, letter := range []byte(letters) {
		if letter == '0' {
			letter = 0
		}
		data = append(data, []byte(strings.Repeat(string(rune(letter)), page))...)
	}
	return data
}

// letters is the reverse of pages. A page of more than one letter is an error: none
// of the models tears less.
func letters(data []byte) (string, error) {
	var text strings.Builder
	for p := range slices.Chunk(data, page) {
		if strings.Count(string(p), string(p[:1])) != page {
			return "", errors.New("a page of several letters")
		}
		if p[0] == 0 {
			p[0] = '0'
		}
		text.WriteByte(p[0])
	}
	return text.String(), nil
}

// listing describes all files, such as "a=AA d/b=0B d/"; directories without files
// end in a slash.
func listing(dir string) (string, error) {
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			list = append(list, name+"/")
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text, err := letters(data)
		list = append(list, name+"="+text)
		return err
	})
	return strings.Join(list, " "), err
}
