package api

import (
	"context"
	"slices"
	"strings"
	"testing"

	"churn/event"
	"churn/store"
)

// TestColumns: every column of every table has a kind here, or is a text.
func TestColumns(t *testing.T) {
	texts := []string{"kind", "category", "channel", "currency", "status", "action", "arm", "outcome", "churn_reason", "consent"}
	known := map[string]bool{}
	for _, s := range event.Streams() {
		for _, c := range event.Columns(s) {
			known[c] = true
			if _, ok := columnKinds[c]; !ok && !slices.Contains(texts, c) {
				t.Errorf("column %s of %s: what does it hold?", c, s)
			}
		}
	}
	for c := range columnKinds {
		if !known[c] {
			t.Errorf("column %s is in no table", c)
		}
	}
}

// TestRecordedTimes: by the row's own columns, or else now.
func TestRecordedTimes(t *testing.T) {
	w := newWorld(t)
	w.post(
		`{"type":"engagement","customer_id":"a","event_id":"1","occurred_at":"2026-06-01T00:00:00Z","kind":"x"}`,
		`{"type":"engagement","customer_id":"a","event_id":"2","occurred_at":"2026-06-02T00:00:00Z","kind":"x","recorded_at":"2026-06-03T00:00:00Z"}`,
		`{"type":"complaint","customer_id":"a","event_id":"3","opened_at":"2026-06-03T00:00:00Z","resolved_at":"2026-06-05T00:00:00Z","satisfaction":2,"recorded_at":"2026-06-04T00:00:00Z"}`,
		`{"type":"complaint","customer_id":"a","event_id":"4","opened_at":"2026-06-06T00:00:00Z","resolved_at":"2026-06-07T00:00:00Z","recorded_at":"2026-06-08T00:00:00Z"}`,
		`{"type":"payment","customer_id":"a","event_id":"5","due_at":"2026-12-01T00:00:00Z","amount":5}`,
		`{"type":"payment","customer_id":"a","event_id":"6","due_at":"2026-06-10T00:00:00Z","amount":5,"status":"failed","status_at":"2026-06-11T00:00:00Z","recorded_at":"2026-06-10T00:00:00Z"}`,
		`{"type":"payment","customer_id":"a","event_id":"7","paid_at":"2026-06-12T00:00:00Z","amount":5,"paid_recorded_at":"2026-06-13T00:00:00Z"}`)
	events, err := w.store.Events(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"1 engagement": noon, "2 engagement": "2026-06-03T00:00:00Z",
		"3 complaint_opened": "2026-06-04T00:00:00Z", "3 complaint_resolved": noon,
		"4 complaint_opened": "2026-06-08T00:00:00Z", "4 complaint_resolved": "2026-06-08T00:00:00Z",
		"5 payment_due": noon, // known before it is due
		"6 payment_due": "2026-06-10T00:00:00Z", "6 payment_failed": noon,
		"7 payment_paid": "2026-06-13T00:00:00Z",
	}
	for _, e := range events {
		key := e.ID + " " + e.Type.String()
		if got := e.Recorded.String(); got != want[key] {
			t.Errorf("%s: recorded at %s, want %s", key, got, want[key])
		}
		delete(want, key)
	}
	if len(want) > 0 {
		t.Errorf("not stored: %v", want)
	}
}

