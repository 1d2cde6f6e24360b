package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"churn/event"
)

// TestDeleteCustomer erases a customer out of the midst of others and looks
// for the traces in the bytes of the files.
func TestDeleteCustomer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "churn.db")
	db := openAt(t, path)
	const canary = "canary-4711"
	customer := func(i int) string {
		if i%10 == 3 {
			return canary
		}
		return fmt.Sprint("c", i%37)
	}
	for b := range 10 {
		batch := make([]event.Event, 500)
		for i := range batch {
			n := (b*500 + i) * 7919 % 5000 // in no order
			batch[i] = engagement(fmt.Sprintf("e%05d-%s", n, customer(n)), customer(n), day(float64(n%90)))
			batch[i].Channel = customer(n)
		}
		appendAll(t, db, batch...)
	}
	for i := range 5 {
		c := event.Customer{ID: canary, SignedUpAt: day(0), ChurnedAt: event.Never, Attributes: map[string]string{"i": fmt.Sprint(i)}}
		if _, err := db.PutCustomers(ctx, []event.Customer{c, {ID: "c1", SignedUpAt: day(0), ChurnedAt: event.Never}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{canary, "c1"} {
		if _, err := db.SaveScores(ctx, []Score{{CustomerID: id, AsOf: day(9), Model: "m", Version: "1", Probability: 0.5}}); err != nil {
			t.Fatal(err)
		}
		d := decision("d-"+id, id, day(9))
		if _, err := db.SaveDecisions(ctx, []Decision{d}); err != nil {
			t.Fatal(err)
		}
		if _, err := db.SaveOutcome(ctx, Outcome{DecisionID: d.ID, Event: OutcomeChurned, At: day(10)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time there is nothing left to do
		if err := db.DeleteCustomer(ctx, canary); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{path, logPath(path)} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(data, []byte("canary")); n > 0 {
			t.Errorf("%s: %d traces", filepath.Base(file), n)
		}
	}

	if _, err := db.Customer(ctx, canary); !errors.Is(err, ErrNotFound) {
		t.Errorf("Customer: %v", err)
	}
	if s := appendAll(t, db, engagement("late", canary, day(50)), engagement("e2", "c1", day(50))); s != "rs" {
		t.Errorf("a late event: %s", s)
	}
	results, err := db.PutCustomers(ctx, []event.Customer{{ID: canary, SignedUpAt: day(0), ChurnedAt: event.Never}})
	if err != nil || letters(results) != "r" {
		t.Errorf("a late record: %v, %v", results, err)
	}
	if results, err = db.SaveScores(ctx, []Score{{CustomerID: canary, Model: "m"}, {CustomerID: "c2", Model: "m"}}); err != nil || letters(results) != "rs" {
		t.Errorf("a late score: %v, %v", results, err)
	}
	if results, err = db.SaveDecisions(ctx, []Decision{decision("new", canary, day(9))}); err != nil || letters(results) != "r" {
		t.Errorf("a late decision: %v, %v", results, err)
	}
	if _, err := db.SaveOutcome(ctx, Outcome{DecisionID: "d-" + canary, Event: OutcomeOpened, At: day(11)}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a late outcome: %v", err)
	}

	// The others are untouched.
	s, err := db.Summary(ctx)
	if err != nil || s.Events != 4501 || s.Customers != 37 { // 5000 less a tenth, and e2
		t.Errorf("summary %+v, %v", s, err)
	}
	if o, err := db.Outcomes(ctx, "d-c1"); err != nil || len(o) != 1 {
		t.Errorf("outcomes of another: %v, %v", o, err)
	}
	if err := db.DeleteCustomer(ctx, "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown customer: %v", err)
	}
	if s := appendAll(t, db, engagement("n", "nobody", day(1))); s != "s" {
		t.Errorf("an unknown customer was barred: %s", s)
	}
	integrity(t, db)
}

// TestErasureBesideReader: a reader of the old state delays the emptying of
// the log, not the erasure, and later commits make up for it.
func TestErasureBesideReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "churn.db")
	db := openAt(t, path)
	appendAll(t, db, engagement("1", "a", day(1)), engagement("2", "canary", day(1)))
	traces := func() int {
		n := 0
		for _, file := range []string{path, logPath(path)} {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			n += bytes.Count(data, []byte("canary"))
		}
		return n
	}
	err := db.Timelines(ctx, func(tl *event.Timeline) error {
		if tl.Customer.ID != "a" {
			return nil
		}
		return db.DeleteCustomer(ctx, "canary")
	})
	if err != nil || traces() == 0 {
		t.Fatalf("%v, %d traces; the reader should have kept some", err, traces())
	}
	appendAll(t, db, engagement("3", "b", day(1)))
	// Wait for what the writer does after its acknowledgement.
	if err := db.write(ctx, &job{run: func(*tx) error { return nil }}); err != nil || traces() != 0 {
		t.Errorf("%v, %d traces after the reader left", err, traces())
	}
}

// TestCompact: in a file in which rows were moved a lot, erasing alone leaves a
// few copies in unused parts of pages (6 with SQLite 3.54.1); erasing and compacting
// leaves none.
func TestCompact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "churn.db")
	db := openAt(t, path, func(o *Options) { o.Synchronous = "normal" })
	const events = 30_000
	for b := 0; b < events; b += 3000 {
		batch := make([]event.Event, 3000)
		for i := range batch {
			n := (b + i) * 7919 % events
			customer := fmt.Sprint("c", n%997)
			if n%10 == 3 {
				customer = "canary"
			}
			batch[i] = engagement(fmt.Sprintf("e%06d-%s", n, customer), customer, day(float64(n%90)))
		}
		appendAll(t, db, batch...)
	}
	before, err := db.Fingerprint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, db, engagement("canary-last", "canary-2", day(1)))
	for _, id := range []string{"canary", "canary-2"} {
		if err := db.DeleteCustomer(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, logPath(path)} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(data, []byte("canary")); n > 0 {
			t.Errorf("%s: %d traces", filepath.Base(file), n)
		}
	}
	integrity(t, db)
	if after, err := db.Fingerprint(ctx); err != nil || after == before {
		t.Errorf("fingerprint %s, %v; the erased customer is still in it", after, err)
	}
	if s := appendAll(t, db, engagement("new", "c1", day(1)), engagement("late", "canary", day(1))); s != "sr" {
		t.Errorf("after compacting: %s", s)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("rights %v, %v; want the owner's alone", info.Mode(), err)
	}
}
