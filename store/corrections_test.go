package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"churn/event"
)

// randomVersions gives versions of a few events of two customers, some of which
// conflict.
func randomVersions(r *rand.Rand, n int) []event.Event {
	var all []event.Event
	for range n {
		e := event.Event{ID: fmt.Sprint(r.IntN(5)), Customer: string(rune('a' + r.IntN(2))), Type: event.Type(1 + r.IntN(9)),
			Recorded: day(float64(20 + r.IntN(20)))}
		e.ID += e.Customer // see TestCancellationsOfOthers
		if r.IntN(3) == 0 {
			e.Cancelled = true
		} else {
			e.At, e.Kind, e.Value, e.HasValue = day(float64(r.IntN(9))/3), "k", event.Amount(r.IntN(2)), true
		}
		all = append(all, e)
	}
	return all
}

// TestCorrections appends versions in any order and in any portions: what comes
// of it is what a Ledger makes of them one by one, and without conflicts it is
// the same for all orders.
func TestCorrections(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	seen := map[event.Status]int{}
	for round := range 12 {
		versions := randomVersions(r, 250)
		var want [2][]event.Event // without conflicts, which the first round sorts out
		for pass := range 3 {
			ledgers := [2]event.Ledger{}
			statuses, good := "", []event.Event{}
			for i := range versions {
				s, _ := ledgers[versions[i].Customer[0]-'a'].Add(&versions[i])
				if seen[s]++; s != event.Conflict {
					good = append(good, versions[i])
				}
				statuses += s.String() + " "
			}
			db := openTemp(t)
			got := ""
			for rest := versions; len(rest) > 0; {
				n := 1 + r.IntN(len(rest))
				results, err := db.Append(ctx, rest[:n])
				if err != nil {
					t.Fatal(err)
				}
				for _, result := range results {
					got += result.Status.String() + " "
				}
				rest = rest[n:]
			}
			if got != statuses {
				t.Fatalf("round %d: %s\nwant %s", round, got, statuses)
			}
			for i, id := range []string{"a", "b"} {
				events, err := db.Events(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				made := ledgers[i].Events()
				if !reflect.DeepEqual(events, made) {
					t.Fatalf("round %d, %s: got\n%+v\nwant\n%+v", round, id, events, made)
				}
				if pass > 0 && want[i] != nil && !reflect.DeepEqual(events, want[i]) {
					t.Fatalf("round %d, %s: another order gives\n%+v\nwant\n%+v", round, id, events, want[i])
				}
				if pass > 0 {
					want[i] = events
				}
				one, err := db.Timeline(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				for _, tl := range timelines(t, db) {
					if tl.Customer.ID == id && !reflect.DeepEqual(tl, one) {
						t.Errorf("%s: among all\n%+v\nalone\n%+v", id, tl, one)
					}
				}
			}
			integrity(t, db)
			// The next passes have the good ones, without those that would be
			// repeated too often, in another order.
			if pass == 0 {
				good = slices.DeleteFunc(good, func(e event.Event) bool {
					alike := 0
					return slices.ContainsFunc(versions, func(f event.Event) bool {
						if f.ID != e.ID || f.Type != e.Type || f == e {
							return false
						}
						if f.Cancelled == e.Cancelled {
							alike++
						}
						return alike > 3 || f.Recorded == e.Recorded && f.Cancelled == e.Cancelled ||
							!f.Cancelled && !e.Cancelled && f.At != e.At && f.Recorded-f.At == e.Recorded-e.At
					})
				})
			}
			versions = good
			r.Shuffle(len(versions), func(i, j int) { versions[i], versions[j] = versions[j], versions[i] })
		}
	}
	for _, s := range []event.Status{event.Stored, event.Duplicate, event.Conflict, event.Corrected, event.Cancelled} {
		if seen[s] < 20 {
			t.Errorf("%s only %d times: the test has lost its point", s, seen[s])
		}
	}
}

// A cancellation of an event of another customer changes nothing, whether it
// comes before the event or after it.
func TestCancellationsOfOthers(t *testing.T) {
	db := openTemp(t)
	e := engagement("e", "c", day(1))
	void := func(customer string) event.Event {
		return event.Event{ID: "e", Customer: customer, Type: event.Engagement, Recorded: day(2), Cancelled: true}
	}
	for _, tt := range []struct {
		e    event.Event
		want event.Status
	}{{void("d"), event.Cancelled}, {void("d"), event.Duplicate}, {e, event.Stored}, {void("b"), event.Conflict}, {void("d"), event.Conflict}} {
		if r, err := db.Append(ctx, []event.Event{tt.e}); err != nil || r[0].Status != tt.want {
			t.Errorf("%+v: %+v, %v", tt.e, r, err)
		}
	}
	if all := timelines(t, db); len(all) != 1 || all[0].Engagements[0].Superseded != 0 {
		t.Errorf("%+v", all)
	}
	if err := db.DeleteCustomer(ctx, "d"); err != nil { // whose id is there
		t.Error(err)
	}
	if r, err := db.Append(ctx, []event.Event{void("c")}); err != nil || r[0].Status != event.Cancelled {
		t.Errorf("%+v, %v", r, err)
	}
	if tl, err := db.Timeline(ctx, "c"); err != nil || tl.Engagements[0].Superseded != day(2) {
		t.Errorf("%+v, %v", tl, err)
	}
	if err := db.DeleteCustomer(ctx, "c"); err != nil {
		t.Error(err)
	}
	var left int
	if err := db.readerPool.QueryRow("SELECT COUNT(*) FROM corrections").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d corrections of erased customers are left, %v", left, err)
	}
}

// A correction moves the end of the data, and a database with one is another.
func TestCorrectionsCount(t *testing.T) {
	db := openTemp(t)
	e := engagement("e", "c", day(1))
	appendAll(t, db, e)
	before, err := db.Fingerprint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	e.At, e.Recorded = day(5), day(9)
	appendAll(t, db, e)
	after, err := db.Fingerprint(ctx)
	if sum, e := db.Summary(ctx); err != nil || e != nil || before == after || sum.Types[0].Last != day(5) || sum.Types[0].LastRecorded != day(9) || sum.Events != 1 {
		t.Errorf("%+v %v %v, fingerprint %s, then %s", sum, e, err, before, after)
	}
}

// A database of an earlier program is opened as it is, and its fingerprint
// stays.
func TestOpenEarlier(t *testing.T) {
	path := filepath.Join(t.TempDir(), "churn.db")
	o := Options{Now: ticking()}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	_, pool, err := openWriter(path, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate(context.Background(), pool, migrations()[:1], o.Now); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(insertEvent, "c", int64(day(1)), "e", 1, int64(day(2)), "visit", "", 5, "", ""); err != nil {
		t.Fatal(err)
	}
	if err := pool.Close(); err != nil {
		t.Fatal(err)
	}
	db := openAt(t, path)
	e := event.Event{ID: "e", Customer: "c", Type: event.Engagement, At: day(1), Recorded: day(2), Kind: "visit", Value: 5, HasValue: true}
	// By event.Digest of commit 904009b, the last one without corrections.
	const want = "46a0a10bc5e8723a5cab2236421b716c81e1e05c5c3a04e5d07de2b1caca77b2"
	if got, err := db.Fingerprint(ctx); err != nil || got != want {
		t.Errorf("fingerprint %s, %v, want %s", got, err, want)
	}
	later := e
	later.Value, later.Recorded = 6, day(3)
	if s := appendAll(t, db, e, later); s != "dc" {
		t.Error(s)
	}
}
