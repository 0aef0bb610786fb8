//go:build linux

package faultfs_test

import (
	"flag"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs"
)

// Flags of this binary that String does not give back.
var (
	items itemList
	greet string
)

type itemList []string

func (l *itemList) String() string     { return fmt.Sprint(*l) }
func (l *itemList) Set(s string) error { *l = append(*l, s); return nil }

func init() {
	flag.Var(&items, "item", "one more `item`")
	flag.Func("greet", "a `word`", func(s string) error { greet = s; return nil })
}

// TestFlag says what the copies get.
func TestFlag(t *testing.T) {
	if len(items) == 0 {
		t.Skip("it is a part of TestFlagsReachTheCopies")
	}
	faultfs.Run(t, faultfs.Test{Work: func(w *faultfs.W) error {
		return fmt.Errorf("items %q, greet %q, short %v, verbose %v, rest %q", items, greet, testing.Short(), testing.Verbose(), flag.Args())
	}, Verify: accept})
}

func TestFlagsReachTheCopies(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "profile")
	out := inner(t, envMistake+"=", "-test.v=true", "-test.short", "-test.run", "^TestFlag$", "-test.cpuprofile", profile, "-item", "a", "--item=b c", "-greet", "hello", "--", "-test.v", "x", "-y")
	require.Contains(t, out, `items ["a" "b c"], greet "hello", short true, verbose false, rest ["-test.v" "x" "-y"]`)
	out = inner(t, envMistake+"=", "-item=-", "-faultfs.dir", "nowhere", "-test.run=^TestFlag$", "x", "-test.v")
	require.Contains(t, out, `items ["-"], greet "", short false, verbose false, rest ["x" "-test.v"]`)
}
