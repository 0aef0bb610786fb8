//go:build amd64 || arm64

package record

import (
	"runtime"

	"github.com/driftlesskv/driftless/faultfs/internal/record/filter"
)

// ownTable is the table of the architecture that we run on.
func ownTable() filter.Table {
	if runtime.GOARCH == "arm64" {
		return filter.ARM64
	}
	return filter.AMD64
}

// byNumber returns which call has which number.
func byNumber(t filter.Table) map[int32]filter.Call {
	numbers := make(map[int32]filter.Call, len(t.Calls))
	for c, nr := range t.Calls {
		numbers[int32(nr)] = c
	}
	return numbers
}
