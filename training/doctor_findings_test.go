package training

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"churn/event"
	"churn/event/sim"
	"churn/features"
	"churn/model"
)

// Planted faults, each of which must be found, and named with its number.
func TestDoctorFinds(t *testing.T) {
	w := sim.DefaultWorld()
	w.Customers, w.Snapshots = 400, nil
	p := worldPlan(&w)
	p.Features = &features.Set{Version: 1, Features: []features.Definition{
		{Name: "eng_n_30", From: "engagement", Agg: "count", Windows: []event.Duration{30 * event.Day}}}}
	honest := newWorldSource(t, w)
	diagnose := func(c Checkup, change func(i int, tl *event.Timeline)) map[string]Finding {
		t.Helper()
		src := &worldSource{}
		for i, tl := range honest.timelines {
			own := *tl
			own.Engagements, own.Payments = slices.Clone(tl.Engagements), slices.Clone(tl.Payments)
			if change != nil {
				change(i, &own)
			}
			src.timelines = append(src.timelines, &own)
		}
		c.Plan = p
		d, err := Doctor(context.Background(), src, c)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]Finding{}
		for _, f := range d.Findings {
			m[f.Check+" "+f.Subject] = f
		}
		return m
	}
	base := diagnose(Checkup{}, nil)
	for name, f := range base {
		if f.Severity == "error" && f.Check != "few churners" {
			t.Errorf("the honest world: %s: %s", name, f.Text)
		}
	}
	for _, c := range []struct {
		finding, severity, text string
		check                   Checkup
		change                  func(i int, tl *event.Timeline)
	}{
		{"before sign-up engagement", "error", " % of engagement (", Checkup{}, func(i int, tl *event.Timeline) {
			tl.Customer.SignedUpAt = tl.Customer.SignedUpAt.Add(100 * event.Day)
			if tl.Customer.ChurnedAt < tl.Customer.SignedUpAt {
				tl.Customer.ChurnedAt = tl.Customer.SignedUpAt
			}
		}},
		{"one instant engagement", "warning", "lie on 2025-06-01T00:00:00Z", Checkup{}, func(i int, tl *event.Timeline) {
			for k := range tl.Engagements {
				if k%20 == 0 {
					tl.Engagements[k].At = 1748736000e6 // 2025-06-01, by date -u -d
				}
			}
			slices.SortFunc(tl.Engagements, func(a, b event.EngagementEvent) int { return int(a.At - b.At) })
		}},
		{"midnight engagement", "advice", "are at midnight", Checkup{}, func(i int, tl *event.Timeline) {
			for k := range tl.Engagements {
				tl.Engagements[k].At -= tl.Engagements[k].At % event.Time(event.Day)
			}
		}},
		{"gap engagement", "warning", "for 30 days from 2025-06-01 on", Checkup{}, func(i int, tl *event.Timeline) {
			tl.Engagements = slices.DeleteFunc(tl.Engagements, func(e event.EngagementEvent) bool {
				return e.At >= 1748736000e6 && e.At < 1748736000e6+30*event.Time(event.Day)
			})
		}},
		{"stopped payments", "warning", "payments stops on 2025-", Checkup{}, func(i int, tl *event.Timeline) {
			tl.Payments = slices.DeleteFunc(tl.Payments, func(e event.PaymentCase) bool { return e.At >= 1748736000e6 })
		}},
		{"fewer engagement", "warning", "in the last 28 days of data", Checkup{}, func(i int, tl *event.Timeline) {
			k := 0
			tl.Engagements = slices.DeleteFunc(tl.Engagements, func(e event.EngagementEvent) bool {
				k++
				return e.At >= w.End.Add(-28*event.Day) && k%4 != 0
			})
		}},
		{"repeats engagement", "warning", "equal another of the same customer", Checkup{}, func(i int, tl *event.Timeline) {
			var twice []event.EngagementEvent
			for _, e := range tl.Engagements {
				twice = append(twice, e, e)
			}
			tl.Engagements = twice
		}},
		{"currencies payments.currency", "warning", "payments are in 2 currencies (EUR ", Checkup{}, func(i int, tl *event.Timeline) {
			for k := range tl.Payments {
				if i%10 == 0 {
					tl.Payments[k].Currency = "USD"
				}
			}
		}},
		{"stray engagement", "error", "the last 1 of ", Checkup{}, func(i int, tl *event.Timeline) {
			tl.Engagements = slices.DeleteFunc(tl.Engagements, func(e event.EngagementEvent) bool { return e.At >= w.End.Add(-60*event.Day) })
			if i == 0 {
				tl.Engagements = append(tl.Engagements, event.EngagementEvent{At: w.End - 1, Kind: "visit"})
			}
		}},
		{"no churned_at customers.churned_at", "error", "no customer has a churned_at", Checkup{}, func(i int, tl *event.Timeline) {
			tl.Customer.ChurnedAt = event.Never
		}},
		{"attribute left_because", "warning", "AUC 1.000", Checkup{}, func(i int, tl *event.Timeline) {
			tl.Customer.Attributes = map[string]string{"region": "a"}
			if tl.Customer.ChurnedAt != event.Never {
				tl.Customer.Attributes["left_because"] = "price"
			}
		}},
		{"id customers.name", "advice", "(400 values in 400)", Checkup{}, func(i int, tl *event.Timeline) {
			tl.Customer.Attributes = map[string]string{"name": fmt.Sprint("n", i)}
		}},
		{"constant customers.region", "advice", "one value in all 400 rows", Checkup{}, func(i int, tl *event.Timeline) {
			tl.Customer.Attributes = map[string]string{"region": "a"}
		}},
		{"odd texts customers.size", "warning", `a number in 380 of 400 rows and a text such as "5+"`, Checkup{}, func(i int, tl *event.Timeline) {
			tl.Customer.Attributes = map[string]string{"size": fmt.Sprint(i % 5)}
			if i%20 == 0 {
				tl.Customer.Attributes["size"] = "5+"
			}
		}},
		{"outlier engagement.value", "advice", "is 1e+06 in one row", Checkup{}, func(i int, tl *event.Timeline) {
			if i == 7 && len(tl.Engagements) > 0 {
				tl.Engagements[0].Value, tl.Engagements[0].HasValue = 1e6*event.Unit, true
			}
		}},
		{"empty contacts", "warning", "no event came of them", Checkup{Declared: []event.Stream{event.Contacts}}, nil},
		{"bad rows p.csv", "error", "10 % of the rows of p.csv (5 of 50) cannot be read: 5 future; an import stops at 5.0 %", Checkup{MaxBadShare: 0.05,
			Files: []event.FileReport{{Path: "p.csv", Table: "payments", Rows: 50, Rejected: 5, RefusedFor: map[string]int{"future": 5}}}}, nil},
		{"conflicts p.csv", "warning", "3 events of p.csv", Checkup{Files: []event.FileReport{{Path: "p.csv", Table: "payments", Rows: 50, Conflict: 3}}}, nil},
		{"unknown values p.csv", "advice", "currency EURO in 7 rows", Checkup{Files: []event.FileReport{{Path: "p.csv", Table: "payments", Rows: 50, Unknown: map[string]int{"currency EURO": 7}}}}, nil},
		{"empty p.csv", "warning", "p.csv has no rows", Checkup{Files: []event.FileReport{{Path: "p.csv", Table: "payments", Rows: 2, Skipped: 2}}}, nil},
	} {
		if f, there := base[c.finding]; there {
			t.Errorf("%s is found in the honest world too: %s", c.finding, f.Text)
		}
		f := diagnose(c.check, c.change)[c.finding]
		if f.Severity != c.severity || !strings.Contains(f.Text, c.text) {
			t.Errorf("%s: %s %q, want %s with %q", c.finding, f.Severity, f.Text, c.severity, c.text)
		}
	}
}

