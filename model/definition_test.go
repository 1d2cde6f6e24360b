package model

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"churn/event"
)

func TestDefinition(t *testing.T) {
	const day = event.Day
	spend := Definition{Kind: "decline", Horizon: 30 * day, Measure: "spend", Drop: event.Unit / 2, Least: 20 * event.Unit}
	with := func(d Definition, change func(*Definition)) Definition {
		change(&d)
		return d
	}
	paying := Definition{Kind: "contract", Horizon: 30 * day}
	for _, c := range []struct {
		d    Definition
		want string // its words, or what the error says
		ok   bool
	}{
		{Definition{Kind: "contract", Gap: 7 * day, Horizon: 30 * day}, "contract: leaves within 30d after a gap of 7d", true},
		{Definition{Kind: "inactivity", Horizon: 90 * day, Streams: []string{"engagement", "payments"}}, "inactivity: no engagement or payments for 90d after a gap of 0d", true},
		{Definition{Kind: "inactivity", Horizon: 90 * day}, "inactivity: no engagement or payments for 90d after a gap of 0d", true},
		{Definition{Kind: "inactivity", Horizon: 90 * day, Streams: []string{"payments"}}, "inactivity: no payments for 90d after a gap of 0d", true},
		{Definition{Kind: "payment", Horizon: 30 * day, UnpaidFor: 45 * day}, "payment: unpaid for 45d, due within 30d after a gap of 0d", true},
		{Definition{Kind: "label", Label: "Churn=Yes"}, "label: Churn=Yes", true},
		{spend, "decline: spend falls by 50 % or more within 30d after a gap of 0d, from at least 20 in 30d", true},
		{Definition{Kind: "decline", Gap: 7 * day, Horizon: 30 * day, Baseline: 90 * day, Measure: "value", UsageKinds: []string{"call", "sms"},
			Drop: event.Unit / 8, Least: event.Unit / 2, Kinds: []string{Declined}},
			"decline: value of call or sms falls by 12.5 % or more within 30d after a gap of 7d, from at least 0.5 in 90d; only declined", true},
		{with(paying, func(d *Definition) { d.Kinds = []string{Voluntary, NeverActivated} }),
			"contract: leaves within 30d after a gap of 0d; only voluntary or never activated", true},
		{with(paying, func(d *Definition) { d.NeverActivated = "include" }), "contract: leaves within 30d after a gap of 0d; also who was never active", true},
		{with(paying, func(d *Definition) { d.NeverActivated = "exclude" }), "contract: leaves within 30d after a gap of 0d; not who was never active", true},
		{with(paying, func(d *Definition) { d.InvoluntaryReasons = []string{"kein Geld"} }), "contract: leaves within 30d after a gap of 0d", true},
		{Definition{}, `kind ""`, false},
		{Definition{Kind: "Contract", Horizon: day}, `kind "Contract"`, false},
		{Definition{Kind: "label"}, "label needs a column", false},
		{Definition{Kind: "contract"}, "horizon must be positive", false},
		{Definition{Kind: "contract", Horizon: -day}, "horizon must be positive", false},
		{Definition{Kind: "contract", Horizon: day, Gap: -1}, "cannot be negative", false},
		{Definition{Kind: "contract", Horizon: day, Grace: -1}, "cannot be negative", false},
		{Definition{Kind: "contract", Horizon: day, ActiveWithin: -1}, "cannot be negative", false},
		{Definition{Kind: "contract", Horizon: day, MinTenure: -1}, "cannot be negative", false},
		{Definition{Kind: "payment", Horizon: day, UnpaidFor: -1}, "cannot be negative", false},
		{Definition{Kind: "payment", Horizon: day}, "needs unpaid_for", false},
		{Definition{Kind: "inactivity", Horizon: day, Streams: []string{"complaints"}}, `stream "complaints"`, false},
		{with(paying, func(d *Definition) { d.Kinds = []string{"payment"} }), `kinds: "payment": use voluntary, involuntary`, false},
		{with(paying, func(d *Definition) { d.Kinds = []string{Lapsed, Lapsed} }), `"lapsed" is named twice`, false},
		{with(paying, func(d *Definition) { d.Kinds = []string{Declined} }), "nobody is declined by kind contract", false},
		{with(paying, func(d *Definition) { d.NeverActivated = "yes" }), `never_activated "yes": use include or exclude`, false},
		{with(paying, func(d *Definition) { d.InvoluntaryReasons = []string{} }), "name one at least", false},
		{with(paying, func(d *Definition) { d.InvoluntaryReasons = []string{" "} }), "a reason is empty", false},
		{with(paying, func(d *Definition) { d.Drop = 1 }), "of kind decline, and not of contract", false},
		{with(paying, func(d *Definition) { d.Least = 1 }), "of kind decline", false},
		{with(paying, func(d *Definition) { d.Measure = "spend" }), "of kind decline", false},
		{with(paying, func(d *Definition) { d.Baseline = day }), "of kind decline", false},
		{with(paying, func(d *Definition) { d.UsageKinds = []string{"a"} }), "of kind decline", false},
		{with(spend, func(d *Definition) { d.Measure = "money" }), `measure "money"`, false},
		{with(spend, func(d *Definition) { d.UsageKinds = []string{"a"} }), "usage_kinds are of engagement", false},
		{with(spend, func(d *Definition) { d.Drop = 0 }), "needs drop", false},
		{with(spend, func(d *Definition) { d.Drop = -1 }), "needs drop", false},
		{with(spend, func(d *Definition) { d.Drop = 50 * event.Unit }), "above 0 to 1", false},
		{with(spend, func(d *Definition) { d.Least = 0 }), "needs least, the spend in the 30d before t", false},
		{with(spend, func(d *Definition) { d.Baseline = -day }), "cannot be negative", false},
		{Definition{Kind: "label", Label: "a=b", Kinds: []string{Voluntary}}, "a label says nothing", false},
	} {
		err := c.d.Validate()
		switch {
		case c.ok && (err != nil || c.d.String() != c.want):
			t.Errorf("%+v: %v, %q, want %q", c.d, err, c.d.String(), c.want)
		case !c.ok && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: %v, want an error with %q", c.d, err, c.want)
		}
	}
}

