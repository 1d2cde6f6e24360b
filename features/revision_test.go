package features

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// first lists the aggregates, functions and fields of revision 1, as they were
// when it was frozen.
const first = `count rate sum mean std min max last change trend recency first days kinds slope gap_mean gap_std gap_max
empty_weeks down_weeks repeats tenure
ratio rate_ratio relative_slope diff times per per_day log1p least coalesce
value age_days severity satisfaction hours_to_resolve amount days_late days_early cost`

// TestRevision: what is not in revision 1 raises the revision of a set.
func TestRevision(t *testing.T) {
	old := strings.Fields(first)
	check := func(name, declaration string) {
		t.Helper()
		want := 2
		if slices.Contains(old, name) {
			want = 1
		}
		s := mustParse(t, "version: 1\nfeatures:\n- {name: n, from: engagement, agg: count, windows: [7d]}\n"+declaration)
		if got := s.Revision(); got != want {
			t.Errorf("%s: revision %d, want %d", declaration, got, want)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(aggregates)) {
		switch a := aggregates[name]; {
		case a.of == "calendar":
			check(name, "- {name: x, from: calendar, agg: "+name+"}")
		case a.of != "":
			check(name, "- {name: x, from: customer, agg: "+name+"}")
		case a.field:
			check(name, "- {name: x, from: engagement, field: value, windows: [14d], agg: "+name+"}")
		case a.share == ofLevel:
			check(name, "- {name: \"x_{by}\", from: engagement, by: kind, top: 2, windows: [14d], agg: "+name+"}")
		default:
			check(name, "- {name: x, from: engagement, where: value > 1, windows: [14d], agg: "+name+"}")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		args := map[int]string{1: "n", 2: "n, m"}[functions[name].args]
		check(name, "- {name: m, from: engagement, agg: count, windows: [14d]}\n- {name: x, expr: \""+name+"("+args+")\"}")
	}
	for _, stream := range slices.Sorted(maps.Keys(fields)) {
		for _, name := range slices.Sorted(maps.Keys(fields[stream])) {
			of := name
			if stream == "attributes" {
				of = stream
			}
			check(of, "- {name: x, from: "+stream+", agg: max, field: "+name+", windows: [7d]}")
			check(of, "- {name: x, from: "+stream+", agg: count, where: not "+name+" > 1, windows: [7d]}")
		}
	}
	check("offset", "- {name: x, from: payments, agg: count, windows: [7d], offset: 7d}")
	check("fill", "- {name: x, from: payments, agg: recency, windows: [7d], fill: 0}")
	check("text", "- {name: x, from: complaints, agg: kinds, field: channel, windows: [7d]}")
	for _, column := range []string{"type: date", "type: number, history: true", "type: number, fill: 1"} {
		check("attribute", "attributes: [{name: a, "+column+"}]\n")
	}
}
