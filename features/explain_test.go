package features

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"churn/event"
)

// keep copies a history and leaves out what is not among the items.
func keep(tl *event.Timeline, items []Item) *event.Timeline {
	has := func(match func(it *item) bool) bool {
		return slices.ContainsFunc(items, func(i Item) bool { return match(&i.item) })
	}
	out := &event.Timeline{Customer: tl.Customer}
	for i := range tl.Engagements {
		if p := &tl.Engagements[i]; has(func(it *item) bool { return it.engagement == p }) {
			out.Engagements = append(out.Engagements, *p)
		}
	}
	for i := range tl.Complaints {
		if p := &tl.Complaints[i]; has(func(it *item) bool { return it.complaint == p }) {
			out.Complaints = append(out.Complaints, *p)
		}
	}
	for i := range tl.Payments {
		if p := &tl.Payments[i]; has(func(it *item) bool { return it.payment == p }) {
			out.Payments = append(out.Payments, *p)
		}
	}
	for i := range tl.Contacts {
		if p := &tl.Contacts[i]; has(func(it *item) bool { return it.contact == p }) {
			out.Contacts = append(out.Contacts, *p)
		}
	}
	for i := range tl.Changes {
		if p := &tl.Changes[i]; has(func(it *item) bool { return it.change == p }) {
			out.Changes = append(out.Changes, *p)
		}
	}
	return out
}

// What is said to have gone into a value is enough to compute it from, and
// the value without the last event is that of a history that never had it.
func TestExplainIsComplete(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	expressions := "version: 1\nfeatures:\n" +
		"- {name: \"n_{w}\", from: engagement, agg: count, windows: [2d, 14d]}\n" +
		"- {name: rec, from: payments, agg: recency, windows: [14d]}\n" +
		"- {name: rate, expr: \"rate_ratio(n_2, n_14)\"}\n" +
		"- {name: both, expr: \"times(rate, rec)\"}\n"
	for _, e := range []*Engine{learned(t, everything()), mustCompile(t, mustParse(t, expressions))} {
		row := make([]float32, len(e.Features()))
		explained := 0
		for k := range 8 {
			who, events := history(r, fmt.Sprint("x", k))
			tl, at := event.NewTimeline(who, events), instants(r)
			for j := range e.Features() {
				x := e.Explain(j, tl, at)
				e.Row(row, keep(tl, x.Items), at)
				if math.Float32bits(row[j]) != math.Float32bits(x.Value) {
					t.Fatalf("%s: %v of all events, %v of the %d said to count", x.Name, x.Value, row[j], len(x.Items))
				}
				if len(x.Items) == 0 {
					continue
				}
				explained++
				e.Row(row, without(tl, &x.Items[len(x.Items)-1].item), at)
				if math.Float32bits(row[j]) != math.Float32bits(x.Without) {
					t.Fatalf("%s: without the last event %v, want %v", x.Name, x.Without, row[j])
				}
			}
		}
		if explained < 8 {
			t.Errorf("only %d values had events", explained)
		}
	}
}

