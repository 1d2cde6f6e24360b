package features

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"churn/event"
)

// observed lists the events of a customer with so many engagements in the 700
// days before base, one payment for twenty of them, in order.
func observed(r *rand.Rand, engagements int) []event.Event {
	var events []event.Event
	for i := range engagements + engagements/20 {
		at := base.Add(-event.Duration(r.Int64N(int64(700 * event.Day))))
		e := event.Event{ID: fmt.Sprintf("%032x", i), Customer: "c", Type: event.Engagement, At: at, Recorded: at,
			Kind: []string{"login", "view", "search", "export", "share"}[r.IntN(5)], Value: event.Amount(r.IntN(100)) * event.Unit, HasValue: true}
		if i >= engagements {
			e.Type, e.Kind = event.PaymentPaid, "EUR"
		}
		events = append(events, e)
	}
	slices.SortFunc(events, inOrder)
	return events
}

func stateOf(events []event.Event) *State {
	c := event.Customer{ID: "c", SignedUpAt: event.Never, ChurnedAt: event.Never}
	return NewState(event.NewTimeline(c, slices.Clone(events)), slices.Clone(events))
}

// BenchmarkObserve takes one engagement that comes last, or among the last
// hundred, as events of one day do; or as far back after the history was given
// out, which is copied when it is given out again: the time of both, and of the
// event alone.
func BenchmarkObserve(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		for _, mode := range []string{"last", "late", "late, given out"} {
			b.Run(fmt.Sprintf("%s, %d events", mode, n), func(b *testing.B) {
				b.ReportAllocs()
				r := rand.New(rand.NewPCG(4, 4))
				events := observed(r, n)
				s := stateOf(events)
				e := events[len(events)-1]
				e.Type, e.Kind = event.Engagement, "view"
				var took []float64
				for i := 0; b.Loop(); i++ {
					if i%(n/2) == n/2-1 { // not ever longer
						b.StopTimer()
						s = stateOf(events)
						b.StartTimer()
					}
					if mode == "last" {
						e.At++
					} else {
						e.At = s.tl.Engagements[len(s.tl.Engagements)-1-r.IntN(100)].At + 1
					}
					if e.Recorded = e.At; mode != "late, given out" {
						s.Observe(&e)
						continue
					}
					s.Timeline()
					before := b.Elapsed()
					s.Observe(&e)
					took = append(took, float64((b.Elapsed()-before).Nanoseconds())/1000)
				}
				if slices.Sort(took); took != nil {
					b.ReportMetric(took[len(took)/2], "alone-µs")
				}
			})
		}
	}
}

// BenchmarkStateRow computes the row of a customer of whom an event came just
// before, as a server does: the last engagement, or a payment, after which all
// payments are paired anew.
func BenchmarkStateRow(b *testing.B) {
	e := catalogue(b)
	dst := make([]float32, len(e.Features()))
	for _, n := range []int{1000, 10000} {
		for _, typ := range []event.Type{event.Engagement, event.PaymentPaid} {
			b.Run(fmt.Sprintf("%s, %d events", typ, n), func(b *testing.B) {
				b.ReportAllocs()
				events := observed(rand.New(rand.NewPCG(5, 5)), n)
				s, i := stateOf(events), 0
				ev := events[len(events)-1]
				ev.Type, ev.Kind = typ, "EUR"
				var took []float64
				for b.Loop() {
					if i++; i%100 == 0 {
						b.StopTimer()
						s = stateOf(events)
						b.StartTimer()
					}
					ev.ID = fmt.Sprintf("new%09d", i)
					ev.At++
					ev.Recorded = ev.At
					before := b.Elapsed()
					s.Observe(&ev)
					if err := s.Row(e, dst, ev.At+1); err != nil {
						b.Fatal(err)
					}
					took = append(took, float64((b.Elapsed()-before).Nanoseconds())/1000)
				}
				slices.Sort(took)
				b.ReportMetric(took[len(took)*99/100], "p99-µs")
			})
		}
	}
}
