package api

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"churn/event"
	"churn/store"
)

// slow stops the reading of a history where a test wants it: after the store
// has read it.
type slow struct {
	Store
	reads  atomic.Int64
	closed bool               // histories take no events
	hold   chan chan struct{} // nil: it does not stop
}

func (s *slow) History(ctx context.Context, id string) (*event.Timeline, []event.Event, error) {
	tl, events, err := s.Store.History(ctx, id)
	s.reads.Add(1)
	if s.hold != nil {
		release := make(chan struct{})
		s.hold <- release
		<-release
	}
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if s.closed {
		events = nil // more than NewTimeline makes of them
	}
	return tl, events, err
}

func withSlow(s *slow) change {
	return func(_ *world, _ *Config, d *Deps) { s.Store = d.Store; d.Store = s }
}

func visit(customer, id, at string) string {
	return fmt.Sprintf(`{"type":"engagement","customer_id":%q,"event_id":%q,"occurred_at":%q,"kind":"visit"}`, customer, id, at)
}

// cached is a metric of the histories, by its label.
func (w *world) cached(name, label string) float64 {
	w.t.Helper()
	families, err := w.server.metrics.Registry().Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	w.t.Fatalf("there is no %s %s", name, label)
	return 0
}

// TestHistories: a history is read once, takes events, and is read again after
// anything else.
func TestHistories(t *testing.T) {
	s := &slow{}
	w := newWorld(t, withModels(1), withSlow(s))
	w.ada()
	score := func(reads int64, engagement string) {
		t.Helper()
		before := s.reads.Load()
		var got Score
		w.call(200, "GET", "/v1/customers/ada/score", "", &got)
		if n := s.reads.Load() - before; n != reads || got.Freshness.Engagement.String() != engagement {
			t.Errorf("%d reads, want %d; the last engagement is %s, want %s", n, reads, got.Freshness.Engagement, engagement)
		}
	}
	score(1, "2026-06-10T09:00:00Z")
	score(0, "2026-06-10T09:00:00Z")
	w.post(visit("ada", "e3", "2026-06-14T09:00:00Z"))
	w.pass(event.Minute)
	score(0, "2026-06-14T09:00:00Z")
	w.post(visit("ada", "e3", "2026-06-14T09:00:00Z"), visit("ada", "e1", "2026-06-15T09:00:00Z")) // a duplicate and a conflict
	score(0, "2026-06-14T09:00:00Z")
	w.post(`{"type":"customer","customer_id":"ada","attributes":{"plan":"basic"}}`)
	score(1, "2026-06-14T09:00:00Z")
	w.post(`{"type":"customer","customer_id":"ada","attributes":{"plan":"basic"}}`) // says nothing new
	score(0, "2026-06-14T09:00:00Z")
	s.closed = true
	w.post(`{"type":"customer","customer_id":"ada","attributes":{"plan":"pro"}}`)
	score(1, "2026-06-14T09:00:00Z")
	w.post(visit("ada", "e4", "2026-06-15T09:00:00Z"))
	w.pass(event.Minute)
	score(1, "2026-06-15T09:00:00Z")
	if hit, miss, changed := w.cached("churn_history_lookups_total", "hit"), w.cached("churn_history_lookups_total", "miss"),
		w.cached("churn_history_dropped_total", "changed"); hit != 4 || miss != 4 || changed != 3 {
		t.Errorf("%v hits, %v misses, %v changed", hit, miss, changed)
	}
	if kept, bytes := w.cached("churn_history_kept", ""), w.cached("churn_history_bytes", ""); kept != 1 || bytes < 500 || bytes > 5000 {
		t.Errorf("%v histories of %v bytes", kept, bytes)
	}
	w.call(204, "DELETE", "/v1/customers/ada", "", nil)
	w.call(404, "GET", "/v1/customers/ada/score", "", nil)
	w.call(404, "GET", "/v1/customers/nobody/score", "", nil)
	if kept := w.cached("churn_history_kept", ""); kept != 0 {
		t.Errorf("%v histories of nobody", kept)
	}
	for i := range w.server.histories.shards {
		if n := len(w.server.histories.shards[i].kept); n != 0 {
			t.Errorf("%d customers who are not there", n)
		}
	}
}

