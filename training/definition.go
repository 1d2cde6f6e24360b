package training

import (
	"cmp"
	"math"
	"slices"

	"churn/event"
	"churn/model"
)

// Verdict is what a definition says of a customer at a snapshot.
type Verdict uint8

// Only Stayed and Churned become observations; the others are counted.
const (
	Stayed Verdict = iota
	Churned
	// NotEligible: not a customer at t, not active, or too new.
	NotEligible
	// Censored: the window of the label ends after the data does.
	Censored
	// InGap: churned between t and the window of the label.
	InGap
	// NeverActivated: nothing happened before t, ever.
	NeverActivated
	// OtherKind: left in the window, in a way that the definition does not ask
	// about. Whether the customer would have churned is not known.
	OtherKind
	// TooLittle: not enough before t for a decline to mean anything.
	TooLittle
	// MixedCurrencies: spend in several, of which there is no sum.
	MixedCurrencies
)

var verdictNames = [...]string{"stayed", "churned", "not eligible", "censored", "churned in the gap",
	"never activated", "left in another way", "too little to decline", "spend in several currencies"}

func (v Verdict) String() string { return verdictNames[v] }

// Eligible tells whether the customer could churn at t.
func (v Verdict) Eligible() bool {
	switch v {
	case NotEligible, NeverActivated, TooLittle, MixedCurrencies:
		return false
	}
	return true
}

// span returns how long after t the verdict is known: the window of the label
// has passed, and with it what may still change the verdict, which is the grace
// after an end, or the time in which a payment of its last day may be paid.
func span(d *model.Definition) event.Duration {
	s := d.Gap + d.Horizon
	switch d.Kind {
	case "contract":
		s += d.Grace
	case "payment":
		s += d.UnpaidFor
	}
	return s
}

// Judge applies the definition at t to a whole history, of which everything
// before through is known. Labels look at [t+gap, t+gap+horizon): at churned_at
// (contract), at the payments due (payment), at any activity (inactivity), at
// how much there was (decline). Of what was corrected the last version counts,
// and what was cancelled never was.
func Judge(d *model.Definition, tl *event.Timeline, t, through event.Time) Verdict {
	v, _ := verdict(d, tl, t, through)
	return v
}

// verdict is Judge, with the kind of leaving of who churned.
func verdict(d *model.Definition, tl *event.Timeline, t, through event.Time) (Verdict, string) {
	if v := eligible(d, tl, t); v != Stayed {
		return v, ""
	}
	if t.Add(span(d)) > through {
		return Censored, ""
	}
	v := outcome(d, tl, t)
	if v != Churned {
		return v, ""
	}
	kind := leaving(d, tl, t)
	if !d.Counts(kind) {
		return OtherKind, ""
	}
	return Churned, kind
}

// outcome looks at the window of the label.
func outcome(d *model.Definition, tl *event.Timeline, t event.Time) Verdict {
	from, to := t.Add(d.Gap), t.Add(d.Gap+d.Horizon)
	switch d.Kind {
	case "contract":
		switch at := tl.Customer.ChurnedAt; {
		case at >= to:
			return Stayed
		case at >= from:
			return Churned
		}
		return InGap
	case "payment":
		for i := range tl.Payments {
			if p := &tl.Payments[i]; p.Superseded == 0 && unpaidAt(d, p) >= t && unpaidAt(d, p) < from {
				return InGap
			}
		}
		for i := range tl.Payments {
			if p := &tl.Payments[i]; p.Superseded == 0 && unpaidAt(d, p) != event.Never && p.At >= from && p.At < to {
				return Churned
			}
		}
		return Stayed
	case "decline":
		return declined(d, tl, t)
	}
	if anyActivity(d, tl, from, to) {
		return Stayed
	}
	return Churned
}

