package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// subtrees of the Go toolchain's sources that become layers when the user names
// none: real files, of which every machine with Go has a copy. They are small, so
// that a run makes many snapshots.
var subtrees = []string{
	"src/errors", "src/sort", "src/container", "src/context",
	"src/text/tabwriter", "src/encoding/csv", "src/slices", "src/iter",
}

// A file is an entry of a layer that is made here.
type file struct {
	name    string
	content []byte
}

// Sources writes one archive for each subtree into dir and returns their paths, and
// where their content is from. Each layer begins with a whiteout for the one
// before: of one of its files, or now and then of its whole directory.
func Sources(dir string) (archives []string, origin string, err error) {
	goroot, origin := goSources()
	hidden := ""
	for i, subtree := range subtrees {
		files := generated(i, subtree)
		if goroot != nil {
			files, err = read(goroot, subtree)
			if errors.Is(err, fs.ErrNotExist) {
				continue // not in this version of Go
			}
			if err != nil {
				return nil, "", fmt.Errorf("read layer: %w", err)
			}
		}
		first := files[0].name
		if hidden != "" {
			files = append([]file{{name: hidden}}, files...)
		}
		archive := filepath.Join(dir, fmt.Sprintf("layer%d.tar", i))
		if err := pack(archive, files); err != nil {
			return nil, "", fmt.Errorf("pack layer: %w", err)
		}
		archives = append(archives, archive)
		hidden = path.Join(path.Dir(first), hidePrefix+path.Base(first))
		if i%3 == 2 {
			hidden = path.Join(path.Dir(first), opaque)
		}
	}
	return archives, origin, nil
}

// goSources returns the root of the Go toolchain, nil where it has no sources, as
// in some packaged ones.
func goSources() (root fs.FS, origin string) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	dir := strings.TrimSpace(string(out))
	if err == nil && dir != "" {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(subtrees[0]))); err == nil {
			return os.DirFS(dir), filepath.Join(dir, "src")
		}
	}
	return nil, "generated files, for want of the Go toolchain's sources"
}

func read(root fs.FS, subtree string) (files []file, err error) {
	err = fs.WalkDir(root, subtree, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		files = append(files, file{name, content})
		return err
	})
	if err == nil && len(files) == 0 {
		err = fs.ErrNotExist
	}
	return files, err
}

func generated(seed int, subtree string) (files []file) {
	for i := range 8 {
		name := fmt.Sprintf("%s/file%d.go", subtree, i)
		files = append(files, file{name, bytes.Repeat([]byte("// "+name+"\n"), 1+100*(seed+i))})
	}
	return files
}

func pack(archive string, files []file) (err error) {
	out, err := os.OpenFile(archive, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := tar.NewWriter(out)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o644, Size: int64(len(f.content))}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		if _, err := w.Write(f.content); err != nil {
			return err
		}
	}
	return w.Close()
}
