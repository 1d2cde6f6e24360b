package api

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"churn/event"
	"churn/outreach"
	"churn/store"
)

// answered is a decoded answer of /v1/recommendations.
type answered struct {
	DryRun  bool             `json:"dry_run"`
	Decided int              `json:"decided"`
	Failed  int              `json:"failed"`
	Results []answeredResult `json:"results"`
}

type answeredResult struct {
	CustomerID string             `json:"customer_id"`
	Status     string             `json:"status"`
	Decision   *outreach.Decision `json:"decision"`
	Score      *Score             `json:"score"`
	Error      *Problem           `json:"error"`
}

// decisive is a policy with one action that pays for everyone.
func decisive(capacity int) change {
	return func(w *world, _ *Config, d *Deps) {
		book, err := outreach.ParsePlaybook(fmt.Appendf(nil, `
version: 1
actions:
- {id: call, when: "risk > 0", channels: [phone], cost: 1, save: 0.5, harm: {mean: 0.001, kappa: 100}, cooldown_days: 30, capacity_day: %d, source: A, text: call}
`, capacity))
		if err != nil {
			w.t.Fatal(err)
		}
		d.Policy.Playbook, d.Policy.AssumeConsent = book, []string{"phone"}
		d.Policy.Economics.DefaultMonthlyValue = 500
	}
}

func customers(n int) (records, ids []string) {
	for i := range n {
		id := fmt.Sprintf("c%02d", i)
		ids = append(ids, `"`+id+`"`)
		for k := range i + 1 {
			records = append(records, fmt.Sprintf(`{"type":"engagement","customer_id":%q,"event_id":"%s-%d","occurred_at":"2026-06-%02dT00:00:00Z","kind":"x"}`, id, id, k, 1+k%14))
		}
	}
	return records, ids
}

func TestRecommendations(t *testing.T) {
	w := newWorld(t, decisive(100), withModels(1))
	records, ids := customers(4)
	w.post(records...)
	w.pass(event.Minute)
	body := `{"customer_ids":[` + strings.Join(append(ids, `"nobody"`), ",") + `]`

	var dry, first, again answered
	w.call(200, "POST", "/v1/recommendations", body+`,"dry_run":true}`, &dry)
	if !dry.DryRun || dry.Decided != 4 || dry.Failed != 1 || dry.Results[0].Status != "dry_run" || w.summary() != "10 4 0" {
		t.Fatalf("%+v %s", dry, w.summary())
	}
	w.call(200, "POST", "/v1/recommendations", body+`}`, &first)
	for i, r := range first.Results[:4] {
		if r.Status != "stored" || r.Decision.Action != "call" || r.Decision.ID != dry.Results[i].Decision.ID ||
			r.Score.CustomerID != r.CustomerID || r.Decision.Propensity != 1 {
			t.Errorf("%+v %+v", r, r.Decision)
		}
	}
	if e := first.Results[4].Error; e == nil || e.Status != 404 {
		t.Errorf("unknown customer: %+v", e)
	}
	kept, err := w.store.Decisions(context.Background(), "", 0)
	if err != nil || len(kept) != 4 {
		t.Fatalf("%d decisions kept, %v", len(kept), err)
	}
	d := kept[0] // in the order of their ids, which depend on the model
	r := first.Results[slices.IndexFunc(first.Results[:4], func(r answeredResult) bool { return r.Decision.ID == d.ID })]
	if d.Risk != r.Score.ChurnProbability || d.Version != w.versions[0] || d.Basis != "prior" || d.Arm != "policy" || d.Cost != event.Unit {
		t.Errorf("%+v", d)
	}

	// The same day: the same decisions, nothing new, whatever the cool-down
	// says by now.
	w.pass(event.Hour)
	w.call(200, "POST", "/v1/recommendations", body+`}`, &again)
	for i, r := range again.Results[:4] {
		if r.Status != "duplicate" || r.Decision.ID != first.Results[i].Decision.ID || r.Decision.At != first.Results[i].Decision.At {
			t.Errorf("%+v", r)
		}
	}
	// The next day the cool-down holds.
	w.pass(event.Day)
	w.call(200, "POST", "/v1/recommendations", body+`}`, &again)
	for _, r := range again.Results[:4] {
		if r.Status != "stored" || r.Decision.Action != outreach.Nothing || r.Decision.Blocked[0].Code != outreach.Cooldown {
			t.Errorf("%+v", r.Decision)
		}
	}
	if m := w.scrape(); m["churn_decisions_total"] != 8 || m["churn_blocked_total"] != 4 {
		t.Errorf("decisions %v, blocked %v", m["churn_decisions_total"], m["churn_blocked_total"])
	}
}

