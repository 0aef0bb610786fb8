package crashtest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeShowsThisTest holds the README to the code that runs here.
func TestReadmeShowsThisTest(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("counter_test.go")
	require.NoError(t, err)
	test := string(source[strings.Index(string(source), "func TestPowerCut"):])
	require.Contains(t, string(readme), test)
	require.LessOrEqual(t, strings.Count(test, "\n"), 25)
}