// eligible is Stayed for a customer who could churn at t, and else says why not.
func eligible(d *model.Definition, tl *event.Timeline, t event.Time) Verdict {
	first, known := firstSeen(tl), d.MinTenure
	if d.Kind == "decline" { // less than a whole baseline would say too little
		known = max(known, d.Before())
	}
	if first >= t || t.Sub(first) < known {
		return NotEligible
	}
	if d.Kind != "payment" && tl.Customer.ChurnedAt < t {
		return NotEligible // has left already
	}
	if d.NeverActivated == "exclude" && !activated(d, tl, t) {
		return NeverActivated
	}
	switch {
	case d.Kind == "payment":
		if !owes(d, tl, t) {
			return NotEligible
		}
	case d.ActiveWithin > 0 && !anyActivity(d, tl, t.Add(-d.ActiveWithin), t):
		if activated(d, tl, t) {
			return NotEligible
		}
		if d.NeverActivated != "include" {
			return NeverActivated
		}
	}
	if d.Kind == "decline" {
		return measurable(d, tl, t)
	}
	return Stayed
}

// owes tells whether the customer had something to pay before t and has not
// churned by it. Who paid anything after a payment counted as not coming is a
// customer again.
func owes(d *model.Definition, tl *event.Timeline, t event.Time) bool {
	due, churned, paid := false, event.Time(math.MinInt64), event.Time(math.MinInt64)
	for i := range tl.Payments {
		p := &tl.Payments[i]
		if p.Superseded != 0 {
			continue
		}
		due = due || p.At < t && (d.ActiveWithin == 0 || p.At >= t.Add(-d.ActiveWithin))
		if at := unpaidAt(d, p); at < t {
			churned = max(churned, at)
		}
		if p.PaidAt < t {
			paid = max(paid, p.PaidAt)
		}
	}
	return due && (churned == math.MinInt64 || paid > churned)
}

// unpaidAt is when a payment counts as not coming: UnpaidFor after it was due;
// Never for one that was paid by then.
func unpaidAt(d *model.Definition, p *event.PaymentCase) event.Time {
	if at := p.At.Add(d.UnpaidFor); p.PaidAt > at {
		return at
	}
	return event.Never
}

// firstSeen is the sign-up, or without one the first thing that happened.
func firstSeen(tl *event.Timeline) event.Time {
	if tl.Customer.SignedUpAt != event.Never {
		return tl.Customer.SignedUpAt
	}
	first := event.Never
	if i := slices.IndexFunc(tl.Engagements, func(e event.EngagementEvent) bool { return e.Superseded == 0 }); i >= 0 {
		first = min(first, tl.Engagements[i].At)
	}
	if i := slices.IndexFunc(tl.Payments, func(p event.PaymentCase) bool { return p.Superseded == 0 }); i >= 0 {
		first = min(first, tl.Payments[i].At)
	}
	return first
}

// anyActivity tells whether something of a qualifying stream happened in
// [from, to).
func anyActivity(d *model.Definition, tl *event.Timeline, from, to event.Time) bool {
	last := lastActivity(d, tl, to)
	return last != event.Never && last >= from
}

// lastActivity is the last time before to at which something of a qualifying
// stream happened; Never if nothing did. A payment shows activity when it is
// made.
func lastActivity(d *model.Definition, tl *event.Timeline, to event.Time) event.Time {
	last := event.Never
	later := func(at event.Time) {
		if at < to && (last == event.Never || at > last) {
			last = at
		}
	}
	if d.Qualifies("engagement") {
		i, _ := slices.BinarySearchFunc(tl.Engagements, to, func(e event.EngagementEvent, t event.Time) int {
			return cmp.Compare(e.At, t)
		})
		for i--; i >= 0; i-- {
			if tl.Engagements[i].Superseded == 0 {
				later(tl.Engagements[i].At)
				break
			}
		}
	}
	if d.Qualifies("payments") {
		for i := range tl.Payments {
			if tl.Payments[i].Superseded == 0 {
				later(tl.Payments[i].PaidAt)
			}
		}
	}
	return last
}
