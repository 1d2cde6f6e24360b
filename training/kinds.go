package training

import (
	"math"
	"math/big"

	"churn/event"
	"churn/model"
)

// leaving is how a customer left who churned in the window after t: by what the
// record of the customer says, and without one by what was seen. Who never was
// active before t is that before anything else.
func leaving(d *model.Definition, tl *event.Timeline, t event.Time) string {
	if !activated(d, tl, t) {
		return model.NeverActivated
	}
	at := tl.Customer.ChurnedAt
	recorded := at >= t && at < t.Add(span(d))
	if recorded {
		if kind := d.KindOf(tl.Customer.ChurnReason); kind != "" {
			return kind
		}
	}
	switch {
	case d.Kind == "payment" || recorded && owed(d, tl, at):
		return model.Involuntary
	case recorded:
		return model.Voluntary
	case d.Kind == "decline" && anyActivity(d, tl, t.Add(d.Gap), t.Add(d.Gap+d.Horizon)):
		return model.Declined
	}
	return model.Lapsed
}

// activated tells whether the customer was ever active before t.
func activated(d *model.Definition, tl *event.Timeline, t event.Time) bool {
	return anyActivity(d, tl, math.MinInt64, t)
}

// overdueFor is how long a payment must be overdue for a leaving to be
// involuntary where the definition says nothing. Models that say nothing mean
// it too.
const overdueFor = 14 * event.Day

// owed tells whether the customer left with a payment that had failed, or had
// been overdue for UnpaidFor, and since whose due date nothing was paid.
func owed(d *model.Definition, tl *event.Timeline, left event.Time) bool {
	overdue, paid := d.UnpaidFor, event.Time(math.MinInt64)
	if overdue == 0 {
		overdue = overdueFor
	}
	for i := range tl.Payments {
		if p := &tl.Payments[i]; p.Superseded == 0 && p.PaidAt < left {
			paid = max(paid, p.PaidAt)
		}
	}
	for i := range tl.Payments {
		p := &tl.Payments[i]
		if p.Superseded == 0 && p.PaidAt >= left && p.At > paid && (p.FailedAt < left || p.At.Add(overdue) <= left) {
			return true
		}
	}
	return false
}

// measurable is Stayed for a customer with enough before t to decline from.
func measurable(d *model.Definition, tl *event.Timeline, t event.Time) Verdict {
	before, _, mixed := d.Measured(tl, t.Add(-d.Before()), t, event.Never)
	switch {
	case mixed:
		return MixedCurrencies
	case before < d.Least:
		return TooLittle
	}
	return Stayed
}

// declined compares the window of the label with the time before t, by the day
// where they are of different length. Who leaves has declined, whatever was
// paid until then.
func declined(d *model.Definition, tl *event.Timeline, t event.Time) Verdict {
	from, to := t.Add(d.Gap), t.Add(d.Gap+d.Horizon)
	switch at := tl.Customer.ChurnedAt; {
	case at < from:
		return InGap
	case at < to:
		return Churned
	}
	before, usual, _ := d.Measured(tl, t.Add(-d.Before()), t, event.Never)
	after, currency, mixed := d.Measured(tl, from, to, event.Never)
	if mixed || usual != "" && currency != "" && usual != currency {
		return MixedCurrencies
	}
	// after / horizon <= (1 - drop) * before / baseline, in whole numbers.
	x := product(int64(after), int64(d.Before()), int64(event.Unit))
	y := product(int64(before), int64(d.Horizon), int64(event.Unit-d.Drop))
	if x.Cmp(y) <= 0 {
		return Churned
	}
	return Stayed
}

func product(factors ...int64) *big.Int {
	p := big.NewInt(1)
	for _, f := range factors {
		p.Mul(p, big.NewInt(f))
	}
	return p
}