func TestKindOf(t *testing.T) {
	var usual Definition
	own := Definition{InvoluntaryReasons: []string{"Kein Geld", "lapsed"}}
	for _, c := range []struct {
		d            *Definition
		reason, want string
	}{
		{&usual, "", ""},
		{&usual, " ", ""},
		{&usual, "price", Voluntary},
		{&usual, "voluntary", Voluntary},
		{&usual, "Payment failed", Involuntary},
		{&usual, "non-payment", Involuntary},
		{&usual, "INVOLUNTARY", Involuntary},
		{&usual, "Lapsed", Lapsed},
		{&usual, "never activated", NeverActivated},
		{&usual, "declined", Voluntary}, // an offer; nobody leaves by a decline
		{&own, "payment_failed", Voluntary},
		{&own, "kein-geld", Involuntary},
		{&own, "lapsed", Involuntary},
		{&own, "involuntary", Involuntary},
	} {
		if got := c.d.KindOf(c.reason); got != c.want {
			t.Errorf("%q of %v is %q, want %q", c.reason, c.d.InvoluntaryReasons, got, c.want)
		}
	}
}

// The reasons that models mean by default do not change, and docs/training.md
// lists them.
func TestInvoluntaryReasonsStay(t *testing.T) {
	want := "`payment_failed`, `payment_failure`, `failed_payment`, `card_expired`, `expired_card`, `card_declined`, " +
		"`no_card`, `insufficient_funds`, `non_payment`, `nonpayment`, `not_paid`, `unpaid`"
	if got := "`" + strings.Join(defaultInvoluntaryReasons, "`, `") + "`"; got != want {
		t.Errorf("now %s", got)
	}
	doc, err := os.ReadFile("../docs/training.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(strings.Fields(string(doc)), " "), want) {
		t.Errorf("docs/training.md does not have %s", want)
	}
}

