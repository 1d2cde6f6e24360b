package outreach

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"churn/event"
)

var (
	nan = math.NaN()
	inf = math.Inf(1)
	now = at("2026-03-01T12:00:00Z")
)

func at(s string) event.Time {
	t, err := event.ParseTime(s)
	if err != nil {
		panic(err)
	}
	return t
}

// ago is so many days before now.
func ago(days float64) event.Time { return now.Add(-event.Duration(days * float64(event.Day))) }

func engagements(days ...float64) []event.EngagementEvent {
	var es []event.EngagementEvent
	for _, d := range days {
		es = append(es, event.EngagementEvent{At: ago(d), Recorded: ago(d), Kind: "visit"})
	}
	return es
}

func paid(days float64, amount int64) event.PaymentCase {
	return event.PaymentCase{At: ago(days), Recorded: ago(days), Amount: event.Amount(amount) * event.Unit,
		PaidAt: ago(days), PaidKnown: ago(days), FailedAt: event.Never, FailedKnown: event.Never,
		RefundedAt: event.Never, RefundedKnown: event.Never}
}

func due(days float64) event.PaymentCase {
	p := paid(days, 10)
	p.PaidAt, p.PaidKnown = event.Never, event.Never
	return p
}

func failed(p event.PaymentCase, days float64) event.PaymentCase {
	p.FailedAt, p.FailedKnown = ago(days), ago(days)
	return p
}

func complaint(opened, resolved, known float64) event.ComplaintCase {
	c := event.ComplaintCase{At: ago(opened), Recorded: ago(opened), ResolvedAt: event.Never, ResolvedKnown: event.Never}
	if !math.IsNaN(resolved) {
		c.ResolvedAt, c.ResolvedKnown = ago(resolved), ago(known)
	}
	return c
}

