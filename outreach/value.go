package outreach

import (
	"fmt"
	"math"
	"slices"

	"churn/event"
)

// A month is 30 days here: days are 24-hour buckets, and so a month is a whole
// number of them.
const monthDays = 30

// Economics is what turns payments into value.
type Economics struct {
	// Currency of all money. Payments in another are left out; empty takes
	// payments as long as they agree among themselves.
	Currency string
	// MarginRate is the share of a payment that is left after serving the
	// customer, above 0 to 1.
	MarginRate float64
	// DiscountMonthly is the rate at which later money is worth less, a month;
	// above 0 to 1.
	DiscountMonthly float64
	// DefaultMonthlyValue is the monthly margin of a customer of whom no
	// payment is known; 0 leaves their value unknown.
	DefaultMonthlyValue float64
	// ReturnedHazard is the monthly hazard of a customer won back, for whom no
	// churn probability exists; 0 leaves their value unknown.
	ReturnedHazard float64
	// CoreValue is the residual value from which a customer is one of the core
	// ([CoreValue] finds it); 0 leaves is_core unknown.
	CoreValue float64
}

// DefaultEconomics discounts by 1 % a month, takes 30 % of a payment as margin
// and loses 10 % a month of those who came back. The last two are assumptions:
// put in your own.
func DefaultEconomics() Economics {
	return Economics{MarginRate: 0.3, DiscountMonthly: 0.01, ReturnedHazard: 0.1}
}

// Validate reports the first thing wrong.
func (e *Economics) Validate() error {
	for _, c := range []struct {
		name         string
		v, low, high float64
	}{
		{"margin_rate", e.MarginRate, math.SmallestNonzeroFloat64, 1},
		{"discount_monthly", e.DiscountMonthly, math.SmallestNonzeroFloat64, 1},
		{"default_monthly_value", e.DefaultMonthlyValue, 0, maxMoney},
		{"returned_hazard", e.ReturnedHazard, 0, 1},
		{"core_value", e.CoreValue, 0, math.MaxFloat64},
	} {
		if err := checkRange("economics."+c.name, c.v, c.low, c.high); err != nil {
			return err
		}
	}
	return nil
}

// Value is what a customer is expected to bring, in money.
type Value struct {
	Monthly  float64 `json:"monthly"`  // margin a month
	Residual float64 `json:"residual"` // all margin still expected, discounted to now
	Known    bool    `json:"known"`
	// Basis is "payments", or "default" where the configured default stands
	// in; where the value is not known it says why.
	Basis string `json:"basis"`
}

// Value estimates the residual value at t of a customer who leaves within
// horizonDays with probability risk. The monthly margin is what was paid in
// the last 180 days, or in the tenure where that is shorter but at least one
// month, a month, times the margin rate; refunded payments do not count. For
// who has left, the months before leaving are taken, and the hazard of those
// who return. Only what was visible at t is used.
func (e *Economics) Value(tl *event.Timeline, t event.Time, risk float64, horizonDays int) Value {
	churned := tl.Customer.ChurnedAt < t
	hazard := e.ReturnedHazard
	switch {
	case churned && hazard == 0:
		return Value{Basis: "no hazard for customers won back: set economics.returned_hazard"}
	case churned:
	case !(risk >= 0 && risk <= 1) || horizonDays <= 0:
		return Value{Basis: "no churn probability"}
	default:
		hazard = MonthlyHazard(risk, horizonDays)
	}
	v := Value{Known: true, Basis: "payments"}
	paid, why := e.monthlyPaid(tl, t)
	switch {
	case why == "":
		v.Monthly = paid * e.MarginRate
	case e.DefaultMonthlyValue > 0:
		v.Monthly, v.Basis = e.DefaultMonthlyValue, "default"
	default:
		return Value{Basis: why}
	}
	v.Residual = Residual(v.Monthly, nil, hazard, e.DiscountMonthly)
	return v
}

// monthlyPaid is the mean of what was paid a month, or why it is not known.
func (e *Economics) monthlyPaid(tl *event.Timeline, t event.Time) (float64, string) {
	h := &history{Timeline: tl, t: t}
	start, ok := h.tenureStart()
	end := min(t, tl.Customer.ChurnedAt)
	from := end.Add(-recentDays * event.Day)
	var sum event.Amount
	seen, currency := false, e.Currency
	for i := range tl.Payments {
		p := &tl.Payments[i]
		if !h.seen(p.PaidAt, p.PaidKnown, p.Superseded) {
			continue
		}
		if currency == "" {
			currency = p.Currency
		}
		if p.Currency != "" && p.Currency != currency {
			if e.Currency == "" {
				return 0, "payments in several currencies: set economics.currency"
			}
			continue
		}
		seen = true
		if p.PaidAt < from || p.PaidAt >= end || event.Visible(p.RefundedAt, p.RefundedKnown, t) {
			continue
		}
		if p.Amount > math.MaxInt64-sum {
			return 0, "payments too large to add up"
		}
		sum += p.Amount
	}
	if !seen || !ok {
		if e.Currency != "" {
			return 0, fmt.Sprintf("no payments in %s", e.Currency)
		}
		return 0, "no payments"
	}
	days := min(max(end.Sub(start).Days(), monthDays), recentDays)
	return sum.Float() * monthDays / days, ""
}

// MonthlyHazard is the probability of leaving within a month that gives the
// probability p of leaving within so many days.
func MonthlyHazard(p float64, days int) float64 {
	return -math.Expm1(math.Log1p(-p) * monthDays / float64(days))
}

// Residual is the present value of a margin paid at the end of every month
// while the customer stays,
//
//	Σ_{t≤H} m·S_t/(1+d)^t + m·S_H/(1+d)^H · r/(1+d−r),   S_t = Π(1−h_t)
//
// with the hazards h of the first H months, and r = 1 − tail the monthly
// retention for ever after. The discount d must be above 0.
func Residual(margin float64, hazards []float64, tail, discount float64) float64 {
	sum, survival, present := 0.0, 1.0, 1.0
	for _, h := range hazards {
		survival *= 1 - h
		present /= 1 + discount
		sum += float64(margin * survival * present)
	}
	r := 1 - tail
	return sum + float64(margin*survival*present*r/(1+discount-r))
}

// CoreValue is the smallest residual value within the core: the fewest
// customers who together hold the given share of all positive value (0.8 is
// usual). It is 0 where nobody has positive value.
func CoreValue(residuals []float64, share float64) float64 {
	var values []float64
	total := 0.0
	for _, v := range residuals {
		if v > 0 && !math.IsInf(v, 0) {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	for _, v := range values { // in sorted order: the sum is that of the set
		total += v
	}
	held := 0.0
	for i := len(values) - 1; i >= 0; i-- {
		if held += values[i]; held >= share*total {
			return values[i]
		}
	}
	return 0
}
