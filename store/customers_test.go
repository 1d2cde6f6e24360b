package store

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"churn/event"
)

func TestPutCustomers(t *testing.T) {
	const never = event.Never
	db := openTemp(t)
	for _, tt := range []struct {
		name   string
		c      event.Customer
		status event.Status
		want   event.Customer
	}{
		{"new",
			event.Customer{ID: "c", SignedUpAt: day(1), ChurnedAt: never, Attributes: map[string]string{"plan": "basic", "n": "1"}}, event.Stored,
			event.Customer{ID: "c", SignedUpAt: day(1), ChurnedAt: never, Attributes: map[string]string{"plan": "basic", "n": "1"}}},
		{"again",
			event.Customer{ID: "c", SignedUpAt: day(1), ChurnedAt: never, Attributes: map[string]string{"n": "1", "plan": "basic"}}, event.Duplicate,
			event.Customer{ID: "c", SignedUpAt: day(1), ChurnedAt: never, Attributes: map[string]string{"plan": "basic", "n": "1"}}},
		{"says nothing",
			event.Customer{ID: "c", SignedUpAt: never, ChurnedAt: never}, event.Duplicate,
			event.Customer{ID: "c", SignedUpAt: day(1), ChurnedAt: never, Attributes: map[string]string{"plan": "basic", "n": "1"}}},
		{"churn only",
			event.Customer{ID: "c", SignedUpAt: never, ChurnedAt: day(9), ChurnReason: "price"}, event.Stored,
			event.Customer{ID: "c", SignedUpAt: day(1), ChurnedAt: day(9), ChurnReason: "price", Attributes: map[string]string{"plan": "basic", "n": "1"}}},
		{"one attribute, consent",
			event.Customer{ID: "c", SignedUpAt: never, ChurnedAt: never, Attributes: map[string]string{"plan": "pro"}, Consent: []string{"sms", "email", "sms"}}, event.Stored,
			event.Customer{ID: "c", SignedUpAt: day(1), ChurnedAt: day(9), ChurnReason: "price", Attributes: map[string]string{"plan": "pro", "n": "1"}, Consent: []string{"email", "sms"}}},
		{"consent in another order",
			event.Customer{ID: "c", SignedUpAt: never, ChurnedAt: never, Consent: []string{"email", "sms"}}, event.Duplicate,
			event.Customer{ID: "c", SignedUpAt: day(1), ChurnedAt: day(9), ChurnReason: "price", Attributes: map[string]string{"plan": "pro", "n": "1"}, Consent: []string{"email", "sms"}}},
		{"consent withdrawn, attributes too",
			event.Customer{ID: "c", SignedUpAt: never, ChurnedAt: never, Attributes: map[string]string{"n": "", "plan": ""}, Consent: []string{}}, event.Stored,
			event.Customer{ID: "c", SignedUpAt: day(1), ChurnedAt: day(9), ChurnReason: "price", Attributes: map[string]string{}, Consent: []string{}}},
		{"contradiction",
			event.Customer{ID: "c", SignedUpAt: never, ChurnedAt: day(0)}, event.Conflict,
			event.Customer{ID: "c", SignedUpAt: day(1), ChurnedAt: day(9), ChurnReason: "price", Attributes: map[string]string{}, Consent: []string{}}},
	} {
		given := slices.Clone(tt.c.Consent)
		results, err := db.PutCustomers(ctx, []event.Customer{tt.c})
		if err != nil || results[0].Status != tt.status {
			t.Errorf("%s: %v, %v; want %v", tt.name, results, err, tt.status)
		}
		if !slices.Equal(given, tt.c.Consent) {
			t.Errorf("%s: the caller's consent was changed to %v", tt.name, tt.c.Consent)
		}
		if got, err := db.Customer(ctx, "c"); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: kept %+v, %v\nwant %+v", tt.name, got, err, tt.want)
		}
	}
	changes, err := db.CustomerChanges(ctx, "c")
	if err != nil || len(changes) != 4 {
		t.Fatalf("%d changes, %v; want the four that were stored", len(changes), err)
	}
	for i := range changes[1:] {
		if changes[i].Recorded >= changes[i+1].Recorded {
			t.Error("changes are not in the order of their recording")
		}
	}
	if c := changes[0].Customer; c.ChurnedAt != never || c.Attributes["plan"] != "basic" {
		t.Errorf("first state %+v", c)
	}
}

func TestPutCustomersInvalid(t *testing.T) {
	db := openTemp(t)
	_, err := db.PutCustomers(ctx, []event.Customer{
		{ID: "good", SignedUpAt: event.Never, ChurnedAt: event.Never}, {ID: "bad ", SignedUpAt: event.Never, ChurnedAt: event.Never}})
	var field *event.FieldError
	if !errors.As(err, &field) || field.Field != "customer_id" {
		t.Errorf("error %v", err)
	}
	if _, err := db.Customer(ctx, "good"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a record of a refused batch: %v", err)
	}
}

func TestCustomersIncludesImplied(t *testing.T) {
	db := openTemp(t)
	appendAll(t, db, engagement("1", "b", day(1)), engagement("2", "d", day(1)), engagement("3", "b", day(2)), engagement("4", "Z", day(2)))
	if _, err := db.PutCustomers(ctx, []event.Customer{
		{ID: "a", SignedUpAt: day(0), ChurnedAt: event.Never}, {ID: "b", SignedUpAt: day(0), ChurnedAt: day(5)}}); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for after := ""; ; {
		page, err := db.Customers(ctx, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			ids = append(ids, c.ID)
		}
		after = ids[len(ids)-1]
	}
	if want := []string{"Z", "a", "b", "d"}; !slices.Equal(ids, want) { // the order of bytes
		t.Errorf("customers %v, want %v", ids, want)
	}
	d, err := db.Customer(ctx, "d")
	if err != nil || !reflect.DeepEqual(d, event.Customer{ID: "d", SignedUpAt: event.Never, ChurnedAt: event.Never}) {
		t.Errorf("implied customer %+v, %v", d, err)
	}
	if _, err := db.Customer(ctx, "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown customer: %v", err)
	}
	s, err := db.Summary(ctx)
	want := &Summary{Events: 4, Customers: 4, Churned: 1, Types: []TypeSummary{{Type: event.Engagement, Events: 4, Customers: 3,
		First: day(1), Last: day(2), LastRecorded: day(2).Add(event.Hour)}}}
	if err != nil || !reflect.DeepEqual(s, want) {
		t.Errorf("summary %+v, %v\nwant %+v", s, err, want)
	}
}