func TestEventsTwice(t *testing.T) {
	w := newWorld(t)
	batch := []string{
		`{"type":"customer","customer_id":"a","signed_up_at":"2026-01-01T00:00:00Z","consent":[],"attributes":{"plan":"pro","seats":3,"beta":true,"note":null}}`,
		`{"type":"engagement","customer_id":"a","occurred_at":"2026-06-01T00:00:00Z","kind":"x"}`,
		`{"type":"engagement","customer_id":"a","occurred_at":"2026-06-01T00:00:00Z","kind":"x"}`, // another one, of the same moment
		`{"type":"payment","customer_id":"a","event_id":"p","due_at":"2026-06-01T00:00:00Z","amount":10}`,
		`{"type":"contact","customer_id":"a","event_id":"k","occurred_at":"2026-06-02T00:00:00Z","action":"survey","channel":"email","cost":0.3}`,
	}
	first := w.post(batch...)
	if first.Counts != (eventCounts{Stored: 5}) {
		t.Fatalf("%+v", first)
	}
	w.pass(event.Hour)
	second := w.post(batch...)
	if second.Counts != (eventCounts{Duplicate: 5}) {
		t.Errorf("sent again: %+v", second)
	}
	for i := range first.Results {
		if first.Results[i].EventID != second.Results[i].EventID {
			t.Errorf("record %d: id %s, then %s", i, first.Results[i].EventID, second.Results[i].EventID)
		}
	}
	// The payment comes in: its due phase is known, its paid phase is new.
	third := w.post(`{"type":"payment","customer_id":"a","event_id":"p","due_at":"2026-06-01T00:00:00Z","amount":10,"paid_at":"2026-06-03T00:00:00Z"}`,
		`{"type":"payment","customer_id":"a","event_id":"p","due_at":"2026-06-01T00:00:00Z","amount":11}`,
		`{"type":"customer","customer_id":"a","churned_at":"2025-01-01T00:00:00Z"}`)
	if third.Counts != (eventCounts{Stored: 1, Conflict: 2}) || !strings.Contains(third.Results[1].Errors[0].Detail, "value") {
		t.Errorf("%+v", third)
	}
	c, err := w.store.Customer(context.Background(), "a")
	if err != nil || c.Attributes["seats"] != "3" || c.Attributes["beta"] != "true" || len(c.Attributes) != 3 || c.Consent == nil || len(c.Consent) != 0 {
		t.Errorf("%+v %v", c, err)
	}
}

