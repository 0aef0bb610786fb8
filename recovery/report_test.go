package recovery_test

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
)

// settledKinds are the lists of a report that tell what is over and done with; all
// others want a person's eye.
var settledKinds = []string{"completed", "undone", "removed", "claimed", "released"}

// everyKind returns, by the names in JSON, a report for each list that has one entry
// in that list alone.
func everyKind(t testing.TB) map[string]*recovery.Report {
	t.Helper()
	reports := map[string]*recovery.Report{}
	for i := range reflect.TypeFor[recovery.Report]().NumField() {
		report := &recovery.Report{}
		switch list := reflect.ValueOf(report).Elem().Field(i).Addr().Interface().(type) {
		case *[]recovery.Finding:
			*list = []recovery.Finding{{Table: "pool", ID: 7, Name: "a", Reason: "why"}}
		case *[]string:
			*list = []string{"what"}
		default:
			require.Failf(t, "a list of another kind", "%T", list)
		}
		kind, _, _ := strings.Cut(reflect.TypeFor[recovery.Report]().Field(i).Tag.Get("json"), ",")
		reports[kind] = report
	}
	return reports
}

// TestReportKinds holds each list against the three ways in which a report is read:
// none of them may pass over what another one tells.
func TestReportKinds(t *testing.T) {
	reports := everyKind(t)
	require.ElementsMatch(t, []string{
		"completed", "undone", "removed", "claimed", "released", "unclaimed", "disowned",
		"pending", "faulty", "orphans", "missing", "unlisted", "quarantined",
	}, slices.Collect(maps.Keys(reports)))
	for kind, report := range reports {
		t.Run(kind, func(t *testing.T) {
			require.Equal(t, slices.Contains(settledKinds, kind), report.Clean())

			line := "pool id 7 \"a\": why"
			if kind == "quarantined" {
				line = "what"
			}
			require.Equal(t, kind+": 1\n  "+line+"\n", report.String())

			text, err := json.Marshal(report)
			require.NoError(t, err)
			var raw map[string][]any
			require.NoError(t, json.Unmarshal(text, &raw))
			require.Len(t, raw, 1)
			require.Len(t, raw[kind], 1)
			var back recovery.Report
			require.NoError(t, json.Unmarshal(text, &back))
			require.Equal(t, *report, back)
		})
	}
}

func TestReportString(t *testing.T) {
	report := recovery.Report{
		Completed: []recovery.Finding{
			{Table: "layers", ID: 1, Name: "base"},
			{Table: "layers", ID: 2, Name: "two words", Reason: "it was whole"},
		},
		Orphans:     []recovery.Finding{{Table: "layers", ID: 9, Reason: "stamp 0, partial"}},
		Unlisted:    []recovery.Finding{{Table: "snapshots", Reason: "list resources: broken"}},
		Quarantined: []string{"the first", "the second"},
	}
	require.Equal(t, `completed: 2
  layers id 1 "base"
  layers id 2 "two words": it was whole
orphans: 1
  layers id 9: stamp 0, partial
unlisted: 1
  snapshots: list resources: broken
quarantined: 2
  the first
  the second
`, report.String())
	require.Equal(t, "nothing to recover\n", (&recovery.Report{}).String())
}

func TestReportFindingString(t *testing.T) {
	for _, tt := range []struct {
		finding recovery.Finding
		want    string
	}{
		{recovery.Finding{Table: "pool"}, `pool`},
		{recovery.Finding{Table: "pool", ID: 4294967295}, `pool id 4294967295`},
		{recovery.Finding{Table: "pool", Name: "a"}, `pool "a"`},
		{recovery.Finding{Table: "pool", Reason: "why"}, `pool: why`},
		{recovery.Finding{Table: "pool", ID: 1, Name: "a\nb", Reason: "why"}, `pool id 1 "a\nb": why`},
	} {
		t.Run(tt.want, func(t *testing.T) {
			require.Equal(t, tt.want, tt.finding.String())
		})
	}
}

// TestReportOrder finds the lists sorted by table and id, although devices are
// settled several at once.
func TestReportOrder(t *testing.T) {
	f := newFixture(t)
	f.addTable("a table")
	db, devices, _ := f.open()
	second, err := db.Devices("a table")
	require.NoError(t, err)
	names := []string{"h", "g", "f", "e", "d", "c", "b", "a"}
	var want []recovery.Finding
	for _, table := range []string{"a table", tableName} {
		for i, name := range names {
			want = append(want, recovery.Finding{Table: table, ID: store.DeviceID(i + 1), Name: name})
		}
	}
	for _, d := range []*store.Devices{devices, second} {
		for _, name := range names {
			f.prepare(d, name)
		}
	}
	require.NoError(t, db.Close())
	for i := range f.opts.Tables {
		f.opts.Tables[i].Owner = func(context.Context, string) (recovery.Liveness, error) { return recovery.Live, nil }
	}
	_, _, report := f.open()
	require.Equal(t, want, report.Claimed)
}
