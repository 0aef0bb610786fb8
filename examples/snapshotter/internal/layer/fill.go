package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/tree"
)

// OwnerFile is the file in every filled directory that says for which snapshot it
// was filled. Content that ends up under another name gives itself away by it.
const OwnerFile = ".snapshot"

// Fill unpacks the archive at path into dir on top of what is there, marks dir as
// the content of the snapshot key, and makes all of it durable. It returns the
// digest of the result. An error names the archive. Filling again completes what an interrupted call began.
func Fill(ctx context.Context, dir, key, archive string) (digest string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("fill snapshot: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	f, err := os.Open(archive)
	if err != nil {
		return "", fmt.Errorf("read layer: %w", err)
	}
	err = errors.Join(Unpack(ctx, root, f, Limits{}), f.Close())
	if err != nil {
		return "", fmt.Errorf("layer %s: %w", archive, err)
	}
	if err := mark(root, key); err != nil {
		return "", fmt.Errorf("fill snapshot: %w", err)
	}
	if err := Sync(dir); err != nil {
		return "", err
	}
	t, err := tree.Scan(dir)
	if err != nil {
		return "", err
	}
	return t.Digest(), nil
}

// mark replaces the owner file, which is the parent's in a clone, and which a layer
// may have replaced by anything.
func mark(root *os.Root, key string) error {
	if err := root.RemoveAll(OwnerFile); err != nil {
		return err
	}
	f, err := root.OpenFile(OwnerFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(key)
	return errors.Join(err, f.Close())
}

// OwnerNode is the owner file as a tree shows it.
func OwnerNode(key string) tree.Node {
	return tree.Node{Mode: fs.FileMode(0o600), Data: tree.Hash([]byte(key))}
}