func TestEventsInvalid(t *testing.T) {
	w := newWorld(t)
	e := func(rest string) string { return `{"type":"engagement","customer_id":"a","kind":"x",` + rest + `}` }
	for _, tt := range []struct{ name, record, pointer string }{
		{"no type", `{"customer_id":"a"}`, "/type"},
		{"unknown type", `{"type":"birthday","customer_id":"a"}`, "/type"},
		{"type in another case", `{"type":"Engagement","customer_id":"a"}`, "/type"},
		{"null type", `{"type":null}`, "/type"},
		{"text", `"x"`, ""},
		{"null", `null`, ""},
		{"field of another table", e(`"occurred_at":"2026-06-01T00:00:00Z","amount":4`), "/amount"},
		{"wrong case", e(`"Occurred_at":"2026-06-01T00:00:00Z"`), "/Occurred_at"},
		{"no time", e(`"value":1`), "/occurred_at"},
		{"null time", e(`"occurred_at":null`), "/occurred_at"},
		{"epoch milliseconds", e(`"occurred_at":1780000000000`), "/occurred_at"},
		{"no zone", e(`"occurred_at":"2026-06-01T00:00:00"`), "/occurred_at"},
		{"day alone", e(`"occurred_at":"2026-06-01"`), "/occurred_at"},
		{"empty time", e(`"occurred_at":""`), "/occurred_at"},
		{"February 30", e(`"occurred_at":"2026-02-30T00:00:00Z"`), "/occurred_at"},
		{"second 60", e(`"occurred_at":"2026-06-01T00:00:60Z"`), "/occurred_at"},
		{"year 0", e(`"occurred_at":"0000-01-01T00:00:00Z"`), "/occurred_at"},
		{"year 9999", e(`"occurred_at":"9999-01-01T00:00:00Z"`), "/occurred_at"},
		{"in six minutes", e(`"occurred_at":"2026-06-15T12:06:00Z"`), "/occurred_at"},
		{"recorded before it happened", e(`"occurred_at":"2026-06-01T00:00:00Z","recorded_at":"2026-05-01T00:00:00Z"`), "/recorded_at"},
		{"recorded tomorrow", e(`"occurred_at":"2026-06-01T00:00:00Z","recorded_at":"2026-06-16T12:00:00Z"`), "/recorded_at"},
		{"text for number", e(`"occurred_at":"2026-06-01T00:00:00Z","value":"1"`), "/value"},
		{"1e400", e(`"occurred_at":"2026-06-01T00:00:00Z","value":1e400`), "/value"},
		{"1e308", e(`"occurred_at":"2026-06-01T00:00:00Z","value":1e308`), "/value"},
		{"true for number", e(`"occurred_at":"2026-06-01T00:00:00Z","value":true`), "/value"},
		{"number for text", `{"type":"engagement","customer_id":"a","kind":4,"occurred_at":"2026-06-01T00:00:00Z"}`, "/kind"},
		{"no kind", `{"type":"engagement","customer_id":"a","occurred_at":"2026-06-01T00:00:00Z"}`, "/kind"},
		{"spaces around", `{"type":"engagement","customer_id":"a","kind":" x","occurred_at":"2026-06-01T00:00:00Z"}`, "/kind"},
		{"number for id", `{"type":"engagement","customer_id":4,"kind":"x","occurred_at":"2026-06-01T00:00:00Z"}`, "/customer_id"},
		{"id of spaces", `{"type":"engagement","customer_id":"  ","kind":"x","occurred_at":"2026-06-01T00:00:00Z"}`, "/customer_id"},
		{"NUL in id", `{"type":"engagement","customer_id":"a\u0000","kind":"x","occurred_at":"2026-06-01T00:00:00Z"}`, "/customer_id"},
		{"line feed in id", `{"type":"engagement","customer_id":"a\nb","kind":"x","occurred_at":"2026-06-01T00:00:00Z"}`, "/customer_id"},
		{"right-to-left override in id", `{"type":"engagement","customer_id":"a\u202eb","kind":"x","occurred_at":"2026-06-01T00:00:00Z"}`, "/customer_id"},
		{"zero-width space in id", `{"type":"engagement","customer_id":"a\u200bb","kind":"x","occurred_at":"2026-06-01T00:00:00Z"}`, "/customer_id"},
		{"long id", `{"type":"engagement","customer_id":"` + strings.Repeat("a", 257) + `","kind":"x","occurred_at":"2026-06-01T00:00:00Z"}`, "/customer_id"},
		{"5000 combining marks", `{"type":"engagement","customer_id":"a","kind":"` + strings.Repeat("\u0301", 5000) + `","occurred_at":"2026-06-01T00:00:00Z"}`, "/kind"},
		{"negative payment", `{"type":"payment","customer_id":"a","due_at":"2026-06-01T00:00:00Z","amount":-5}`, "/amount"},
		{"payment without a time", `{"type":"payment","customer_id":"a","amount":5}`, "/due_at"},
		{"unknown status", `{"type":"payment","customer_id":"a","due_at":"2026-06-01T00:00:00Z","amount":5,"status":"gone"}`, "/status"},
		{"status without its time", `{"type":"payment","customer_id":"a","due_at":"2026-06-01T00:00:00Z","amount":5,"status":"failed"}`, ""},
		{"resolved before opened", `{"type":"complaint","customer_id":"a","opened_at":"2026-06-02T00:00:00Z","resolved_at":"2026-06-01T00:00:00Z"}`, "/resolved_at"},
		{"satisfaction of an open complaint", `{"type":"complaint","customer_id":"a","opened_at":"2026-06-02T00:00:00Z","satisfaction":1}`, ""},
		{"resolved in the future", `{"type":"complaint","customer_id":"a","opened_at":"2026-06-15T00:00:00Z","resolved_after_hours":20}`, ""},
		{"churned before sign-up", `{"type":"customer","customer_id":"a","signed_up_at":"2026-06-01T00:00:00Z","churned_at":"2026-05-01T00:00:00Z"}`, "/churned_at"},
		{"attributes are no object", `{"type":"customer","customer_id":"a","attributes":[1]}`, "/attributes"},
		{"nested attribute", `{"type":"customer","customer_id":"a","attributes":{"x":{"y":1}}}`, "/attributes/x"},
		{"consent is no array", `{"type":"customer","customer_id":"a","consent":"email"}`, "/consent"},
		{"empty consent", `{"type":"customer","customer_id":"a","consent":[""]}`, "/consent/0"},
		{"customer without id", `{"type":"customer"}`, "/customer_id"},
	} {
		a := w.post(`{"type":"engagement","customer_id":"good","event_id":"g","occurred_at":"2026-06-01T00:00:00Z","kind":"x"}`, tt.record)
		got := a.Results[1]
		if a.Counts.Invalid != 1 || got.Status != "invalid" || len(got.Errors) == 0 || got.Errors[0].Pointer != "/events/1"+tt.pointer {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	if got := w.summary(); got != "1 1 0" {
		t.Errorf("the store holds %s", got)
	}
}

// TestAllErrors: every field at fault is told at once.
func TestAllErrors(t *testing.T) {
	w := newWorld(t)
	a := w.post(`{"type":"payment","customer_id":"","due_at":4,"amount":"x","colour":1}`)
	var got []string
	for _, e := range a.Results[0].Errors {
		got = append(got, e.Pointer)
	}
	if want := []string{"/events/0/customer_id", "/events/0/due_at", "/events/0/amount", "/events/0/colour"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEventLines(t *testing.T) {
	w := newWorld(t)
	send := func(body string) (int, string) {
		rec := w.request("POST", "/v1/events", "application/x-ndjson", []byte(body))
		return rec.Code, rec.Body.String()
	}
	line := `{"type":"engagement","customer_id":"a","event_id":"1","occurred_at":"2026-06-01T00:00:00Z","kind":"x"}`
	code, text := send(line + "\n\n{broken\n" + strings.Replace(line, `"1"`, `"2"`, 1))
	if code != 200 || !strings.Contains(text, `"stored":2`) || !strings.Contains(text, `"invalid":1`) || !strings.Contains(text, `"pointer":"/1"`) {
		t.Errorf("%d %s", code, text)
	}
	for body, want := range map[string]int{"": 422, "\n\n": 422, "{broken\nagain": 400, line + line: 400} {
		if code, text := send(body); code != want {
			t.Errorf("%.30q: %d, want %d: %s", body, code, want, text)
		}
	}
}

// failing answers writes and reads with an error.
type failing struct {
	Store
	err error
}

func (f *failing) Append(context.Context, []event.Event) ([]store.Result, error) { return nil, f.err }
func (f *failing) PutCustomers(context.Context, []event.Customer) ([]store.Result, error) {
	return nil, f.err
}
func (f *failing) Timeline(context.Context, string) (*event.Timeline, error) { return nil, f.err }
func (f *failing) History(context.Context, string) (*event.Timeline, []event.Event, error) {
	return nil, nil, f.err
}
func (f *failing) SaveDecisions(context.Context, []store.Decision) ([]store.Result, error) {
	return nil, f.err
}

// TestStoreErrors: nothing is acknowledged, and the answer says when to come
// back but not what the database said.
func TestStoreErrors(t *testing.T) {
	f := &failing{}
	w := newWorld(t, func(_ *world, _ *Config, d *Deps) { f.Store = d.Store; d.Store = f }, withModels(1))
	for _, tt := range []struct {
		err    error
		status int
	}{
		{store.ErrBusy, 503}, {store.ErrFull, 507}, {store.ErrFailed, 503}, {store.ErrClosed, 503},
		{context.DeadlineExceeded, 503}, {context.Canceled, 503}, {store.ErrNotFound, 404},
	} {
		f.err = errSecret{tt.err}
		for _, r := range [][3]string{
			{"POST", "/v1/events", `{"events":[{"type":"engagement","customer_id":"a","occurred_at":"2026-06-01T00:00:00Z","kind":"x"}]}`},
			{"POST", "/v1/events", `{"events":[{"type":"customer","customer_id":"a"}]}`},
			{"GET", "/v1/customers/a", ""},
			{"GET", "/v1/customers/a/score", ""},
		} {
			contentType := ""
			if r[0] == "POST" {
				contentType = "application/json"
			}
			rec := w.request(r[0], r[1], contentType, []byte(r[2]))
			if rec.Code != tt.status || strings.Contains(rec.Body.String(), "secret") {
				t.Errorf("%v: %s %s: %d %s", tt.err, r[0], r[1], rec.Code, rec.Body)
			}
			if tt.status >= 500 && rec.Header().Get("Retry-After") == "" {
				t.Errorf("%v: no Retry-After", tt.err)
			}
		}
	}
	if n := w.scrape()["churn_store_errors_total"]; n == 0 {
		t.Error("store errors are not counted")
	}
}

type errSecret struct{ error }

func (e errSecret) Error() string { return "secret path: " + e.error.Error() }
func (e errSecret) Unwrap() error { return e.error }

// An attribute record says what became of attributes from a time on.
func TestAttributeRecords(t *testing.T) {
	w := newWorld(t)
	a := w.post(
		`{"type":"attribute","customer_id":"a","event_id":"1","valid_from":"2026-05-01T00:00:00Z","recorded_at":"2026-05-02T00:00:00Z","attributes":{"plan":"pro","seats":3,"do_not_contact":true}}`,
		`{"type":"attribute","customer_id":"a","valid_from":"2026-06-01T00:00:00Z","attributes":{"seats":null}}`,
		`{"type":"attribute","customer_id":"a","valid_from":"2027-01-01T00:00:00Z","attributes":{"plan":""}}`, // known ahead
		`{"type":"attribute","customer_id":"a","valid_from":"2026-05-01T00:00:00Z","attributes":{}}`,
		`{"type":"attribute","customer_id":"a","attributes":{"plan":"x"}}`,
		`{"type":"attribute","customer_id":"a","valid_from":"2026-05-01T00:00:00Z","attributes":{"event_id":"x"}}`,
		`{"type":"attribute","customer_id":"a","valid_from":"2026-05-01T00:00:00Z","attributes":{"plan":"a\u200bb"}}`,
		`{"type":"attribute","customer_id":"a","valid_from":"2026-05-01T00:00:00Z","plan":"x"}`)
	if a.Counts != (eventCounts{Stored: 3, Invalid: 5}) {
		t.Fatalf("%+v", a)
	}
	for i, pointer := range map[int]string{3: "/events/3", 4: "/events/4/valid_from", 5: "/events/5/attributes/event_id", 6: "/events/6/attributes/plan", 7: "/events/7/plan"} {
		if got := a.Results[i].Errors[0].Pointer; got != pointer {
			t.Errorf("record %d: %s, want %s", i, got, pointer)
		}
	}
	if again := w.post(`{"type":"attribute","customer_id":"a","valid_from":"2026-06-01T00:00:00Z","attributes":{"seats":null}}`); again.Counts != (eventCounts{Duplicate: 1}) {
		t.Errorf("sent again: %+v", again)
	}
	tl, err := w.store.Timeline(context.Background(), "a")
	if err != nil || len(tl.Changes) != 5 || tl.Attribute("seats", at(t, "2026-05-03T00:00:00Z")) != "3" ||
		tl.Attribute("seats", w.now()+1) != "" || tl.Attribute("plan", w.now()+1) != "pro" || tl.Changes[0].Recorded != at(t, "2026-05-02T00:00:00Z") {
		t.Errorf("%+v %v", tl, err)
	}
	var page timelineAnswer
	w.call(200, "GET", "/v1/customers/a/timeline", "", &page)
	if n := len(page.Events); n != 5 || page.Events[0].Type != "attribute_set" || *page.Events[0].Kind != "plan" || page.Events[0].Text == nil ||
		*page.Events[0].Text != "" || page.Events[0].Outcome != nil || *page.Events[n-1].Text != "true" {
		t.Errorf("%+v", page)
	}
	var c customerAnswer
	if w.call(200, "GET", "/v1/customers/a", "", &c); c.Counts.Attributes != 5 {
		t.Errorf("%+v", c.Counts)
	}
}
