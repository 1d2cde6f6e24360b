package store

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"churn/event"
)

// TestTimelinesEqualTimeline compares the one scan over all with reading each
// customer alone.
func TestTimelinesEqualTimeline(t *testing.T) {
	db := openTemp(t)
	appendAll(t, db, randomEvents(7, 600)...)
	if _, err := db.PutCustomers(ctx, []event.Customer{
		{ID: "!first", SignedUpAt: day(0), ChurnedAt: event.Never},
		{ID: "aa", SignedUpAt: day(0), ChurnedAt: day(80), Attributes: map[string]string{"plan": "x"}},
		{ID: "ab", SignedUpAt: event.Never, ChurnedAt: event.Never, Consent: []string{}},
		{ID: "üü-last", SignedUpAt: day(0), ChurnedAt: event.Never},
	}); err != nil {
		t.Fatal(err)
	}
	var all []*event.Timeline
	if err := db.Timelines(ctx, func(tl *event.Timeline) error { all = append(all, tl); return nil }); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, tl := range all {
		ids = append(ids, tl.Customer.ID)
		one, err := db.Timeline(ctx, tl.Customer.ID)
		if err != nil || !reflect.DeepEqual(one, tl) {
			t.Errorf("%s: alone %+v, %v\nin the scan %+v", tl.Customer.ID, one, err, tl)
		}
	}
	want := []string{"!first", "10", "9", "Z", "a", "a b", "aa", "ab", "b", "ü", "üü-last"} // the order of bytes
	if !slices.Equal(ids, want) {
		t.Errorf("customers %q, want %q", ids, want)
	}
	if _, err := db.Timeline(ctx, "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown customer: %v", err)
	}
	if events, err := db.Events(ctx, "nobody"); err != nil || len(events) != 0 {
		t.Errorf("events of an unknown customer: %v, %v", events, err)
	}
}

// TestTimelinesIsASnapshot writes while the scan runs.
func TestTimelinesIsASnapshot(t *testing.T) {
	db := openTemp(t)
	appendAll(t, db, engagement("1", "a", day(1)), engagement("2", "b", day(1)), engagement("3", "c", day(1)))
	seen := 0
	err := db.Timelines(ctx, func(tl *event.Timeline) error {
		if tl.Customer.ID == "a" {
			appendAll(t, db, engagement("4", "b", day(2)), engagement("5", "d", day(2)))
			if err := db.DeleteCustomer(ctx, "c"); err != nil {
				t.Error(err)
			}
			if one, err := db.Timeline(ctx, "b"); err != nil || len(one.Engagements) != 2 {
				t.Errorf("another reader meanwhile: %+v, %v", one, err)
			}
		}
		seen += len(tl.Engagements)
		return nil
	})
	if err != nil || seen != 3 {
		t.Errorf("saw %d events, %v; want the 3 of the beginning", seen, err)
	}
}

func TestTimelinesStops(t *testing.T) {
	db := openTemp(t)
	appendAll(t, db, engagement("1", "a", day(1)), engagement("2", "b", day(1)))
	enough := errors.New("enough")
	calls := 0
	if err := db.Timelines(ctx, func(*event.Timeline) error { calls++; return enough }); err != enough || calls != 1 {
		t.Errorf("error %v after %d calls", err, calls)
	}
	cancelled, cancel := context.WithCancel(ctx)
	err := db.Timelines(cancelled, func(*event.Timeline) error { cancel(); return nil })
	if err != nil && !errors.Is(err, context.Canceled) { // the last row may already have been read
		t.Errorf("cancelled: %v", err)
	}
	for range 10 { // no connection is lost on the way
		if err := db.Timelines(ctx, func(*event.Timeline) error { return enough }); err != enough {
			t.Fatal(err)
		}
	}
}
