package features

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"churn/event"
)

var update = flag.Bool("update", false, "write testdata/sentences.txt")

var missing = float32(math.NaN())

// Sentences worked out by hand.
func TestSentence(t *testing.T) {
	e := mustCompile(t, mustParse(t, `
version: 1
attributes:
- {name: plan, type: category, levels: [basic, pro], text: "on plan {value}; since {t day|days}"}
- {name: seats, type: number, unit: seats, missing: "seats not known to {cus_plan}"}
- {name: region, type: category, levels: [north]}
features:
- {name: rec, from: engagement, agg: recency, windows: [365d], text: "silent for {value day|days}; usual gap {gap day|days}; {n} of {w}", zero: "here now; usual gap {gap day|days}", missing: "nobody in {w}"}
- {name: "n", from: engagement, agg: count, windows: [1d], text: "{value thing was|things were} seen in {w}", zero: "nothing in {w}"}
- {name: gap, from: engagement, agg: gap_mean, windows: [36h], text: "{n} or {rec day|days}, {value} in {w}"}
- {name: late, from: payments, agg: rate, where: late, windows: [30d], text: "{value %} late ({value}), {t %} of a day"}
- {name: t, from: customer, agg: tenure}
- {name: "by_{by}", from: engagement, agg: count, by: kind, levels: ["{value}; {n}"], windows: [7d], text: "{by}: {value time|times}; in {w}"}
`))
	row := func(plan, seats, region, rec, n, gap, late, t, by float32) []float32 {
		return []float32{plan, seats, region, rec, n, gap, late, t, by}
	}
	full := row(1, 3, 0, 24.4, 2, 3.04, 0.25, 800, 4)
	for _, c := range []struct {
		feature string
		row     []float32
		want    string
	}{
		{"cus_plan", full, "on plan pro; since 800 days"},
		{"cus_plan", row(-1, 3, 0, 1, 1, 1, 1, 1, 1), "on plan other; since 1 day"},
		{"cus_plan", row(0, 3, 0, 1, 1, 1, 1, missing, 1), "on plan basic"},
		{"cus_plan", row(missing, 3, 0, 1, 1, 1, 1, 1, 1), "cus plan: unknown"},
		{"cus_seats", full, "cus seats: 3 seats"},
		{"cus_seats", row(1, missing, 0, 1, 1, 1, 1, 1, 1), "seats not known to pro"},
		{"cus_seats", row(missing, missing, 0, 1, 1, 1, 1, 1, 1), "seats not known to unknown"}, // no clause to leave out
		{"cus_region", full, "cus region: north"},                                               // code 0 is no zero
		{"rec", full, "silent for 24 days; usual gap 3 days; 2 of 365 days"},
		{"rec", row(1, 3, 0, 1, 2, missing, 0, 1, 1), "silent for 1 day; 2 of 365 days"},
		{"rec", row(1, 3, 0, 1, missing, 1, 0, 1, 1), "silent for 1 day; usual gap 1 day"},
		{"rec", row(1, 3, 0, 0.04, 2, 0.96, 0, 1, 1), "here now; usual gap 1 day"},
		{"rec", row(1, 3, 0, missing, 2, 1, 0, 1, 1), "nobody in 365 days"},
		{"n", full, "2 things were seen in 1 day"},
		{"n", row(1, 3, 0, 1, 1, 1, 0, 1, 1), "1 thing was seen in 1 day"},
		{"n", row(1, 3, 0, 1, 0, 1, 0, 1, 1), "nothing in 1 day"},
		{"n", row(1, 3, 0, 1, missing, 1, 0, 1, 1), "n: unknown"},
		{"gap", full, "2 or 24 days, 3 in 1.5 days"},
		{"gap", row(1, 3, 0, missing, missing, 9.96, 0, 1, 1), "unknown or unknown, 10 in 1.5 days"},
		{"late", full, "25% late (0.25), 80000% of a day"},
		{"late", row(1, 3, 0, 1, 1, 1, 0.004, 0, 1), "0.4% late (0.004), 0% of a day"},
		{"late", row(1, 3, 0, 1, 1, 1, 0, missing, 1), "0% late (0), unknown of a day"},
		// What stands in braces in the data is only text.
		{"by_value_n", full, "{value}; {n}: 4 times; in 7 days"},
	} {
		i, ok := e.Index(c.feature)
		if !ok {
			t.Fatalf("no %s in %q", c.feature, featureNames(e))
		}
		if got := e.Sentence(i, c.row); got != c.want {
			t.Errorf("%s of %v: %q, want %q", c.feature, c.row, got, c.want)
		}
	}
}

