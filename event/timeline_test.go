package event

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestNewTimeline pairs phases that are given in reverse order.
func TestNewTimeline(t *testing.T) {
	ev := func(id string, typ Type, at, recorded Time, value Amount) Event {
		return Event{ID: id, Customer: "a", Type: typ, At: at, Recorded: recorded, Kind: "k", Value: value, HasValue: true}
	}
	events := []Event{
		ev("c1", ComplaintResolved, 10, 30, 4), // resolved in the instant it was opened
		ev("c1", ComplaintOpened, 10, 30, 2),
		ev("c2", ComplaintOpened, 5, 5, 1),
		ev("c9", ComplaintResolved, 6, 6, 1), // no complaint
		ev("p1", PaymentPaid, 90, 91, 7),     // before it was due
		ev("p1", PaymentDue, 100, 50, 7),
		ev("p2", PaymentRefunded, 300, 301, 7),
		ev("p2", PaymentPaid, 200, 201, 7), // on the spot
		ev("p3", PaymentFailed, 110, 111, 7),
		ev("p3", PaymentDue, 95, 95, 7),
		ev("p8", PaymentFailed, 1, 1, 7), // no payment
		ev("p9", PaymentRefunded, 1, 1, 7),
		ev("c1", Engagement, 3, 4, 1), // an id may repeat in another stream
		ev("e1", Engagement, 3, 3, 0),
		ev("n1", Contact, 1, 2, 3),
	}
	got := NewTimeline(Customer{ID: "a"}, events)
	want := &Timeline{
		Customer: Customer{ID: "a"},
		Engagements: []EngagementEvent{
			{At: 3, Recorded: 3, Kind: "k", HasValue: true}, {At: 3, Recorded: 4, Kind: "k", Value: 1, HasValue: true}},
		Complaints: []ComplaintCase{
			{ID: "c2", At: 5, Recorded: 5, Category: "k", Severity: 1, HasSeverity: true, ResolvedAt: Never, ResolvedKnown: Never},
			{ID: "c1", At: 10, Recorded: 30, Category: "k", Severity: 2, HasSeverity: true, ResolvedAt: 10, ResolvedKnown: 30, Satisfaction: 4, HasSatisfaction: true},
		},
		Payments: []PaymentCase{
			{"p3", 95, 95, 7, "k", Never, Never, 110, 111, Never, Never, 0},
			{"p1", 100, 50, 7, "k", 90, 91, Never, Never, Never, Never, 0},
			{"p2", 200, 201, 7, "k", 200, 201, Never, Never, 300, 301, 0},
		},
		Contacts: []ContactEvent{{At: 1, Recorded: 2, Action: "k", Cost: 3}},
		Orphans:  3,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// randomEvents makes events with many ties. Id and type together are unique,
// as a store has them.
func randomEvents(r *rand.Rand, n int) []Event {
	var events []Event
	seen := map[string]bool{}
	for range n {
		e := Event{ID: fmt.Sprint(r.IntN(12)), Customer: "a", Type: Type(1 + r.IntN(9)), At: Time(r.IntN(4)),
			Kind: fmt.Sprint(r.IntN(3)), Value: Amount(r.IntN(5)), HasValue: r.IntN(2) == 0}
		e.Recorded = e.At + Time(r.IntN(2))
		if key := e.ID + e.Type.String(); !seen[key] {
			seen[key] = true
			events = append(events, e)
		}
	}
	return events
}

func TestTimelineOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		events := randomEvents(r, 40)
		want := NewTimeline(Customer{ID: "a"}, append([]Event(nil), events...))
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		if got := NewTimeline(Customer{ID: "a"}, events); !reflect.DeepEqual(got, want) {
			t.Fatalf("the order of events matters:\n%+v\n%+v", got, want)
		}
	}
}
