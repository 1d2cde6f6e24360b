package features

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"churn/event"
)

// busy makes a customer with so many engagements, and of payments and
// complaints the usual share (of 412 events 380, 29 and 3), over 700 days
// before base: twelve monthly rows look at all of them.
func busy(r *rand.Rand, name string, engagements int) *event.Timeline {
	who := event.Customer{ID: name, SignedUpAt: base.Add(-700 * event.Day), ChurnedAt: event.Never}
	var events []event.Event
	at := func() event.Time { return base.Add(-event.Duration(r.Int64N(int64(700 * event.Day)))) }
	add := func(id string, typ event.Type, at event.Time, kind string, value event.Amount) {
		events = append(events, event.Event{ID: id, Customer: name, Type: typ, At: at, Recorded: at, Kind: kind, Value: value, HasValue: true})
	}
	for i := range engagements {
		kind := []string{"login", "view", "search", "export", "share", "comment", "upload", "invite", "help"}[r.IntN(9)]
		add(fmt.Sprint("e", i), event.Engagement, at(), kind, event.Amount(r.IntN(100))*event.Unit/7)
	}
	for i := range (engagements*29 + 379) / 380 {
		id, due := fmt.Sprint("p", i), at()
		add(id, event.PaymentDue, due, "EUR", 20*event.Unit)
		events[len(events)-1].Recorded = due.Add(-14 * event.Day)
		if r.IntN(20) > 0 {
			add(id, event.PaymentPaid, due.Add(event.Duration(r.IntN(8)-2)*event.Day), "EUR", 20*event.Unit)
		}
	}
	for i := range (engagements*3 + 379) / 380 {
		id, opened := fmt.Sprint("c", i), at()
		add(id, event.ComplaintOpened, opened, []string{"billing", "quality"}[r.IntN(2)], event.Amount(1+r.IntN(5))*event.Unit)
		events[len(events)-1].Recorded = opened.Add(event.Duration(r.IntN(3)) * event.Day)
		if r.IntN(4) > 0 {
			add(id, event.ComplaintResolved, opened.Add(9*event.Day), "", 3*event.Unit)
		}
	}
	return event.NewTimeline(who, events)
}

// events counts what a history holds, cases with all their phases as one.
func events(tl *event.Timeline) int {
	return len(tl.Engagements) + len(tl.Complaints) + len(tl.Payments) + len(tl.Contacts)
}

// catalogue is the default set with the levels of busy histories.
func catalogue(b *testing.B) *Engine {
	b.Helper()
	c := NewCensus(Default())
	c.Add(busy(rand.New(rand.NewPCG(1, 1)), "c", 1000), base)
	return mustCompile(b, Default().Lock(c))
}

// BenchmarkRows computes twelve monthly rows of customers with 412 events; the
// oracle does the same for fewer of them.
func BenchmarkRows(b *testing.B) {
	e := catalogue(b)
	r := rand.New(rand.NewPCG(2, 2))
	var customers []*event.Timeline
	for i := range 300 {
		customers = append(customers, busy(r, fmt.Sprint(i), 380))
	}
	var times []event.Time
	for i := range 12 {
		times = append(times, base.Add(event.Duration(i-11)*30*event.Day))
	}
	dst := make([]float32, len(times)*len(e.Features()))
	b.Run("engine", func(b *testing.B) {
		b.ReportAllocs()
		var w Workspace
		n := 0
		for i := 0; b.Loop(); i++ {
			tl := customers[i%len(customers)]
			e.Rows(dst, tl, times, &w)
			n += events(tl)
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Mevents/s")
	})
	b.Run("oracle", func(b *testing.B) {
		n := 0
		for i := 0; b.Loop(); i++ {
			tl := customers[i%20]
			for _, t := range times {
				oracle(b, e, tl, t)
			}
			n += events(tl)
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Mevents/s")
	})
}

// BenchmarkRow computes one row of one customer, as a server does.
func BenchmarkRow(b *testing.B) {
	e := catalogue(b)
	dst := make([]float32, len(e.Features()))
	for _, n := range []int{100, 1000, 10000} {
		tl := busy(rand.New(rand.NewPCG(3, 3)), "c", n)
		b.Run(fmt.Sprintf("%d events", n), func(b *testing.B) {
			b.ReportAllocs()
			var took []float64
			for b.Loop() {
				before := b.Elapsed()
				e.Row(dst, tl, base)
				took = append(took, float64((b.Elapsed()-before).Nanoseconds())/1000)
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)*99/100], "p99-µs")
		})
	}
}