// TestMeasured compares with a sum over everything that asks for each condition
// by itself, as known at an instant and at last.
func TestMeasured(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	at := func() event.Time { return event.Time(r.IntN(40)) }
	or := func(x event.Time) event.Time {
		if r.IntN(3) == 0 {
			return event.Never
		}
		return x
	}
	nonzero, several := 0, 0
	for range 6000 {
		var tl event.Timeline
		for now := range event.Time(40) {
			if r.IntN(3) == 0 {
				tl.Engagements = append(tl.Engagements, event.EngagementEvent{At: now, Recorded: now + event.Time(r.IntN(9)),
					Kind: []string{"a", "b", "c"}[r.IntN(3)], Value: event.Amount(r.IntN(20) - 5), HasValue: r.IntN(4) > 0, Superseded: at() / 20 * at()})
			}
			if r.IntN(3) == 0 {
				paid, back := or(at()), or(at())
				tl.Payments = append(tl.Payments, event.PaymentCase{At: now, Recorded: now, Amount: event.Amount(r.IntN(50)), Currency: []string{"", "EUR", "EUR", "USD"}[r.IntN(4)],
					PaidAt: paid, PaidKnown: paid.Add(event.Duration(r.IntN(5))), RefundedAt: back, RefundedKnown: back.Add(2), Superseded: at() / 20 * at()})
			}
		}
		from, to, known := at(), at(), at()
		if r.IntN(2) == 0 {
			known = event.Never
		}
		stands := func(superseded event.Time) bool {
			return superseded == 0 || known != event.Never && superseded >= known
		}
		for _, d := range []Definition{{Measure: "spend"}, {Measure: "usage"}, {Measure: "value"}, {Measure: "usage", UsageKinds: []string{"a", "c"}}, {Measure: "value", UsageKinds: []string{"b"}}} {
			var want event.Amount
			currencies := map[string]bool{}
			for _, p := range tl.Payments {
				refunded := p.RefundedAt < to && p.RefundedAt < known && p.RefundedKnown < known
				if d.Measure == "spend" && p.PaidAt >= from && p.PaidAt < to && p.PaidAt < known && p.PaidKnown < known && stands(p.Superseded) && !refunded {
					want += p.Amount
					currencies[p.Currency] = true
				}
			}
			delete(currencies, "")
			for _, e := range tl.Engagements {
				ours := len(d.UsageKinds) == 0 || strings.Contains(strings.Join(d.UsageKinds, ""), e.Kind)
				if d.Measure != "spend" && e.At >= from && e.At < to && e.At < known && e.Recorded < known && stands(e.Superseded) && ours {
					if d.Measure == "usage" {
						want += event.Unit
					} else if e.HasValue {
						want += e.Value
					}
				}
			}
			sum, currency, mixed := d.Measured(&tl, from, to, known)
			if sum != want || mixed != (len(currencies) > 1) || (currency == "") != (len(currencies) == 0) || currency != "" && !currencies[currency] {
				t.Fatalf("%s %v in [%d, %d) as known at %d: %d %q %v, want %d of %v", d.Measure, d.UsageKinds, from, to, known, sum, currency, mixed, want, currencies)
			}
			if sum != 0 {
				nonzero++
			}
			if mixed {
				several++
			}
		}
	}
	if nonzero < 1000 || several < 100 {
		t.Errorf("%d sums and %d in several currencies: the histories are too poor", nonzero, several)
	}
}

// Sums that there is no room for stay at the end of what there is.
func TestMeasuredStaysInRange(t *testing.T) {
	d := Definition{Measure: "value"}
	for _, v := range []event.Amount{event.MaxAmount, -event.MaxAmount} {
		var tl event.Timeline
		for range 10_000 {
			tl.Engagements = append(tl.Engagements, event.EngagementEvent{Value: v, HasValue: true})
		}
		sum, _, _ := d.Measured(&tl, 0, 1, event.Never)
		if want := event.Amount(math.MaxInt64); v > 0 && sum != want || v < 0 && sum != -want-1 {
			t.Errorf("10,000 times %d are %d", v, sum)
		}
	}
}

// Whatever a definition has of format 3 makes a file of it, and comes back; it
// is no part of a file of an older format.
func TestDefinitionFormat(t *testing.T) {
	for name, change := range map[string]func(d *Definition){
		"decline": func(d *Definition) { *d = declining },
		"kinds":   func(d *Definition) { d.Kinds = []string{Voluntary} },
		"reasons": func(d *Definition) { d.InvoluntaryReasons = []string{"unpaid"} },
		"exclude": func(d *Definition) { d.NeverActivated = "exclude" },
		"include": func(d *Definition) { d.NeverActivated = "include" },
		"decline, usage": func(d *Definition) {
			*d = declining
			d.Measure, d.UsageKinds, d.Baseline = "usage", []string{"call"}, 0
		},
	} {
		m := linearModel(t)
		change(&m.Manifest.Definition)
		b := fileOf(t, m)
		got, err := Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if got.Manifest.Format != 3 || !reflect.DeepEqual(got.Manifest.Definition, m.Manifest.Definition) {
			t.Errorf("%s: format %d, %+v, want %+v", name, got.Manifest.Format, got.Manifest.Definition, m.Manifest.Definition)
		}
		older := rewritten(t, b, manifestMember, replace(`"format": 3`, `"format": 2`))
		if _, err := Read(older); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "came with 3") {
			t.Errorf("%s under format 2: %v", name, err)
		}
	}
	m := linearModel(t)
	m.Manifest.Definition.Kinds, m.Manifest.Definition.UsageKinds = []string{}, []string{}
	if plain := fileOf(t, linearModel(t)); !bytes.Equal(fileOf(t, m), plain) {
		t.Error("empty lists change the file")
	}
}