// TestHistoriesOff: nothing is kept, and nothing counted.
func TestHistoriesOff(t *testing.T) {
	w := newWorld(t, withModels(1), func(_ *world, c *Config, _ *Deps) { c.Cache = -1 })
	w.ada()
	w.call(200, "GET", "/v1/customers/ada/score", "", nil)
	w.post(visit("ada", "e3", "2026-06-14T09:00:00Z"))
	w.call(200, "GET", "/v1/customers/ada/score", "", nil)
	if n := w.scrape()["churn_history_lookups_total"]; n != 0 {
		t.Errorf("%v lookups", n)
	}
}

// TestHistoriesForeign: a write of another process drops what is kept.
func TestHistoriesForeign(t *testing.T) {
	path := filepath.Join(t.TempDir(), "churn.db")
	w := newWorld(t, withModels(1), func(w *world, _ *Config, d *Deps) {
		var err error
		if w.store, err = store.Open(context.Background(), path, store.Options{Now: w.now}); err != nil {
			t.Fatal(err)
		}
		d.Store = w.store
		t.Cleanup(func() { w.store.Close() })
	})
	w.ada()
	other, err := store.Open(context.Background(), path, store.Options{Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	w.call(200, "GET", "/v1/customers/ada/score", "", nil)
	late := event.Event{ID: "x", Customer: "ada", Type: event.Engagement, At: at(t, "2026-06-14T09:00:00Z"), Recorded: at(t, "2026-06-14T09:00:00Z"), Kind: "visit"}
	if _, err := other.Append(context.Background(), []event.Event{late}); err != nil {
		t.Fatal(err)
	}
	var got Score
	w.call(200, "GET", "/v1/customers/ada/score", "", &got)
	if got.Freshness.Engagement.String() != "2026-06-14T09:00:00Z" {
		t.Errorf("the import of another process is missing: the last engagement is %s", got.Freshness.Engagement)
	}
	if err := other.DeleteCustomer(context.Background(), "ada"); err != nil {
		t.Fatal(err)
	}
	w.call(404, "GET", "/v1/customers/ada/score", "", nil)
	if n := w.cached("churn_history_dropped_total", "foreign_write"); n != 2 {
		t.Errorf("%v dropped, want ada twice", n)
	}
}

// TestHistoriesReading: what is written while a history is read is in it for
// whoever asks after the answer, and one reading serves all who wait for it.
func TestHistoriesReading(t *testing.T) {
	s := &slow{}
	w := newWorld(t, withModels(1), withSlow(s))
	w.ada()
	s.hold = make(chan chan struct{})
	h, ctx := w.server.histories, context.Background()
	type answer struct {
		visits int
		err    error
	}
	ask := func(ctx context.Context) chan answer {
		c := make(chan answer, 1)
		go func() {
			tl, err := h.timeline(ctx, "ada")
			if err != nil {
				c <- answer{0, err}
				return
			}
			c <- answer{len(tl.Engagements), nil}
		}()
		return c
	}
	waiting := func(n int64) { // until so many wait for a reading of others
		for w.cached("churn_history_lookups_total", "hit") < float64(n) {
		}
	}
	first := ask(ctx)
	release := <-s.hold
	second := ask(ctx)
	waiting(1)
	w.post(visit("ada", "e3", "2026-06-14T09:00:00Z"))
	third := ask(ctx) // after the answer: reads for itself
	var releaseThird chan struct{}
	select {
	case releaseThird = <-s.hold:
	case <-time.After(10 * time.Second):
		t.Fatal("who asks after the answer waits for a reading from before it")
	}
	close(release)
	if a, b := <-first, <-second; a != (answer{2, nil}) || b != (answer{2, nil}) {
		t.Errorf("%v and %v, want what was there when they asked", a, b)
	}
	close(releaseThird)
	if c := <-third; c != (answer{3, nil}) {
		t.Errorf("%v: an event that was acknowledged is missing", c)
	}
	if got := <-ask(ctx); got != (answer{3, nil}) || s.reads.Load() != 2 {
		t.Errorf("%v after %d readings: the last was not kept", got, s.reads.Load())
	}
	if kept := w.cached("churn_history_kept", ""); kept != 1 {
		t.Errorf("%v histories, want the last", kept)
	}

	// Who reads gives up: others do not.
	w.post(`{"type":"customer","customer_id":"ada","attributes":{"plan":"basic"}}`)
	gone, cancel := context.WithCancel(ctx)
	first = ask(gone)
	release = <-s.hold
	second = ask(ctx)
	waiting(3)
	cancel()
	close(release)
	if a, b := <-first, <-second; !errors.Is(a.err, context.Canceled) || b != (answer{3, nil}) {
		t.Errorf("%v and %v", a, b)
	}
}

// TestHistoriesBound: no more is kept than allowed, what was used last stays,
// and who is too large is read each time.
func TestHistoriesBound(t *testing.T) {
	s := &slow{}
	const limit = shardCount * 40_000
	w := newWorld(t, withModels(1), withSlow(s), func(_ *world, c *Config, _ *Deps) { c.Cache = limit })
	var records []string
	for i := range 300 {
		for k := range 20 {
			records = append(records, visit(fmt.Sprint("c", i), fmt.Sprint(i, ".", k), fmt.Sprintf("2026-06-%02dT00:00:00Z", 1+k%14)))
		}
	}
	for i := range 150 { // more than a quarter of 40,000 bytes
		records = append(records, visit("large", fmt.Sprint("l", i), "2026-06-01T00:00:00Z"))
	}
	w.post(records...)
	w.pass(event.Minute)
	score := func(id string) { w.call(200, "GET", "/v1/customers/"+id+"/score", "", nil) }
	for i := range 300 {
		score(fmt.Sprint("c", i))
		score("c0") // often used
	}
	if bytes, kept := w.cached("churn_history_bytes", ""), w.cached("churn_history_kept", ""); bytes > limit || kept < 100 || kept > 299 {
		t.Errorf("%v histories of %v bytes", kept, bytes)
	}
	if n := w.cached("churn_history_dropped_total", "evicted"); n != 300-w.cached("churn_history_kept", "") {
		t.Errorf("%v evicted", n)
	}
	if n := s.reads.Load(); n != 300 {
		t.Errorf("%d readings of 300 customers: the one used most was dropped", n)
	}
	before := s.reads.Load()
	score("c0")
	score("c299")
	if n := s.reads.Load() - before; n != 0 {
		t.Errorf("%d readings of those used last", n)
	}
	score("large")
	score("large")
	if n := s.reads.Load() - before; n != 2 || w.cached("churn_history_dropped_total", "too_large") != 2 {
		t.Errorf("%d readings of one who is too large", n)
	}
	for i := range 60 { // grows beyond its bound
		w.post(visit("c0", fmt.Sprint("more", i), "2026-06-14T00:00:00Z"), visit("c0", fmt.Sprint("yet", i), "2026-06-14T00:00:01Z"))
	}
	if n := w.cached("churn_history_dropped_total", "too_large"); n != 3 {
		t.Errorf("%v too large, want the one that grew as well", n)
	}
}

// TestHistoriesSameAnswers: with and without histories in memory, the same
// bytes, whatever comes in whatever order, at every instant that is asked for.
func TestHistoriesSameAnswers(t *testing.T) {
	w := newWorld(t, withModels(2))
	plain, err := New(Config{Cache: -1}, Deps{Store: w.store, Registry: w.registry, Live: w.live, Policy: w.server.policy, Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	kept := w.server
	r := rand.New(rand.NewPCG(1, 1))
	day := func() string {
		return event.Time(w.clock.Load()).Add(-event.Duration(r.IntN(60)) * event.Day / 2).String()
	}
	for i := range 300 {
		id := fmt.Sprint("c", r.IntN(5))
		var records []string
		for range r.IntN(4) {
			switch d := day(); r.IntN(6) {
			case 0:
				records = append(records, fmt.Sprintf(`{"type":"payment","customer_id":%q,"event_id":"p%d","due_at":%q,"amount":20,"currency":"EUR"}`, id, i, d))
			case 1:
				records = append(records, fmt.Sprintf(`{"type":"payment","customer_id":%q,"event_id":"q%d","paid_at":%q,"amount":%d,"currency":"EUR"}`, id, i, d, r.IntN(50)))
			case 2:
				records = append(records, fmt.Sprintf(`{"type":"complaint","customer_id":%q,"event_id":"c%d","opened_at":%q,"category":"x","severity":3}`, id, i, d))
			case 3:
				records = append(records, fmt.Sprintf(`{"type":"customer","customer_id":%q,"attributes":{"plan":"%d"}}`, id, r.IntN(2)))
			default: // with ties
				records = append(records, strings.Replace(visit(id, fmt.Sprint("e", r.IntN(1000)), d), `"kind"`, fmt.Sprintf(`"value":%d,"kind"`, r.IntN(9)), 1))
			}
		}
		if len(records) > 0 {
			w.post(records...)
		}
		if r.IntN(100) == 0 {
			w.promote(w.versions[r.IntN(2)])
		}
		w.pass(event.Duration(r.IntN(2)) * event.Hour)
		for _, path := range []string{"/score?recommend=true&reasons=9", "/score?recommend=true&as_of=" + day()} {
			w.server = plain
			want := w.request("GET", "/v1/customers/"+id+path, "", nil)
			w.server = kept
			got := w.request("GET", "/v1/customers/"+id+path, "", nil)
			if want.Code != got.Code || want.Code == 200 && want.Body.String() != got.Body.String() {
				t.Fatalf("%s %s: %d\n%s\nwant %d\n%s", id, path, got.Code, got.Body, want.Code, want.Body)
			}
		}
	}
	if n := w.cached("churn_history_lookups_total", "hit"); n < 200 {
		t.Errorf("%v hits: the test does not test", n)
	}
}

// TestHistoriesRace writes and reads at once, here and from another process:
// what was acknowledged before a history was asked for is in it, and in the end
// all are those of the store.
func TestHistoriesRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "churn.db")
	ctx := context.Background()
	w := newWorld(t, func(w *world, c *Config, d *Deps) {
		var err error
		if w.store, err = store.Open(ctx, path, store.Options{Now: w.now, Synchronous: "normal"}); err != nil {
			t.Fatal(err)
		}
		d.Store, c.Cache = w.store, shardCount*30_000 // some are evicted
		t.Cleanup(func() { w.store.Close() })
	})
	other, err := store.Open(ctx, path, store.Options{Now: w.now, Synchronous: "normal"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	const customers, perWriter = 6, 150
	name := func(i int) string { return fmt.Sprint("c", i) }
	var visits, plans [customers]atomic.Int64 // acknowledged
	var writers, readers sync.WaitGroup
	var stop atomic.Bool
	for writer := range 4 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(writer), 1))
			for i := range perWriter {
				c := r.IntN(customers)
				occurred := w.now().Add(-event.Duration(r.IntN(20)) * event.Hour) // ties, and out of order
				switch {
				case writer == 0 && i%10 == 0: // one writer of records, so that they grow
					n := plans[c].Load() + 1
					w.post(fmt.Sprintf(`{"type":"customer","customer_id":%q,"attributes":{"n":%d}}`, name(c), n))
					plans[c].Store(n)
				case writer == 1 && i%5 == 0:
					e := event.Event{ID: fmt.Sprint("other", i), Customer: name(c), Type: event.Engagement, At: occurred, Recorded: occurred, Kind: "visit"}
					if _, err := other.Append(ctx, []event.Event{e}); err != nil && !errors.Is(err, store.ErrBusy) {
						t.Error(err)
					} else if err == nil {
						visits[c].Add(1)
					}
				default:
					w.post(visit(name(c), fmt.Sprint(writer, ".", i), occurred.String()))
					visits[c].Add(1)
				}
			}
		})
	}
	for reader := range 4 {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(reader), 2))
			for !stop.Load() {
				c := r.IntN(customers)
				leastVisits, leastPlan := visits[c].Load(), plans[c].Load()
				tl, err := w.server.histories.timeline(ctx, name(c))
				if errors.Is(err, store.ErrNotFound) && leastVisits == 0 && leastPlan == 0 {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				plan := int64(0)
				fmt.Sscan(tl.Customer.Attributes["n"], &plan)
				if n := int64(len(tl.Engagements)); n < leastVisits || plan < leastPlan {
					t.Errorf("%d visits and record %d, acknowledged were %d and %d", n, plan, leastVisits, leastPlan)
					return
				}
				if !slices.IsSortedFunc(tl.Engagements, func(a, b event.EngagementEvent) int { return int(a.At - b.At) }) {
					t.Error("not in order")
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
	for c := range customers {
		got, err := w.server.histories.timeline(ctx, name(c))
		if err != nil {
			t.Fatal(err)
		}
		want, err := w.store.Timeline(ctx, name(c))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is\n%+v\nin the store\n%+v", name(c), got, want)
		}
	}
}