func TestRanked(t *testing.T) {
	w := newWorld(t, decisive(100), withModels(1))
	records, ids := customers(6)
	w.post(records...)
	w.pass(event.Minute)
	var a answered
	w.call(200, "POST", "/v1/recommendations", `{"ranked":true,"dry_run":true,"customer_ids":["nobody",`+strings.Join(ids, ",")+`]}`, &a)
	sorted := slices.IsSortedFunc(a.Results[:6], func(x, y answeredResult) int {
		return cmp.Compare(y.Decision.ExpectedNetValue, x.Decision.ExpectedNetValue)
	})
	if !sorted || a.Results[6].Error == nil {
		t.Errorf("%+v", a)
	}
}

// TestCapacity: two calls a day, however many requests ask for them at once.
func TestCapacity(t *testing.T) {
	w := newWorld(t, decisive(2), withModels(1))
	records, ids := customers(6)
	w.post(records...)
	w.pass(event.Minute)
	parallel(len(ids), func(i int) {
		w.request("POST", "/v1/recommendations", "application/json", []byte(`{"customer_ids":[`+ids[i]+`]}`))
	})
	kept, err := w.store.Decisions(context.Background(), "", 0)
	if err != nil || len(kept) != 6 {
		t.Fatal(len(kept), err)
	}
	n := 0
	for _, d := range kept {
		if d.Action == "call" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d calls, the capacity is 2", n)
	}
}

// TestDoNotContact: attributes that forbid are heeded, and what cannot be read
// forbids.
func TestDoNotContact(t *testing.T) {
	w := newWorld(t, decisive(100), withModels(1))
	for id, attributes := range map[string]string{"a": `{"do_not_contact":true}`, "b": `{"do_not_contact":"perhaps"}`,
		"c": `{"suppressed_channels":"email; phone"}`, "d": `{"do_not_contact":"FALSE"}`} {
		w.post(`{"type":"engagement","customer_id":"`+id+`","occurred_at":"2026-06-01T00:00:00Z","kind":"x"}`,
			`{"type":"customer","customer_id":"`+id+`","attributes":`+attributes+`}`)
	}
	// So are those with a time: e has asked for it, f no longer does.
	for id, attributes := range map[string]string{"e": `{"do_not_contact":true}`, "f": `{"do_not_contact":null}`} {
		w.post(`{"type":"engagement","customer_id":"`+id+`","occurred_at":"2026-06-01T00:00:00Z","kind":"x"}`,
			`{"type":"customer","customer_id":"f","attributes":{"do_not_contact":true}}`,
			`{"type":"attribute","customer_id":"`+id+`","valid_from":"2026-06-01T00:00:00Z","attributes":`+attributes+`}`)
	}
	w.pass(event.Minute)
	var a answered
	w.call(200, "POST", "/v1/recommendations", `{"customer_ids":["a","b","c","d","e","f"]}`, &a)
	for i, want := range []outreach.Code{outreach.DoNotContact, outreach.DoNotContact, outreach.Suppressed, "", outreach.DoNotContact, ""} {
		d := a.Results[i].Decision
		switch {
		case want == "" && d.Action != "call":
			t.Errorf("%+v", d)
		case want != "" && (d.Action != outreach.Nothing || d.Blocked[0].Code != want):
			t.Errorf("%s: %+v", d.Customer, d)
		}
	}
}

