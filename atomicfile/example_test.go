package atomicfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"github.com/driftlesskv/driftless/atomicfile"
)

func ExampleWriteFile() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	name := filepath.Join(dir, "config.json")
	if err := atomicfile.WriteFile(name, []byte(`{"version": 1}`), atomicfile.Options{Mode: 0o644}); err != nil {
		log.Fatal(err)
	}
	// From here on no power cut takes the file away.
	data, err := os.ReadFile(name)
	fmt.Println(string(data), err)
	// Output: {"version": 1} <nil>
}

func ExampleDir_WriteFile() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	d, err := atomicfile.OpenDir(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = d.Close() }()

	for _, identity := range []string{"first", "second"} {
		err := d.WriteFile("identity", []byte(identity), atomicfile.Options{Exclusive: true})
		fmt.Println(err == nil, errors.Is(err, fs.ErrExist))
	}
	// Output:
	// true false
	// false true
}

func ExampleMkdirAll() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	err = atomicfile.MkdirAll(filepath.Join(dir, "pool", "devices"), 0o700)
	info, statErr := os.Stat(filepath.Join(dir, "pool"))
	fmt.Println(err, statErr, info.Mode())
	// Output: <nil> <nil> drwx------
}

func ExampleError() {
	err := atomicfile.WriteFile("/dev/null", nil, atomicfile.Options{})

	var e *atomicfile.Error
	if errors.As(err, &e) {
		fmt.Println(e.Name, e.Committed)
	}
	fmt.Println(errors.Is(err, atomicfile.ErrNotRegular))
	// Output:
	// /dev/null false
	// true
}
