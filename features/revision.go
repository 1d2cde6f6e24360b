package features

import (
	"slices"
	"strings"
)

// Revision returns the first revision of the language of declarations that has
// all that a set uses, so that a program can tell a set that is too new for it
// from one that is wrong. What a declaration of an earlier revision means never
// changes.
//
//   - 1: the first.
//   - 2: offset and fill, attributes with a history and dates, the attributes
//     stream and the calendar, and the names in later.
func (s *Set) Revision() int {
	for _, c := range slices.Concat(s.Attributes, s.Columns) {
		if c.History || c.Fill != nil || c.Type == "date" {
			return 2
		}
	}
	for i := range s.Features {
		if s.Features[i].newer() {
			return 2
		}
	}
	return 1
}

// later names what revision 2 brought: aggregates, functions and fields.
var later = map[string]bool{
	"share": true, "run": true, "earliest": true, "median": true, "rises": true, "falls": true, "weeks": true,
	"active_weeks": true, "top_share": true, "gap_last": true, "gap_rank": true,
	"anniversary": true, "cohort": true, "signup_month": true,
	"growth": true, "hour": true, "weekday": true,
}

func (d *Definition) newer() bool {
	function, _, _ := strings.Cut(strings.TrimSpace(d.Expr), "(")
	if d.Offset != 0 || d.Fill != nil || d.From == "attributes" || d.From == "calendar" ||
		later[d.Agg] || later[d.Field] || later[function] || aggregates[d.Agg].text && d.Field != "" {
		return true
	}
	for _, term := range splitTerms(d.Where) {
		for strings.HasPrefix(strings.TrimSpace(term), "not ") {
			term = strings.TrimPrefix(strings.TrimSpace(term), "not ")
		}
		if m := comparison.FindStringSubmatch(strings.TrimSpace(term)); m != nil && later[m[1]] {
			return true
		}
	}
	return false
}
