package training

import (
	"cmp"
	"slices"
	"testing"

	"churn/event"
	"churn/model"
)

// day is a midnight, counted from 1970.
func day(n int) event.Time { return event.Time(n) * event.Time(event.Day) }

const tick = event.Time(event.Microsecond)

func engaged(at ...event.Time) (e []event.EngagementEvent) {
	for _, t := range at {
		e = append(e, event.EngagementEvent{At: t, Recorded: t, Kind: "visit"})
	}
	return e
}

// bill is a payment due at an instant and paid at another, or never.
func bill(due, paid event.Time) event.PaymentCase {
	return event.PaymentCase{ID: due.String(), At: due, Recorded: due, Amount: event.Unit, PaidAt: paid, PaidKnown: paid,
		FailedAt: event.Never, FailedKnown: event.Never, RefundedAt: event.Never, RefundedKnown: event.Never}
}

// customer is known from day 0 on.
func customer(churned event.Time) event.Customer {
	return event.Customer{ID: "c", SignedUpAt: day(0), ChurnedAt: churned}
}

const days = event.Day

// Snapshot on day 100, gap 7 days, horizon 30: the label looks at days 107 to
// 136. All verdicts by hand.
func TestJudgeContract(t *testing.T) {
	d := model.Definition{Kind: "contract", Gap: 7 * days, Horizon: 30 * days}
	graced := d
	graced.Grace = 10 * days
	active := d
	active.ActiveWithin = 20 * days
	young := d
	young.MinTenure = 100 * days
	now, through := day(100), day(200)
	tests := []struct {
		name    string
		d       model.Definition
		tl      event.Timeline
		through event.Time
		want    Verdict
	}{
		{"stays", d, event.Timeline{Customer: customer(event.Never)}, through, Stayed},
		{"left just before t", d, event.Timeline{Customer: customer(now - tick)}, through, NotEligible},
		{"left at t", d, event.Timeline{Customer: customer(now)}, through, InGap},
		{"left at the end of the gap", d, event.Timeline{Customer: customer(day(107) - tick)}, through, InGap},
		{"left as the window begins", d, event.Timeline{Customer: customer(day(107))}, through, Churned},
		{"left as the window ends", d, event.Timeline{Customer: customer(day(137) - tick)}, through, Churned},
		{"left after the window", d, event.Timeline{Customer: customer(day(137))}, through, Stayed},

		{"known exactly", d, event.Timeline{Customer: customer(event.Never)}, day(137), Stayed},
		{"known an instant too late", d, event.Timeline{Customer: customer(event.Never)}, day(137) - tick, Censored},
		{"churned, but censored alike", d, event.Timeline{Customer: customer(day(110))}, day(137) - tick, Censored},
		{"grace over exactly", graced, event.Timeline{Customer: customer(day(110))}, day(147), Churned},
		{"grace not over", graced, event.Timeline{Customer: customer(day(110))}, day(147) - tick, Censored},

		{"signed up at t", d, event.Timeline{Customer: event.Customer{SignedUpAt: now, ChurnedAt: event.Never}}, through, NotEligible},
		{"signed up just before t", d, event.Timeline{Customer: event.Customer{SignedUpAt: now - tick, ChurnedAt: event.Never}}, through, Stayed},
		{"tenure reached exactly", young, event.Timeline{Customer: customer(event.Never)}, through, Stayed},
		{"tenure an instant short", young, event.Timeline{Customer: event.Customer{SignedUpAt: tick, ChurnedAt: event.Never}}, through, NotEligible},

		{"sign-up and everything unknown", d, event.Timeline{Customer: event.Customer{SignedUpAt: event.Never, ChurnedAt: event.Never}}, through, NotEligible},
		{"known by engagement", d, event.Timeline{Customer: event.Customer{SignedUpAt: event.Never, ChurnedAt: event.Never},
			Engagements: engaged(now - tick)}, through, Stayed},
		{"known by engagement from t on", d, event.Timeline{Customer: event.Customer{SignedUpAt: event.Never, ChurnedAt: event.Never},
			Engagements: engaged(now)}, through, NotEligible},
		{"known by a payment", d, event.Timeline{Customer: event.Customer{SignedUpAt: event.Never, ChurnedAt: event.Never},
			Engagements: engaged(now), Payments: []event.PaymentCase{bill(day(99), event.Never)}}, through, Stayed},

		{"active as the window begins", active, event.Timeline{Customer: customer(event.Never), Engagements: engaged(day(80))}, through, Stayed},
		{"active before the window", active, event.Timeline{Customer: customer(event.Never), Engagements: engaged(day(80) - tick)}, through, NotEligible},
		{"active at t only", active, event.Timeline{Customer: customer(event.Never), Engagements: engaged(now)}, through, NeverActivated},
		{"active by paying", active, event.Timeline{Customer: customer(event.Never),
			Payments: []event.PaymentCase{bill(day(50), day(90))}}, through, Stayed},
		{"a bill that is due is no activity", active, event.Timeline{Customer: customer(event.Never),
			Payments: []event.PaymentCase{bill(day(90), event.Never)}}, through, NeverActivated},
	}
	for _, test := range tests {
		if got := Judge(&test.d, &test.tl, now, test.through); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestJudgeInactivity(t *testing.T) {
	d := model.Definition{Kind: "inactivity", Gap: 7 * days, Horizon: 30 * days, ActiveWithin: 60 * days}
	paying := d
	paying.Streams = []string{"payments"}
	using := d
	using.Streams = []string{"engagement"}
	now, through := day(100), day(200)
	before := day(90)
	paid := func(at ...event.Time) (p []event.PaymentCase) {
		for _, t := range at {
			p = append(p, bill(t, t))
		}
		return p
	}
	tests := []struct {
		name    string
		d       model.Definition
		e       []event.EngagementEvent
		p       []event.PaymentCase
		through event.Time
		want    Verdict
	}{
		{"silent", d, engaged(before), nil, through, Churned},
		{"active in the gap only", d, engaged(before, day(107)-tick), nil, through, Churned},
		{"active as the window begins", d, engaged(before, day(107)), nil, through, Stayed},
		{"active as the window ends", d, engaged(before, day(137)-tick), nil, through, Stayed},
		{"active after the window", d, engaged(before, day(137)), nil, through, Churned},
		{"paying is activity", d, engaged(before), paid(day(110)), through, Stayed},
		{"a bill paid in the window", d, engaged(before), []event.PaymentCase{bill(day(20), day(110))}, through, Stayed},
		{"a bill due in the window and paid after it", d, engaged(before), []event.PaymentCase{bill(day(110), day(140))}, through, Churned},
		{"a bill due in the window and paid before it", d, engaged(before), []event.PaymentCase{bill(day(110), day(95))}, through, Churned},

		{"only payments count", paying, engaged(before, day(110)), paid(day(95)), through, Churned},
		{"only payments make eligible", paying, engaged(before), paid(day(110)), through, NeverActivated},
		{"only engagement counts", using, engaged(before), paid(day(95), day(110)), through, Churned},
		{"only engagement makes eligible", using, engaged(day(110)), paid(day(95)), through, NeverActivated},

		{"known exactly", d, engaged(before), nil, day(137), Churned},
		{"known an instant too late", d, engaged(before, day(110)), nil, day(137) - tick, Censored},
		{"not active", d, engaged(day(40) - tick), nil, through, NotEligible},
		{"never active", d, nil, nil, through, NeverActivated},
	}
	for _, test := range tests {
		tl := event.Timeline{Customer: customer(event.Never), Engagements: test.e, Payments: test.p}
		if got := Judge(&test.d, &tl, now, test.through); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	// Whoever is known to have left is not asked for silence.
	gone := event.Timeline{Customer: customer(day(99)), Engagements: engaged(before)}
	if got := Judge(&d, &gone, now, through); got != NotEligible {
		t.Errorf("left before t: %v", got)
	}
}

// A payment counts as not coming 20 days after it was due.
func TestJudgePayment(t *testing.T) {
	d := model.Definition{Kind: "payment", Gap: 7 * days, Horizon: 30 * days, UnpaidFor: 20 * days}
	recent := d
	recent.ActiveWithin = 40 * days
	now, through := day(100), day(200)
	good := bill(day(70), day(71))
	tests := []struct {
		name    string
		d       model.Definition
		p       []event.PaymentCase
		through event.Time
		want    Verdict
	}{
		{"pays", d, []event.PaymentCase{good, bill(day(110), day(111))}, through, Stayed},
		{"nothing due in the window", d, []event.PaymentCase{good}, through, Stayed},
		{"due as the window begins, never paid", d, []event.PaymentCase{good, bill(day(107), event.Never)}, through, Churned},
		{"due as the window ends, never paid", d, []event.PaymentCase{good, bill(day(137)-tick, event.Never)}, through, Churned},
		{"due after the window, never paid", d, []event.PaymentCase{good, bill(day(137), event.Never)}, through, Stayed},
		{"paid on the last day that counts", d, []event.PaymentCase{good, bill(day(110), day(130))}, through, Stayed},
		{"paid an instant later", d, []event.PaymentCase{good, bill(day(110), day(130)+tick)}, through, Churned},
		{"given up at t", d, []event.PaymentCase{good, bill(day(80), event.Never)}, through, InGap},
		{"given up as the gap ends", d, []event.PaymentCase{good, bill(day(87)-tick, event.Never)}, through, InGap},
		{"given up as the window begins, nothing due in it", d, []event.PaymentCase{good, bill(day(87), event.Never)}, through, Stayed},
		{"given up before t", d, []event.PaymentCase{good, bill(day(80)-tick, event.Never)}, through, NotEligible},
		{"came back by paying late", d, []event.PaymentCase{bill(day(40), day(75))}, through, Stayed},
		{"came back by paying the next one", d, []event.PaymentCase{bill(day(40), event.Never), good}, through, Stayed},
		{"paid one before the other was given up", d, []event.PaymentCase{bill(day(55), event.Never), good}, through, NotEligible},
		{"pays late only after t", d, []event.PaymentCase{bill(day(70), now)}, through, NotEligible},

		{"nothing ever due", d, nil, through, NotEligible},
		{"due at t only", d, []event.PaymentCase{bill(now, now)}, through, NotEligible},
		{"due as activity begins", recent, []event.PaymentCase{bill(day(60), day(60))}, through, Stayed},
		{"due before activity begins", recent, []event.PaymentCase{bill(day(60)-tick, day(60))}, through, NotEligible},

		// The last day's payment has 20 days: 100 + 7 + 30 + 20.
		{"known exactly", d, []event.PaymentCase{good}, day(157), Stayed},
		{"known an instant too late", d, []event.PaymentCase{good}, day(157) - tick, Censored},
	}
	for _, test := range tests {
		tl := event.Timeline{Customer: customer(event.Never), Payments: test.p}
		if got := Judge(&test.d, &tl, now, test.through); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	// What became of the contract does not matter to this definition.
	gone := event.Timeline{Customer: customer(day(50)), Payments: []event.PaymentCase{good, bill(day(110), event.Never)}}
	if got := Judge(&d, &gone, now, through); got != Churned {
		t.Errorf("contract ended: %v", got)
	}
}

func TestVerdictNames(t *testing.T) {
	for v, want := range map[Verdict]string{Stayed: "stayed", Churned: "churned", NotEligible: "not eligible",
		Censored: "censored", InGap: "churned in the gap", NeverActivated: "never activated", OtherKind: "left in another way",
		TooLittle: "too little to decline", MixedCurrencies: "spend in several currencies"} {
		if v.String() != want {
			t.Errorf("%d is %q, want %q", v, v, want)
		}
	}
}

// TestJudgeCorrections: what was corrected or cancelled, whenever, changes no
// verdict, be it in front of what counts.
func TestJudgeCorrections(t *testing.T) {
	now, through := day(100), day(300)
	for name, d := range map[string]model.Definition{
		"inactivity": {Kind: "inactivity", Horizon: 30 * days, ActiveWithin: 30 * days},
		"payment":    {Kind: "payment", Horizon: 30 * days, UnpaidFor: 10 * days, ActiveWithin: 60 * days},
		"gap":        {Kind: "payment", Gap: 20 * days, Horizon: 30 * days, UnpaidFor: 10 * days, ActiveWithin: 60 * days},
		"contract":   {Kind: "contract", Horizon: 30 * days, ActiveWithin: 30 * days, MinTenure: 50 * days},
		"once":       {Kind: "contract", Horizon: 30 * days, NeverActivated: "exclude"},
		"spend":      {Kind: "decline", Horizon: 30 * days, Baseline: 50 * days, Measure: "spend", Drop: event.Unit / 2, Least: 1},
		"usage":      {Kind: "decline", Horizon: 30 * days, Measure: "usage", Drop: event.Unit / 2, Least: 1},
	} {
		for _, tl := range []event.Timeline{
			{Engagements: engaged(day(10), day(90)), Payments: []event.PaymentCase{bill(day(60), day(61)), bill(day(110), day(111))}},
			{Engagements: engaged(day(60)), Payments: []event.PaymentCase{bill(day(60), event.Never)}},
			{Engagements: engaged(day(90), day(110)), Payments: []event.PaymentCase{bill(day(80), day(85)), bill(day(110), event.Never)}},
			{Payments: []event.PaymentCase{bill(day(40), event.Never)}},
			{Customer: event.Customer{ChurnedAt: day(110)}, Engagements: engaged(day(90)), Payments: []event.PaymentCase{bill(day(95), event.Never)}},
		} {
			tl.Customer.ID, tl.Customer.SignedUpAt, tl.Customer.ChurnedAt = "c", event.Never, cmp.Or(tl.Customer.ChurnedAt, event.Never)
			want, kind := verdict(&d, &tl, now, through)
			more := tl
			more.Engagements, more.Payments = nil, nil
			for _, at := range []int{5, 75, 95, 105, 125} {
				e, p, q := engaged(day(at))[0], bill(day(at), day(at+1)), bill(day(at), event.Never)
				e.Superseded, p.Superseded, q.Superseded = day(at+2), day(200), day(at+1)
				more.Engagements, more.Payments = append(more.Engagements, e), append(more.Payments, p, q)
			}
			more.Engagements = append(more.Engagements, tl.Engagements...)
			slices.SortStableFunc(more.Engagements, func(a, b event.EngagementEvent) int { return cmp.Compare(a.At, b.At) })
			more.Payments = append(more.Payments, tl.Payments...)
			slices.SortStableFunc(more.Payments, func(a, b event.PaymentCase) int { return cmp.Compare(a.At, b.At) })
			if got, how := verdict(&d, &more, now, through); got != want || how != kind {
				t.Errorf("%s, %+v: %s %s, want %s %s", name, tl, got, how, want, kind)
			}
		}
	}
}