func TestFormat(t *testing.T) {
	number := &Feature{}
	days, hours := &Feature{Unit: "days"}, &Feature{Unit: "hours"}
	category := &Feature{Kind: Category, Levels: []string{"basic", "pro"}}
	odd := &Feature{Kind: Category, Levels: []string{strings.Repeat("ü", 80), strings.Repeat("ü", 81), "a\x1b[2J\nb\u2028c"}}
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		f    *Feature
		x    float32
		want string
	}{
		{number, 0, "0"}, {number, float32(math.Copysign(0, -1)), "0"}, {number, 3, "3"}, {number, -3, "-3"},
		{number, 0.125, "0.125"}, {number, 2.0 / 3, "0.667"}, {number, 12.345, "12.3"}, {number, 99.96, "100"},
		{number, 123.7, "124"}, {number, -123.7, "-124"}, {number, 1e7, "10000000"}, {number, 3e9, "3000000000"},
		{number, 0.000012, "0.000012"}, {number, 1e-9, "1e-09"}, {number, 1e30, "1e+30"},
		{number, missing, "unknown"}, {number, inf, "+Inf"}, {number, -inf, "-Inf"},
		{days, 24.4, "24"}, {days, 24.6, "25"}, {days, 10.4, "10"}, {days, 9.96, "10"}, {days, 9.94, "9.9"}, {days, 3.04, "3"},
		{days, 0.96, "1"}, {days, 0.05, "0.1"}, {days, 0.04, "0"}, {days, -0.04, "0"}, {days, -2.55, "-2.5"}, {days, -12.6, "-13"},
		{days, 1e30, "1e+30"}, {days, missing, "unknown"}, {hours, 1.25, "1.3"}, {hours, 36.2, "36"},
		{category, 0, "basic"}, {category, 1, "pro"}, {category, 2, "other"}, {category, -1, "other"}, {category, missing, "unknown"},
		{category, inf, "other"}, {category, -inf, "other"},
		{odd, 0, strings.Repeat("ü", 80)}, {odd, 1, strings.Repeat("ü", 80) + "…"}, {odd, 2, "a [2J b c"},
	} {
		if got := c.f.Format(c.x); got != c.want {
			t.Errorf("%s %v %s is written %q, want %q", c.f.Kind, c.x, c.f.Unit, got, c.want)
		}
	}
}

// locked is the default catalogue with two kinds.
func locked(t testing.TB) *Engine {
	t.Helper()
	s := Default()
	c := NewCensus(s)
	c.Add(&event.Timeline{Engagements: []event.EngagementEvent{{Kind: "sign-in"}, {Kind: "sign-in"}, {Kind: "support chat"}}}, 1)
	return mustCompile(t, s.Lock(c))
}

// badNumber finds 1 days, and 24 day.
var badNumber = regexp.MustCompile(`(^| )1 (days|hours|weeks|kinds|engagements|complaints|payments|channels|changes)( |$)|(^| )[-+.e0-9]*([02-9.]|\d1) (day|hour|week|time|kind|engagement|complaint|payment|channel|change)( |$)`)

