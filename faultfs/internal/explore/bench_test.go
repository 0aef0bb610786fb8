package explore_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs/internal/explore"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// commits writes what a small database does: pages, a sync, a header, a sync.
func commits(n int) *script {
	s := newScript()
	db := s.base("db", units(4096, "abcdefghijklmnop"))
	for i := range n {
		s.mark(false, "put")
		for j := range 4 {
			s.write(db, int64(2+(i+3*j)%14)*4096, units(4096, string(rune('A'+(i+j)%60))))
		}
		s.fdatasync(db)
		s.write(db, int64(i%2)*4096, units(4096, string(rune('A'+i%60))))
		s.fdatasync(db)
		s.mark(true, "put")
	}
	return s
}

// BenchmarkStates makes and hashes states.
func BenchmarkStates(b *testing.B) {
	for _, m := range []model.Model{model.Posix4K, model.PosixWeak, model.Ext4} {
		for name, o := range map[string]explore.Options{"all": {Subsets: 1 << 16}, "sampled": {Samples: 1000}} {
			b.Run(m.Name+"/"+name, func(b *testing.B) {
				x := explorer(b, commits(20), m)
				seen := map[tree.Sum]bool{}
				b.ReportAllocs()
				b.ResetTimer()
				for n := 0; n < b.N; {
					for p := range x.Points() {
						x.States(p, o, func(s explore.State) bool {
							seen[s.Tree.Hash()] = true
							n++
							return n < b.N
						})
					}
				}
				b.ReportMetric(float64(len(seen)), "distinct")
			})
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{20, 1000} {
		b.Run(fmt.Sprint("commits=", n), func(b *testing.B) {
			s := commits(n)
			for range b.N {
				_, err := explore.New(&s.Trace, model.PosixWeak)
				require.NoError(b, err)
			}
		})
	}
}