func TestOutcomes(t *testing.T) {
	w := newWorld(t, decisive(100), withModels(1))
	w.ada()
	var a answered
	w.call(200, "POST", "/v1/recommendations", `{"customer_ids":["ada"]}`, &a)
	id := a.Results[0].Decision.ID
	w.pass(event.Hour)
	report := func(status int, event, at string) string {
		w.t.Helper()
		return w.call(status, "POST", "/v1/outcomes", fmt.Sprintf(`{"decision_id":%q,"event":%q,"at":%q,"value":12.5}`, id, event, at), nil)
	}
	if text := report(200, "accepted", "2026-06-15T12:30:00Z"); !strings.Contains(text, "stored") {
		t.Error(text)
	}
	if text := report(200, "accepted", "2026-06-15T12:30:00Z"); !strings.Contains(text, "duplicate") {
		t.Error(text)
	}
	report(409, "accepted", "2026-06-15T12:31:00Z")
	report(422, "opened", "2026-06-15T11:00:00Z")    // before the decision
	report(422, "opened", "2026-06-16T12:00:00Z")    // in the future
	report(422, "delighted", "2026-06-15T12:30:00Z") // no such outcome
	report(200, "churned", "2026-06-15T12:40:00Z")
	report(409, "retained", "2026-06-15T12:41:00Z") // excludes it
	id = "unknown"
	report(404, "opened", "2026-06-15T12:30:00Z")
	w.call(400, "POST", "/v1/outcomes", `{"decision_id":"x","event":"opened"}`, nil)
}

// TestEffects: too few outcomes give no number; 100 in both arms give the
// difference with its interval.
func TestEffects(t *testing.T) {
	w := newWorld(t, decisive(100), withModels(1))
	decide := func(arm, action, ghost string, from, n, churned int) {
		var ds []store.Decision
		for i := from; i < from+n; i++ {
			ds = append(ds, store.Decision{ID: fmt.Sprint(arm, action, i), CustomerID: fmt.Sprint(arm, i), At: w.now(), Action: action, Arm: arm,
				GhostAction: ghost, Propensity: 0.5, Cost: 1_500_000})
		}
		if _, err := w.store.SaveDecisions(context.Background(), ds); err != nil {
			t.Fatal(err)
		}
		for i, d := range ds {
			o := store.Outcome{DecisionID: d.ID, Event: "retained", At: w.now().Add(event.Day)}
			if i < churned {
				o.Event = "churned"
			}
			if _, err := w.store.SaveOutcome(context.Background(), o); err != nil {
				t.Fatal(err)
			}
		}
	}
	status := func() *effect {
		t.Helper()
		var a effectsAnswer
		text := w.call(200, "GET", "/v1/effects?horizon_days=30", "", &a)
		if !strings.Contains(text, `"cost":`) || a.MinMatured != 100 {
			t.Error(text)
		}
		for _, e := range a.Actions {
			if e.Action == "call" {
				return e
			}
		}
		return &effect{}
	}
	decide("policy", "call", "", 0, 99, 10)
	w.pass(31 * event.Day)
	if e := status(); e.Status != "not measured" || e.Effect != nil {
		t.Errorf("%+v", e)
	}
	w.pass(-31 * event.Day)
	decide("holdout", "nothing", "call", 0, 100, 20)
	w.pass(31 * event.Day)
	if e := status(); e.Status != "insufficient" || e.Effect != nil || *e.Holdout.ChurnRate != 0.2 {
		t.Errorf("%+v", e)
	}
	w.pass(-31 * event.Day)
	decide("policy", "call", "", 99, 1, 0)
	if e := status(); e.Status != "insufficient" { // not mature yet
		t.Errorf("%+v", e)
	}
	w.pass(31 * event.Day)
	e := status()
	if e.Status != "unadjusted" || !near(*e.Effect, -0.1) || *e.Low >= -0.1 || *e.High <= -0.1 {
		t.Errorf("%+v", e)
	}
}

// TestDifference: Newcombe 1998, Statistics in Medicine 17, 873, table II,
// method 10: 56/70 against 48/80 is 0.0524 to 0.3339.
func TestDifference(t *testing.T) {
	d, low, high := difference(56, 70, 48, 80)
	if math.Abs(d-0.2) > 1e-12 || math.Abs(low-0.0524) > 5e-5 || math.Abs(high-0.3339) > 5e-5 {
		t.Errorf("%v in %v to %v", d, low, high)
	}
}