// A wide table by hand: one column is the label, one an id, one a twin.
func TestDoctorTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("id,left,spend,twin,knows,row,code,note\n")
	r := rand.New(rand.NewPCG(4, 8))
	for i := range 600 {
		left, knows := "no", "0"
		if i%4 == 0 {
			left, knows = "yes", "1"
		}
		code := fmt.Sprint(r.IntN(9))
		if i%50 == 1 {
			code = "n/a"
		}
		spend, note := r.IntN(100), ""
		if i%3 == 0 {
			note = "x"
		}
		if i%5 == 0 {
			note = ""
		}
		fmt.Fprintf(&b, "c%d,%s,%d,%d,%s,%d,%s,%s\n", i, left, spend, spend, knows, 1000+i, code, note+fmt.Sprint(r.IntN(3))[:len(note)])
	}
	table, err := ReadTable(strings.NewReader(b.String()), "t.csv", TableOptions{ID: "id", Label: "left=yes"})
	if err != nil {
		t.Fatal(err)
	}
	d, err := DoctorTable(table, Checkup{Plan: Plan{Definition: model.Definition{Kind: "label", Label: "left=yes"}, Seed: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if d.Fit {
		t.Error("fit, with a column that knows the label")
	}
	got := map[string]string{}
	for _, f := range d.Findings {
		got[f.Check+" "+f.Subject] = f.Severity
	}
	for what, severity := range map[string]string{"single feature knows": "error", "id row": "warning", "equal twin": "advice", "odd texts code": "warning",
		"coverage note": "advice", "few churners training": "advice"} {
		if got[what] != severity {
			t.Errorf("%s: %q, want %s; all: %v", what, got[what], severity, got)
		}
	}
	rows, churners := 0, 0
	for _, p := range d.Parts {
		rows += p.Rows
		churners += p.Churners
	}
	if rows != 600 || churners != 150 {
		t.Errorf("parts have %d rows and %d churners of 600 and 150", rows, churners)
	}
}