// By hand: three payments, one of them late, one due before the window.
func TestExplain(t *testing.T) {
	e := mustCompile(t, mustParse(t, `version: 1
attributes: [{name: plan, type: category, levels: [pro]}]
features:
- {name: late_rate, from: payments, agg: rate, where: late, windows: [30d], text: "{value %} late"}
- {name: gap, from: payments, agg: gap_max, windows: [30d]}
- {name: paid, from: payments, agg: sum, field: amount, where: "paid and currency == \"EUR\"", windows: [30d]}
- {name: ratio, expr: "ratio(paid, gap)"}
`))
	at := base
	pay := func(id string, due, paid event.Duration) event.PaymentCase {
		p := event.PaymentCase{ID: id, At: at.Add(-due), Recorded: at.Add(-due), Amount: 10 * event.Unit, Currency: "EUR",
			PaidAt: event.Never, PaidKnown: event.Never, FailedAt: event.Never, FailedKnown: event.Never, RefundedAt: event.Never, RefundedKnown: event.Never}
		if paid > 0 {
			p.PaidAt, p.PaidKnown = at.Add(-paid), at.Add(-paid)
		}
		return p
	}
	tl := &event.Timeline{Customer: event.Customer{ID: "a", SignedUpAt: event.Never, ChurnedAt: event.Never, Attributes: map[string]string{"plan": "pro"}},
		Payments: []event.PaymentCase{pay("1", 40*event.Day, 40*event.Day), pay("2", 20*event.Day, 19*event.Day), pay("3", 5*event.Day, 0)}}
	tell := func(name string) string {
		j, _ := e.Index(name)
		x := e.Explain(j, tl, at)
		var b strings.Builder
		fmt.Fprintf(&b, "%v without %v; %s; %s\n", x.Value, x.Without, x.Sentence, x.Computed)
		for _, a := range x.Arguments {
			fmt.Fprintf(&b, "%s %v\n", a.Name, a.Value)
		}
		for _, it := range x.Items {
			fmt.Fprintf(&b, "%g days ago, %s", at.Sub(it.Occurred).Days(), strings.ReplaceAll(it.What, at.Add(-19*event.Day).String(), "T"))
			if it.Value != nil {
				fmt.Fprintf(&b, " (%g)", *it.Value)
			}
			for _, why := range it.Why {
				fmt.Fprintf(&b, "; %s %s", why.Feature, why.Text)
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
	for name, want := range map[string]string{
		"late_rate": "0.5 without 0; 50% late; share with late of payments in [t-30d, t); missing where there are none\n" +
			"20 days ago, 10 EUR, paid T; late_rate in the window, not late: counts in the whole only\n" +
			"5 days ago, 10 EUR, unpaid; late_rate in the window, late\n",
		"gap": "20 without 20; gap: 20 days; longest time in days between neighbouring payments whose later one is in [t-30d, t); missing where there are none\n" +
			"40 days ago, 10 EUR, paid " + at.Add(-40*event.Day).String() + "; gap the last before the window: the first gap begins here\n" +
			"20 days ago, 10 EUR, paid T; gap in the window\n5 days ago, 10 EUR, unpaid; gap in the window\n",
		"paid": "10 without 0; paid: 10 money; sum of amount over payments where paid and currency == \"EUR\" in [t-30d, t); 0 where there are none\n" +
			"20 days ago, 10 EUR, paid T (10); paid in the window, paid and currency == \"EUR\"\n",
		"cus_plan": "0 without 0; cus plan: pro; attribute plan of the customer\n",
	} {
		if got := tell(name); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	got := tell("ratio")
	for _, want := range []string{"0.5 without 0.5;", "ratio(paid, gap) = a / b; missing where b is 0\npaid 10\ngap 20\n",
		"20 days ago, 10 EUR, paid T (10); paid in the window, paid and currency == \"EUR\"; gap in the window\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("ratio:\n%s\nhas not %q", got, want)
		}
	}
	j, _ := e.Index("cus_plan")
	if x := e.Explain(j, tl, at); x.Attribute != "pro" {
		t.Errorf("attribute %q", x.Attribute)
	}
}

// Every operator is told in words, and every declaration is found again.
func TestList(t *testing.T) {
	for name := range aggregates {
		if aggregateWords[name] == "" {
			t.Errorf("no words for the aggregate %s", name)
		}
	}
	for name := range functions {
		if functionWords[name] == "" {
			t.Errorf("no words for the function %s", name)
		}
	}
	open := Default()
	open.Attributes = []Column{{Name: "plan", Type: "category"}}
	list, err := open.List()
	if err != nil {
		t.Fatal(err)
	}
	if l := list[0]; l.Name != "cus_plan" || l.Levels != nil || l.Computed != "attribute plan of the customer" || l.From != "customer" {
		t.Errorf("attribute: %+v", l)
	}
	i := slices.IndexFunc(list, func(l Listed) bool { return l.Name == "eng_{by}_n_90" })
	if i < 0 || !strings.HasSuffix(list[i].Computed, "one feature for each of the 8 most frequent in training") {
		t.Errorf("no feature by level, or not told as one")
	}
	e := learned(t, everything())
	if list, err = e.Set().List(); err != nil {
		t.Fatal(err)
	}
	for j, f := range e.Features() {
		if list[j].Name != f.Name || strings.Contains(list[j].Computed, "ITEMS") || strings.Contains(list[j].Computed, "FIELD") {
			t.Errorf("column %d is %s, listed as %s: %s", j, f.Name, list[j].Name, list[j].Computed)
		}
		// The declaration that was found is the one of the column.
		w := e.plan.windows[e.steps[j].window]
		if e.steps[j].window != 0 && (e.plan.series[w.series].stream != list[j].From || w.width != list[j].Window) {
			t.Errorf("%s: window %+v, listed from %s and %s", f.Name, w, list[j].From, list[j].Window)
		}
	}
}

// The value is that of Python's hashlib over the bytes as documented.
func TestRowFingerprint(t *testing.T) {
	got := RowFingerprint("C1", 1_700_000_000_000_000, []float32{1.5, -1, float32(nan)})
	if want := uint64(0x6a07a8c44fe1af79); got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
}
