package outreach

import (
	"fmt"
	"slices"

	"churn/event"
)

// BreakEven is the least churn probability at which an action pays.
type BreakEven struct {
	Action      string
	Probability float64 // of churn within the horizon
	Cost        float64 // expected at it, contact and incentive
}

// ProfitBands are the churn probabilities from which the cheapest and from
// which the dearest of the actions that can pay does pay, for a customer with
// the given monthly margin: the lower one first. The numbers are those of
// [Recommender.Decide], the value included, which falls as the risk rises: an
// action may cost more than such a customer is worth at any risk, and then
// cannot pay. Conditions, consent and the other gates are left out, for they
// are no matter of the probability alone; so are actions for who has left.
func (r *Recommender) ProfitBands(monthly float64, horizonDays int) (medium, high BreakEven, err error) {
	if horizonDays <= 0 {
		return medium, high, fmt.Errorf("a churn probability without a horizon has no value")
	}
	found := false
	for i := range r.policy.Playbook.Actions {
		b, ok := r.breakEven(&r.policy.Playbook.Actions[i], monthly, horizonDays)
		if !ok {
			continue
		}
		if !found || b.Cost < medium.Cost {
			medium = b
		}
		if !found || b.Cost > high.Cost {
			high = b
		}
		found = true
	}
	if !found {
		return medium, high, fmt.Errorf("no action of the playbook pays at any churn probability for a customer with a monthly margin of %.2f", monthly)
	}
	if medium.Probability > high.Probability {
		medium, high = high, medium
	}
	return medium, high, nil
}

// breakEven finds the least probability at which the action is better than
// nothing, or says that there is none.
func (r *Recommender) breakEven(a *Action, monthly float64, horizonDays int) (BreakEven, bool) {
	if a.Target != Active {
		return BreakEven{}, false
	}
	at := func(p float64) Option {
		c := Candidate{Risk: p, HorizonDays: horizonDays, Value: Value{Monthly: monthly, Known: true,
			Residual: Residual(monthly, nil, MonthlyHazard(p, horizonDays), r.policy.Economics.DiscountMonthly)}}
		return r.appraise(a, a.Channels[0], &c)
	}
	pays := func(p float64) bool {
		o := at(p)
		return o.Tau > 0 && o.ExpectedNetValue > 0
	}
	// What pays at one risk need not at a higher one, so the first step at which
	// it pays is looked for before it is narrowed down.
	const steps = 10_000
	for k := 1; k <= steps; k++ {
		if !pays(float64(k) / steps) {
			continue
		}
		lo, hi := float64(k-1)/steps, float64(k)/steps
		for range 40 {
			if mid := (lo + hi) / 2; pays(mid) {
				hi = mid
			} else {
				lo = mid
			}
		}
		return BreakEven{a.ID, hi, at(hi).ExpectedCost}, true
	}
	return BreakEven{}, false
}

// Margins gathers the monthly margins of customers, to find the median one.
type Margins struct {
	Economics Economics

	known      []float64
	unknown    int
	why        string // of the first unknown one
	currencies []string
}

// Add takes a customer's margin as of t.
func (m *Margins) Add(tl *event.Timeline, t event.Time) {
	for i := range tl.Payments {
		if p := &tl.Payments[i]; p.Currency != "" && event.Visible(p.PaidAt, p.PaidKnown, t) && event.Stands(p.Superseded, t) && !slices.Contains(m.currencies, p.Currency) {
			m.currencies = append(m.currencies, p.Currency)
		}
	}
	// The margin does not depend on the risk; any will do.
	if v := m.Economics.Value(tl, t, 0, 1); v.Known {
		m.known = append(m.known, v.Monthly)
	} else {
		if m.unknown++; m.why == "" {
			m.why = v.Basis
		}
	}
}

// Median is the median margin of the customers of whom one is known, and how
// many they are. It is an error where there are none, or where the margins are
// in different currencies.
func (m *Margins) Median() (median float64, customers int, err error) {
	n := len(m.known)
	switch {
	case m.Economics.Currency == "" && len(m.currencies) > 1:
		slices.Sort(m.currencies)
		return 0, 0, fmt.Errorf("payments in several currencies, such as %s and %s: set economics.currency", m.currencies[0], m.currencies[1])
	case n == 0 && m.unknown == 0:
		return 0, 0, fmt.Errorf("there are no customers to take the value from: set economics.default_monthly_value")
	case n == 0:
		return 0, 0, fmt.Errorf("no customer's value is known (%s): set economics.default_monthly_value", m.why)
	}
	slices.Sort(m.known)
	return (m.known[(n-1)/2] + m.known[n/2]) / 2, n, nil
}
