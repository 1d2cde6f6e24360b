package outreach

import (
	"math"
	"slices"
	"testing"

	"churn/event"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// TestResidual: m·r/(1+d−r) = 10·0.9/0.11 = 81.81818 (by hand), however many
// months are summed one by one before the closed form takes over.
func TestResidual(t *testing.T) {
	for _, months := range []int{0, 1, 2, 12, 120, 1000} {
		if got := Residual(10, slices.Repeat([]float64{0.1}, months), 0.1, 0.01); !near(got, 81.8181818181818, 1e-9) {
			t.Errorf("%d months: %v", months, got)
		}
	}
	// Two months at h 0.5 and 0.2, then nobody stays:
	// 10·0.5/1.1 + 10·0.5·0.8/1.21 = 4.5454545 + 3.3057851 (by hand).
	if got := Residual(10, []float64{0.5, 0.2}, 1, 0.1); !near(got, 7.8512396694, 1e-9) {
		t.Errorf("hazards: %v", got)
	}
	if got := Residual(10, nil, 0, 0.01); !near(got, 1000, 1e-9) { // a perpetuity, m/d
		t.Errorf("perpetuity: %v", got)
	}
	if got := Residual(10, nil, 1, 0.01); got != 0 {
		t.Errorf("who leaves at once: %v", got)
	}
}

func TestMonthlyHazard(t *testing.T) {
	for _, c := range []struct {
		p    float64
		days int
		want float64
	}{
		{0.271, 90, 0.1}, // 1 − 0.9³
		{0.1, 30, 0.1},
		{0.1, 15, 0.19}, // 1 − 0.9²
		{0, 90, 0}, {1, 90, 1},
	} {
		if got := MonthlyHazard(c.p, c.days); !near(got, c.want, 1e-12) {
			t.Errorf("p %v in %d days: %v, want %v", c.p, c.days, got, c.want)
		}
	}
}

func TestValue(t *testing.T) {
	customer := event.Customer{ID: "c", SignedUpAt: ago(400), ChurnedAt: event.Never}
	monthly := func(amount int64) (ps []event.PaymentCase) { // six in 180 days, and older ones
		for d := 305.0; d > 0; d -= 30 {
			ps = append(ps, paid(d, amount))
		}
		return ps
	}
	in := func(currency string, p event.PaymentCase) event.PaymentCase { p.Currency = currency; return p }
	refunded := paid(10, 50)
	refunded.RefundedAt, refunded.RefundedKnown = ago(1), ago(1)
	refundedLater := paid(10, 50)
	refundedLater.RefundedAt, refundedLater.RefundedKnown = ago(1), ago(-1)
	fresh, left := customer, customer
	fresh.SignedUpAt = ago(3)
	left.ChurnedAt = ago(150)
	e := DefaultEconomics() // margin 0.3, discount 0.01, returned hazard 0.1
	euro, fallback, noReturn := e, e, e
	euro.Currency, fallback.DefaultMonthlyValue, noReturn.ReturnedHazard = "EUR", 7, 0
	for _, c := range []struct {
		name     string
		e        Economics
		customer event.Customer
		payments []event.PaymentCase
		risk     float64
		want     Value
	}{
		// 20 a month at 30 % is 6; h is 0.1 by 0.271 in 90 days; 6·0.9/0.11.
		{"monthly payer", e, customer, monthly(20), 0.271, Value{6, 49.0909090909, true, "payments"}},
		{"who surely leaves", e, customer, monthly(20), 1, Value{6, 0, true, "payments"}},
		{"no payments", e, customer, nil, 0.2, Value{Basis: "no payments"}},
		{"only due", e, customer, []event.PaymentCase{due(20)}, 0.2, Value{Basis: "no payments"}},
		{"no payments, default", fallback, customer, nil, 0.271, Value{7, 57.2727272727, true, "default"}},
		{"long ago is zero, not unknown", fallback, customer, []event.PaymentCase{paid(181, 20)}, 0.2, Value{0, 0, true, "payments"}},
		{"no risk", fallback, customer, monthly(20), nan, Value{Basis: "no churn probability"}},
		{"not a risk", fallback, customer, monthly(20), 1.2, Value{Basis: "no churn probability"}},
		// Three days of tenure count as a month: 10·0.3, not 100·0.3.
		{"first payment", e, fresh, []event.PaymentCase{paid(2, 10)}, 0.271, Value{3, 24.5454545455, true, "payments"}},
		// 60 in 180 days; the refunded 50 are gone; 10 a month at 30 %.
		{"refund", e, customer, []event.PaymentCase{refunded, paid(20, 60)}, 0.271, Value{3, 24.5454545455, true, "payments"}},
		{"refund not known yet", e, customer, []event.PaymentCase{refundedLater}, 1, Value{2.5, 0, true, "payments"}},
		{"currencies mixed", e, customer, []event.PaymentCase{in("EUR", paid(9, 1)), in("USD", paid(8, 1))}, 0.2,
			Value{Basis: "payments in several currencies: set economics.currency"}},
		{"other currency", euro, customer, []event.PaymentCase{in("EUR", paid(9, 60)), in("USD", paid(8, 900))}, 1, Value{3, 0, true, "payments"}},
		{"only other currency", euro, customer, []event.PaymentCase{in("USD", paid(8, 900))}, 0.2, Value{Basis: "no payments in EUR"}},
		// Left 150 days ago: the six payments of the 180 days before that.
		{"left", e, left, monthly(20), nan, Value{6, 49.0909090909, true, "payments"}},
		{"left, no hazard", noReturn, left, monthly(20), nan, Value{Basis: "no hazard for customers won back: set economics.returned_hazard"}},
		{"overflow", e, customer, []event.PaymentCase{{PaidAt: ago(2), PaidKnown: ago(2), Amount: math.MaxInt64, RefundedAt: event.Never},
			{PaidAt: ago(1), PaidKnown: ago(1), Amount: 1, RefundedAt: event.Never}}, 0.2, Value{Basis: "payments too large to add up"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.e.Value(&event.Timeline{Customer: c.customer, Payments: c.payments}, now, c.risk, 90)
			if !near(got.Monthly, c.want.Monthly, 1e-9) || !near(got.Residual, c.want.Residual, 1e-9) ||
				got.Known != c.want.Known || got.Basis != c.want.Basis {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestCoreValue(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{1, 60, 4, 25, 10, -50, nan, 0}, 25}, // 60+25 of 100 reach 80
		{[]float64{60, 20, 20}, 20},
		{nil, 0}, {[]float64{-1}, 0},
	} {
		if got := CoreValue(c.values, 0.8); got != c.want {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
}
