package store

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"churn/event"
)

func TestAppendKeepsBothClocks(t *testing.T) {
	db := openTemp(t)
	events := []event.Event{
		{ID: "p1", Customer: "c", Type: event.PaymentDue, At: day(1), Recorded: day(1).Add(1), Kind: "EUR", Value: 9_990_001, HasValue: true},
		{ID: "p1", Customer: "c", Type: event.PaymentPaid, At: day(3), Recorded: day(9), Kind: "EUR", Value: 0, HasValue: true},
		{ID: "k", Customer: "c", Type: event.ComplaintOpened, At: day(4), Recorded: day(4), Kind: "billing", Channel: "phone"},
		{ID: "o", Customer: "c", Type: event.Contact, At: day(5), Recorded: day(5), Kind: "call", Channel: "phone",
			Value: -2_500_000, HasValue: true, Arm: "policy", Outcome: "accepted"},
	}
	if s := appendAll(t, db, events...); s != "ssss" {
		t.Fatal(s)
	}
	got, err := db.Events(ctx, "c")
	if err != nil || !reflect.DeepEqual(got, events) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, events)
	}
	tl, err := db.Timeline(ctx, "c")
	if err != nil || len(tl.Payments) != 1 || tl.Payments[0].PaidAt != day(3) || tl.Payments[0].PaidKnown != day(9) {
		t.Errorf("timeline %+v, %v", tl, err)
	}
}

func TestAppendIdentity(t *testing.T) {
	base := event.Event{ID: "e", Customer: "c", Type: event.Engagement, At: day(1), Recorded: day(2), Kind: "sign_in",
		Channel: "web", Value: event.Unit, HasValue: true, Arm: "a", Outcome: "o"}
	change := func(f func(*event.Event)) event.Event { e := base; f(&e); return e }
	db := openTemp(t)
	if s := appendAll(t, db, base); s != "s" {
		t.Fatal(s)
	}
	for _, tt := range []struct {
		name    string
		e       event.Event
		status  event.Status
		differs []string
	}{
		{"same", base, event.Duplicate, nil},
		{"recorded later", change(func(e *event.Event) { e.Recorded = day(30) }), event.Duplicate, nil},
		{"customer", change(func(e *event.Event) { e.Customer = "d" }), event.Conflict, []string{"customer_id"}},
		{"time and kind", change(func(e *event.Event) { e.At, e.Kind = day(0), "order" }), event.Conflict, []string{"occurred_at", "kind"}},
		{"value", change(func(e *event.Event) { e.Value++ }), event.Conflict, []string{"value"}},
		{"no value", change(func(e *event.Event) { e.HasValue = false }), event.Conflict, []string{"value"}},
		{"texts", change(func(e *event.Event) { e.Channel, e.Arm, e.Outcome = "", "", "" }), event.Conflict, []string{"channel", "arm", "outcome"}},
		{"another phase", change(func(e *event.Event) { e.Type = event.ComplaintOpened }), event.Stored, nil},
	} {
		results, err := db.Append(ctx, []event.Event{tt.e})
		if err != nil || results[0].Status != tt.status || !slices.Equal(results[0].Differs, tt.differs) {
			t.Errorf("%s: %+v, %v; want %v %v", tt.name, results, err, tt.status, tt.differs)
		}
	}
	events, err := db.Events(ctx, "c")
	if err != nil || len(events) != 2 || events[0].Recorded != day(2) {
		t.Errorf("kept %+v, %v; the first recording must stay", events, err)
	}
	// The same within one batch.
	twice := engagement("n", "c", day(1))
	other := twice
	other.Kind = "order"
	if s := appendAll(t, db, twice, twice, other, engagement("m", "c", day(1))); s != "sdcs" {
		t.Errorf("within a batch: %s", s)
	}
}

func TestAppendInvalid(t *testing.T) {
	db := openTemp(t)
	bad := engagement("b", "c", day(1))
	bad.Recorded = day(0)
	_, err := db.Append(ctx, []event.Event{engagement("a", "c", day(1)), bad})
	var field *event.FieldError
	if !errors.As(err, &field) || field.Field != "recorded_at" {
		t.Errorf("error %v", err)
	}
	if events, _ := db.Events(ctx, "c"); len(events) != 0 {
		t.Errorf("kept %d events of a refused batch", len(events))
	}
	if r, err := db.Append(ctx, nil); err != nil || len(r) != 0 {
		t.Errorf("nothing: %v, %v", r, err)
	}
}

// randomEvents gives n events of a few customers with all types.
func randomEvents(seed uint64, n int) []event.Event {
	r := rand.New(rand.NewPCG(seed, 1))
	customers := []string{"a", "aa", "b", "Z", "ü", "10", "9", "a b"}
	events := make([]event.Event, n)
	for i := range events {
		at := day(float64(r.IntN(90)))
		events[i] = event.Event{ID: string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676)),
			Customer: customers[r.IntN(len(customers))], Type: event.Type(1 + r.IntN(8)), At: at,
			Recorded: at.Add(event.Duration(r.IntN(5)) * event.Day), Kind: "k", Channel: "web",
			Value: event.Amount(r.IntN(1000)) * event.Unit, HasValue: true}
	}
	return events
}

// TestOrderDoesNotMatter appends the same events in different orders and
// batches, several times over: the state is the same.
func TestOrderDoesNotMatter(t *testing.T) {
	events := randomEvents(1, 300)
	customers := []event.Customer{
		{ID: "a", SignedUpAt: day(0), ChurnedAt: event.Never, Attributes: map[string]string{"plan": "x", "city": "<&>"}},
		{ID: "only", SignedUpAt: event.Never, ChurnedAt: day(3), ChurnReason: "moved", Consent: []string{"email", "phone"}},
	}
	var want string
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 2))
		db := openTemp(t)
		for range 2 {
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			for rest := events; len(rest) > 0; {
				n := 1 + r.IntN(len(rest))
				appendAll(t, db, rest[:n]...)
				rest = rest[n:]
			}
			r.Shuffle(len(customers), func(i, j int) { customers[i], customers[j] = customers[j], customers[i] })
			if _, err := db.PutCustomers(ctx, customers); err != nil {
				t.Fatal(err)
			}
		}
		got, err := db.Fingerprint(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("seed %d: fingerprint %s, want %s", seed, got, want)
		}
		integrity(t, db)
	}
	// And it does notice a change.
	db := openTemp(t)
	events[0].Value++
	appendAll(t, db, events...)
	if _, err := db.PutCustomers(ctx, customers); err != nil {
		t.Fatal(err)
	}
	if got, _ := db.Fingerprint(ctx); got == want {
		t.Error("the fingerprint misses a changed value")
	}
}

func TestSink(t *testing.T) {
	s := openTemp(t).Sink()
	e := engagement("e", "c", day(1))
	got, err := s.Append(ctx, []event.Event{e, e})
	if err != nil || !slices.Equal(got, []event.Status{event.Stored, event.Duplicate}) {
		t.Errorf("%v, %v", got, err)
	}
	c := event.Customer{ID: "c", SignedUpAt: event.Never, ChurnedAt: event.Never}
	got, err = s.PutCustomers(ctx, []event.Customer{c, c})
	if err != nil || !slices.Equal(got, []event.Status{event.Stored, event.Duplicate}) {
		t.Errorf("%v, %v", got, err)
	}
}