func TestFactsOf(t *testing.T) {
	signedUp := func(days float64) event.Customer {
		return event.Customer{ID: "c", SignedUpAt: ago(days), ChurnedAt: event.Never}
	}
	attribute := func(c event.Customer, k, v string) event.Customer {
		c.Attributes = map[string]string{k: v}
		return c
	}
	left := func(days float64) event.Customer {
		c := signedUp(300)
		c.ChurnedAt = ago(days)
		return c
	}
	type want map[string]any // nil: unknown
	for _, c := range []struct {
		name string
		tl   event.Timeline
		want want
	}{
		{"nothing known", event.Timeline{Customer: event.Customer{ID: "c", SignedUpAt: event.Never, ChurnedAt: event.Never}},
			want{"tenure_days": nil, "activation": nil, "usage_trend": nil, "silent": nil, "lifecycle": nil, "days_since_churn": nil,
				"is_birthday": nil, "is_anniversary": nil, "days_since_survey": nil, "days_since_engagement": nil,
				"open_complaints": 0.0, "failed_payments": 0.0, "risk": nil, "rv": nil, "products": nil, "on_discount": nil, "next_tier_gap": nil, "is_core": nil}},
		{"signed up, did nothing", event.Timeline{Customer: signedUp(20)},
			want{"tenure_days": 20.0, "activation": 0.0, "usage_trend": nil, "lifecycle": "prospect", "days_since_survey": 20.0, "is_anniversary": false}},
		{"sign-up in the future is not known", event.Timeline{Customer: signedUp(-3)}, want{"tenure_days": nil, "lifecycle": nil}},
		// Weeks 0 to 2 have begun on day 20; engagement in weeks 0 and 2.
		{"onboarding", event.Timeline{Customer: signedUp(20), Engagements: engagements(19, 18, 2)},
			want{"activation": 2.0 / 3, "lifecycle": "onboarding", "days_since_engagement": 2.0, "silent": nil}},
		{"activation looks at the first eight weeks", event.Timeline{Customer: signedUp(100), Engagements: engagements(100, 94, 93, 44, 43.5, 10)},
			want{"activation": 2.0 / 8}}, // weeks 0, 0, 1, and three after the eighth
		{"tenure from the first event", event.Timeline{Customer: signedUp(-1), Engagements: engagements(70, 3)}, want{"tenure_days": 70.0}},
		// 1 in the last 30 days, 2 in the 30 before; exactly 30 days ago is in the window, exactly 60 too.
		{"falling usage", event.Timeline{Customer: signedUp(400), Engagements: engagements(60, 40, 30)},
			want{"usage_trend": -0.5, "lifecycle": "declining"}},
		{"rising usage", event.Timeline{Customer: signedUp(400), Engagements: engagements(3, 2, 1)}, want{"usage_trend": 3.0, "lifecycle": "growing"}},
		{"no usage", event.Timeline{Customer: signedUp(400), Engagements: engagements(200)}, want{"usage_trend": 0.0, "lifecycle": "lapsed"}},
		{"pays, does not engage", event.Timeline{Customer: signedUp(400), Payments: []event.PaymentCase{paid(20, 10)}}, want{"lifecycle": "active"}},
		// Gaps of 7 days, silent for 15: more than twice.
		{"silent", event.Timeline{Customer: signedUp(400), Engagements: engagements(36, 29, 22, 15)}, want{"silent": true}},
		{"not silent yet", event.Timeline{Customer: signedUp(400), Engagements: engagements(35, 28, 21, 14)}, want{"silent": false}},
		{"sessions of one day are one day", event.Timeline{Customer: signedUp(400), Engagements: engagements(15.3, 15.2, 15.1, 15.05)}, want{"silent": nil}},
		{"silence explained by a complaint", event.Timeline{Customer: signedUp(400), Engagements: engagements(36, 29, 22, 15),
			Complaints: []event.ComplaintCase{complaint(16, 12, 12)}}, want{"silent": false, "open_complaints": 0.0}},
		{"late events are not known yet", event.Timeline{Customer: signedUp(400),
			Engagements: []event.EngagementEvent{{At: ago(2), Recorded: ago(-1)}}}, want{"days_since_engagement": nil, "usage_trend": 0.0}},
		{"two clocks of complaints", event.Timeline{Customer: signedUp(400), Complaints: []event.ComplaintCase{
			complaint(9, nan, 0), complaint(8, 3, 3), complaint(7, 3, -1), {At: ago(1), Recorded: ago(-1), ResolvedAt: event.Never, ResolvedKnown: event.Never}}},
			want{"open_complaints": 2.0}},
		{"payments", event.Timeline{Customer: signedUp(400), Payments: []event.PaymentCase{
			failed(due(200), 199), failed(due(20), 19), failed(paid(30, 10), 31), due(10), due(-1)}},
			want{"failed_payments": 1.0, "overdue_payments": 2.0}},
		{"surveyed", event.Timeline{Customer: signedUp(400), Contacts: []event.ContactEvent{
			{At: ago(50), Recorded: ago(50), Action: "survey"}, {At: ago(5), Recorded: ago(5), Action: "bundle"}}}, want{"days_since_survey": 50.0}},
		{"left", event.Timeline{Customer: left(12), Engagements: engagements(5)}, want{"lifecycle": "churned", "days_since_churn": 12.0}},
		{"will leave", event.Timeline{Customer: left(-12), Engagements: engagements(5)}, want{"lifecycle": "growing", "days_since_churn": nil}},
		{"birthday", event.Timeline{Customer: attribute(signedUp(400), "birthday", "1970-03-01")}, want{"is_birthday": true, "is_anniversary": false}},
		{"birthday without a year", event.Timeline{Customer: attribute(signedUp(400), "birthday", "03-02")}, want{"is_birthday": false}},
		{"birthday nobody can read", event.Timeline{Customer: attribute(signedUp(400), "birthday", "1.3.70")}, want{"is_birthday": nil}},
		{"anniversary", event.Timeline{Customer: signedUp(365)}, want{"is_anniversary": true}},
		{"signed up today", event.Timeline{Customer: signedUp(0.1)}, want{"is_anniversary": false, "activation": 0.0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := FactsOf(&c.tl, now)
			for name, want := range c.want {
				switch got := reflect.ValueOf(f).Field(factNumber[name]).Interface(); {
				case want == nil && f.Known(name):
					t.Errorf("%s is %v, want unknown", name, got)
				case want != nil && !f.Known(name):
					t.Errorf("%s is unknown, want %v", name, want)
				case want != nil && got != want:
					t.Errorf("%s is %v, want %v", name, got, want)
				}
			}
		})
	}
}