// TestDefaultSentences: whatever the row, each feature of the catalogue tells
// it in a few words, without braces and without the name of a column.
func TestDefaultSentences(t *testing.T) {
	e := locked(t)
	r := rand.New(rand.NewPCG(31, 32))
	odd := []float32{missing, 0, 1, 1.5, -1, 24, 1e-7, 1e7, 1e30, -1e30, math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Inf(1))}
	names := featureNames(e)
	row := make([]float32, len(names))
	families := map[string]bool{}
	for range 200 {
		for i := range row {
			row[i] = odd[r.IntN(len(odd))]
			if r.IntN(3) == 0 {
				row[i] = r.Float32() * 400
			}
		}
		for i, name := range names {
			families[e.Features()[i].Family] = true
			text := e.Sentence(i, row)
			bare := row[i] != row[i] && e.Features()[i].said.missing == nil // "eng n 30: unknown"
			if strings.ContainsAny(text, "{}|") || len(text) < 8 || len(text) > 200 || strings.TrimSpace(text) != text ||
				!bare && strings.Contains(text, strings.ReplaceAll(name, "_", " ")) || !bare && strings.Contains(text, "unknown") {
				t.Fatalf("%s of %v reads %q", name, row[i], text)
			}
			if badNumber.MatchString(text) {
				t.Errorf("%s of %v reads %q", name, row[i], text)
			}
		}
	}
	if n := len(families); n < 20 || n > 30 {
		t.Errorf("%d families", n)
	}
	// What events can leave missing has a sentence for it.
	e.Row(row, &event.Timeline{Customer: event.Customer{SignedUpAt: event.Never, ChurnedAt: event.Never}}, 0)
	for i, name := range names {
		if text := e.Sentence(i, row); row[i] != row[i] && strings.HasSuffix(text, ": unknown") {
			t.Errorf("%s, missing, reads %q", name, text)
		}
	}
}

// TestGoldenSentences shows the catalogue's sentences for one customer, for
// nothing, for one, and where the value is missing, to be read by people. The
// file is written by this program: go test ./features -run Golden -update.
func TestGoldenSentences(t *testing.T) {
	const golden = "testdata/sentences.txt"
	e := locked(t)
	tl := &event.Timeline{Customer: event.Customer{SignedUpAt: base.Add(-800 * event.Day), ChurnedAt: event.Never}}
	at := func(days int) event.Time { return base.Add(-event.Duration(days) * event.Day) }
	for d := 360; d >= 24; d -= 3 {
		tl.Engagements = append(tl.Engagements, event.EngagementEvent{At: at(d), Recorded: at(d),
			Kind: []string{"sign-in", "sign-in", "support chat"}[d/3%3], Value: event.Amount(d%5) * event.Unit, HasValue: true})
	}
	for i, d := range []int{200, 60, 9} {
		c := event.ComplaintCase{ID: fmt.Sprint(d), At: at(d), Recorded: at(d), Category: "billing", Severity: event.Amount(i+3) * event.Unit,
			HasSeverity: true, ResolvedAt: event.Never, ResolvedKnown: event.Never}
		if d > 9 {
			c.ResolvedAt, c.ResolvedKnown, c.Satisfaction, c.HasSatisfaction = at(d-2), at(d-2), event.Amount(3-i)*event.Unit, true
		}
		tl.Complaints = append(tl.Complaints, c)
	}
	for i := range 12 {
		d := 350 - 30*i
		p := event.PaymentCase{ID: fmt.Sprint(d), At: at(d), Recorded: at(d), PaidAt: at(d - i), PaidKnown: at(d - i), Amount: event.Amount(20+i) * event.Unit,
			FailedAt: event.Never, FailedKnown: event.Never, RefundedAt: event.Never, RefundedKnown: event.Never}
		if i == 11 {
			p.PaidAt, p.PaidKnown, p.FailedAt, p.FailedKnown = event.Never, event.Never, at(d-1), at(d-1)
		}
		tl.Payments = append(tl.Payments, p)
	}
	rows := [4][]float32{}
	for k := range rows {
		rows[k] = make([]float32, len(e.Features()))
		for i := range rows[k] {
			rows[k][i] = []float32{0, 0, 1, missing}[k]
		}
	}
	e.Row(rows[0], tl, base)
	var b strings.Builder
	for i, f := range e.Features() {
		fmt.Fprintf(&b, "%s (%s; %s)\n", f.Name, f.Family, f.Unit)
		for k, head := range []string{"", "0", "1", "missing"} {
			if head == "" {
				head = f.Format(rows[0][i])
			}
			fmt.Fprintf(&b, "  %-8s %s\n", head, e.Sentence(i, rows[k]))
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || b.String() != string(want) {
		t.Errorf("the sentences are others than in %s (%v): read them, then -update", golden, err)
	}
}
