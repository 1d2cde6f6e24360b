package outreach

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"churn/event"
)

// TestBreakEven: with a horizon of a month, no harm and no offer, an action pays
// from where p·γ·L(p)/(1+d) = f with L = m(1−p)/(d+p). For m = 10, d = 0.01,
// γ = 0.5, f = 1 that is 4.9504950·p(1−p) = 0.01 + p, so p² − 0.798·p +
// 0.00202 = 0: p = 0.0025394 (by hand).
func TestBreakEven(t *testing.T) {
	r := recommender(t, func(p *Policy) {
		p.Playbook = playbookOf(t,
			"id: note, when: 'true', channels: [email], cost: 1, save: 0.5, harm: {mean: 0}",
			"id: gold, when: 'true', channels: [phone], cost: 1000, save: 0.5, harm: {mean: 0}",
			"id: back, when: 'true', target: churned, channels: [mail], cost: 0.1, save: 0.5")
	})
	medium, high, err := r.ProfitBands(10, 30)
	if err != nil || medium.Action != "note" || high != medium || !near(medium.Probability, 0.0025394, 1e-6) || medium.Cost != 1 {
		t.Errorf("%+v, %+v, %v", medium, high, err)
	}
	if _, _, err := r.ProfitBands(0.01, 30); err == nil || !strings.Contains(err.Error(), "no action of the playbook pays") {
		t.Errorf("who is worth nothing: %v", err)
	}
	if _, _, err := r.ProfitBands(10, 0); err == nil {
		t.Error("no horizon, and no error")
	}
}

// TestProfitBandsAreDecides: at the break-even the net value that Decide gives
// with the value of payments goes from negative to positive, and no action that
// can pay is cheaper or dearer there.
func TestProfitBandsAreDecides(t *testing.T) {
	rnd := rand.New(rand.NewPCG(21, 22))
	tried := 0
	for range 60 {
		amount, days := int64(10+rnd.IntN(2000)), 10+rnd.IntN(170)
		tl := &event.Timeline{Customer: event.Customer{ID: "c", SignedUpAt: ago(400), ChurnedAt: event.Never}, Payments: []event.PaymentCase{paid(90, amount)}}
		r := recommender(t, nil)
		decide := func(p float64) Decision {
			c := happyCandidate()
			c.Risk, c.HorizonDays = p, days
			c.Value = r.policy.Economics.Value(tl, now, p, days)
			return r.Decide(c)
		}
		m := Margins{Economics: r.policy.Economics}
		m.Add(tl, now)
		monthly, n, err := m.Median()
		if err != nil || n != 1 || !near(monthly, float64(amount)*30/180*0.3, 1e-9) {
			t.Fatalf("median %v of %d, %v", monthly, n, err)
		}
		medium, high, err := r.ProfitBands(monthly, days)
		if err != nil {
			continue
		}
		if medium.Probability > high.Probability {
			t.Errorf("%+v above %+v", medium, high)
		}
		for _, b := range []BreakEven{medium, high} {
			for p := b.Probability - 1e-7; p > 0; p -= 0.01 {
				if before, ok := option(decide(p), b.Action); ok && before.ExpectedNetValue > 0 {
					t.Errorf("%+v pays below it: %+v", b, before)
				}
			}
			after, okAfter := option(decide(b.Probability+1e-7), b.Action)
			if okAfter { // its condition may not hold
				tried++
				if after.ExpectedNetValue <= 0 || after.ExpectedNetValue > 1e-2 || !near(after.ExpectedCost, b.Cost, 1e-4) {
					t.Errorf("%+v does not begin to pay at it: %+v", b, after)
				}
			}
		}
		// Nothing that can pay is cheaper or dearer.
		cheapest, dearest := math.Inf(1), 0.0
		for i := range r.policy.Playbook.Actions {
			if b, ok := r.breakEven(&r.policy.Playbook.Actions[i], monthly, days); ok {
				cheapest, dearest = min(cheapest, b.Cost), max(dearest, b.Cost)
			}
		}
		if low, top := min(medium.Cost, high.Cost), max(medium.Cost, high.Cost); low != cheapest || top != dearest {
			t.Errorf("costs %v and %v, want %v and %v", low, top, cheapest, dearest)
		}
	}
	if tried < 20 {
		t.Errorf("only %d break-evens were seen by Decide", tried)
	}
}

func TestMargins(t *testing.T) {
	pay := func(currency string, amounts ...int64) (tls []*event.Timeline) {
		for _, a := range amounts {
			p := paid(90, a)
			p.Currency = currency
			tls = append(tls, &event.Timeline{Customer: event.Customer{ID: "c", SignedUpAt: ago(400), ChurnedAt: event.Never}, Payments: []event.PaymentCase{p}})
		}
		return tls
	}
	nobody := &event.Timeline{Customer: event.Customer{ID: "c", SignedUpAt: ago(400), ChurnedAt: event.Never}}
	euro, fallback := DefaultEconomics(), DefaultEconomics()
	euro.Currency, fallback.DefaultMonthlyValue = "EUR", 7
	for _, c := range []struct {
		name   string
		e      Economics
		tls    []*event.Timeline
		median float64
		n      int
		want   string // in the error
	}{
		// 60 in 180 days is 10 a month, of which 30 % are left.
		{"three", DefaultEconomics(), pay("", 600, 60, 120), 6, 3, ""},
		{"two", DefaultEconomics(), pay("EUR", 60, 120), 4.5, 2, ""},
		{"the unknown are left out", DefaultEconomics(), append(pay("", 60), nobody, nobody), 3, 1, ""},
		{"the unknown have the default", fallback, append(pay("", 60), nobody, nobody), 7, 3, ""},
		{"other currencies are left out", euro, append(pay("EUR", 60), pay("USD", 600, 600)...), 3, 1, ""},
		{"currencies of several customers", DefaultEconomics(), append(pay("EUR", 60), pay("USD", 600)...), 0, 0, "such as EUR and USD: set economics.currency"},
		{"nobody pays", DefaultEconomics(), []*event.Timeline{nobody}, 0, 0, "(no payments): set economics.default_monthly_value"},
		{"nobody", DefaultEconomics(), nil, 0, 0, "no customers to take the value from: set economics.default_monthly_value"},
	} {
		m := Margins{Economics: c.e}
		for _, tl := range c.tls {
			m.Add(tl, now)
		}
		median, n, err := m.Median()
		if !near(median, c.median, 1e-9) || n != c.n || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v of %d, %v; want %v of %d, %q", c.name, median, n, err, c.median, c.n, c.want)
		}
	}
}