func TestFactsOfAbsentStreams(t *testing.T) {
	tl := &event.Timeline{Customer: event.Customer{ID: "c", SignedUpAt: ago(400), ChurnedAt: event.Never},
		Engagements: engagements(36, 29, 22, 15), Payments: []event.PaymentCase{due(10)}}
	for stream, facts := range map[event.Stream][]string{
		event.Engagements: {"activation", "usage_trend", "silent", "days_since_engagement"},
		event.Complaints:  {"open_complaints", "silent"},
		event.Payments:    {"failed_payments", "overdue_payments"},
		event.Contacts:    {"days_since_survey"},
	} {
		all, without := FactsOf(tl, now), FactsOf(tl, now, stream)
		for _, name := range facts {
			if !all.Known(name) || without.Known(name) {
				t.Errorf("%s: known %v, without %s %v", name, all.Known(name), stream, without.Known(name))
			}
		}
	}
	if f := FactsOf(tl, now, event.Engagements, event.Payments); f.Known("lifecycle") {
		t.Error("lifecycle known without engagement and payments")
	}
}

func TestLeapDay(t *testing.T) {
	for _, c := range []struct {
		today string
		want  bool
	}{{"2024-02-29", true}, {"2024-02-28", false}, {"2025-02-28", true}, {"2025-03-01", false}, {"2100-02-28", true}} {
		today, err := time.Parse(time.DateOnly, c.today)
		if err != nil {
			t.Fatal(err)
		}
		if got := sameDay(time.February, 29, today); got != c.want {
			t.Errorf("29 February on %s: %v", c.today, got)
		}
	}
}

// TestFactsIgnoreTheFuture: events that happen, or become known, at t or later
// change nothing at t.
func TestFactsIgnoreTheFuture(t *testing.T) {
	past := event.Timeline{Customer: event.Customer{ID: "c", SignedUpAt: ago(400), ChurnedAt: event.Never},
		Engagements: engagements(36, 29, 22, 15), Complaints: []event.ComplaintCase{complaint(5, nan, 0)}, Payments: []event.PaymentCase{paid(40, 10), due(10)}}
	future := past
	future.Customer.ChurnedAt = ago(-9)
	future.Engagements = append(engagements(36, 29, 22, 15), engagements(0, -1)...)
	future.Engagements = append(future.Engagements, event.EngagementEvent{At: ago(1), Recorded: now})
	future.Complaints = []event.ComplaintCase{complaint(5, 0, 0), complaint(0, nan, 0)}
	late := due(10)
	late.PaidAt, late.PaidKnown = ago(1), now
	future.Payments = []event.PaymentCase{paid(40, 10), failed(late, 0), paid(-1, 99)}
	future.Contacts = []event.ContactEvent{{At: now, Recorded: now, Action: "survey"}}
	// What was corrected or cancelled before t is not there, what will be still is.
	future.Engagements[3].Superseded = now
	gone := event.EngagementEvent{At: ago(3), Recorded: ago(3), Superseded: ago(1)}
	future.Engagements = append(future.Engagements, event.EngagementEvent{At: ago(2), Recorded: now}, gone)
	void, unpaid, paidTwice := complaint(4, nan, 0), due(20), paid(15, 50)
	void.Superseded, unpaid.Superseded, paidTwice.Superseded = ago(1), ago(1), ago(1)
	future.Complaints = append(future.Complaints, void)
	future.Payments = append(future.Payments, unpaid, paidTwice)
	future.Contacts = append(future.Contacts, event.ContactEvent{At: ago(8), Recorded: ago(8), Action: "survey", Superseded: ago(7)})
	e := DefaultEconomics()
	if a, b := FactsOf(&past, now), FactsOf(&future, now); a != b {
		t.Errorf("facts changed:\n%+v\n%+v", a, b)
	}
	if a, b := e.Value(&past, now, 0.2, 90), e.Value(&future, now, 0.2, 90); a != b {
		t.Errorf("value changed: %v, %v", fmt.Sprint(a), fmt.Sprint(b))
	}
}
