package api

import (
	"math"
	"strings"
	"testing"

	"churn/event"
	"churn/model"
	"churn/outreach"
)

// TestScoreByHand works out one score. Features of ada at noon: plan pro, one
// engagement in 30 days (May 20 lies within: two), 60 paid in 90 days, last
// engagement 5 days and 3 h 1 min ago.
func TestScoreByHand(t *testing.T) {
	w := newWorld(t, withModels(1))
	w.ada()
	var s Score
	w.call(200, "GET", "/v1/customers/ada/score?reasons=20", "", &s)
	days := w.now().Sub(at(t, "2026-06-10T09:00:00Z")).Days()
	margin := -1 - 0.4 + (1.5 - 2.5*2/10) + (0.5 - 60.0/100) + (-0.5 + 2.5*float64(float32(days))/60)
	if math.Abs(s.Margin-margin) > 1e-6 {
		t.Errorf("margin %v, by hand %v", s.Margin, margin)
	}
	if base := -1 + 0.03 + 0.25 + 0.1 + 0.2; !near(s.BaseMargin, base) {
		t.Errorf("base margin %v, by hand %v", s.BaseMargin, base)
	}
	sum := s.BaseMargin
	for _, r := range s.Reasons {
		sum += r.Contribution
	}
	if !near(sum, s.Margin) {
		t.Errorf("base margin and %d contributions give %v, the margin is %v", len(s.Reasons), sum, s.Margin)
	}
	if p := 1 / (1 + math.Exp(-1.2*s.Margin)); !near(p, s.ChurnProbability) {
		t.Errorf("probability %v, calibration gives %v", s.ChurnProbability, p)
	}
	if s.CustomerID != "ada" || s.RiskBand != "medium" || *s.HorizonDays != 30 || s.Model != (modelRef{"test", w.versions[0]}) || *s.AsOf != w.now() {
		t.Errorf("score %+v", s)
	}
	if *s.Freshness.Engagement != at(t, "2026-06-10T09:00:00Z") || *s.Freshness.Complaints != at(t, "2026-06-01T00:00:00Z") ||
		*s.Freshness.Payments != at(t, "2026-05-03T00:00:00Z") {
		t.Errorf("freshness %v %v %v", s.Freshness.Engagement, s.Freshness.Complaints, s.Freshness.Payments)
	}
	if s.ResidualValue == nil || *s.ResidualValue <= 0 || !near(*s.ValueAtRisk, s.ChurnProbability**s.ResidualValue) {
		t.Errorf("value %v, at risk %v", s.ResidualValue, s.ValueAtRisk)
	}
	if s.Recommendation != nil || len(s.Warnings) != 0 {
		t.Errorf("recommendation %v, warnings %q", s.Recommendation, s.Warnings)
	}
}

// TestScoreThreeWays: by id, by the same events, and by the same features.
func TestScoreThreeWays(t *testing.T) {
	w := newWorld(t, withModels(1))
	w.ada()
	var a rows
	w.call(200, "POST", "/v1/scores", `{"reasons":20,"customers":[
		{"customer_id":"ada"},
		{"customer_id":"ada","events":[
			{"type":"customer","signed_up_at":"2025-01-01T00:00:00Z","attributes":{"plan":"pro"}},
			{"type":"engagement","event_id":"e2","occurred_at":"2026-06-10T11:00:00+02:00","kind":"visit","value":2.5},
			{"type":"engagement","event_id":"e2","occurred_at":"2026-06-10T09:00:00Z","kind":"visit","value":2.5},
			{"type":"engagement","event_id":"e1","occurred_at":"2026-05-20T09:00:00Z","kind":"visit","customer_id":"ada"},
			{"type":"payment","event_id":"p1","due_at":"2026-05-01T00:00:00Z","paid_at":"2026-05-03T00:00:00Z","amount":60,"currency":"EUR"}]},
		{"customer_id":"ada","features":{"cus_plan":"pro","eng_n_30":2,"pay_amt_90":60.0,"eng_rec":5.1256943}}]}`, &a)
	if a.Scored != 3 || a.Failed != 0 {
		t.Fatalf("%+v", a)
	}
	for i, r := range a.Results {
		if math.Abs(r.Margin-a.Results[0].Margin) > 1e-6 {
			t.Errorf("way %d: margin %v, by id %v", i, r.Margin, a.Results[0].Margin)
		}
	}
	f := a.Results[2]
	if f.AsOf != nil || f.ResidualValue != nil || f.ValueAtRisk != nil || f.Freshness.Engagement != nil {
		t.Errorf("by features something is known that was not given: %+v", f.Score)
	}
}

func TestScoreAsOf(t *testing.T) {
	w := newWorld(t, withModels(1))
	w.ada()
	// On June 12 the events had happened, but were recorded only at noon of
	// June 15: nothing was known.
	var s Score
	w.call(200, "GET", "/v1/customers/ada/score?as_of=2026-06-12T00:00:00Z", "", &s)
	if s.Freshness.Engagement != nil || !strings.Contains(strings.Join(s.Warnings, "|"), "no events") {
		t.Errorf("two clocks: %+v", s)
	}
	w.post(`{"type":"engagement","customer_id":"bob","occurred_at":"2026-01-05T00:00:00Z","recorded_at":"2026-01-06T00:00:00Z","kind":"visit"}`)
	w.call(200, "GET", "/v1/customers/bob/score?as_of=2026-01-05T12:00:00Z", "", &s)
	if s.Freshness.Engagement != nil {
		t.Error("known before it was recorded")
	}
	w.call(200, "GET", "/v1/customers/bob/score?as_of=2026-01-08T00:00:00Z", "", &s)
	if s.Freshness.Engagement == nil || !strings.Contains(strings.Join(s.Warnings, "|"), "customer for less than 5d") {
		t.Errorf("%+v", s)
	}
	w.call(200, "GET", "/v1/customers/bob/score", "", &s)
	if !strings.Contains(strings.Join(s.Warnings, "|"), "no activity within 90d") {
		t.Errorf("warnings %q", s.Warnings)
	}
}

// TestScoreRows: one bad row leaves the others alone.
func TestScoreRows(t *testing.T) {
	w := newWorld(t, withModels(1))
	w.ada()
	for _, tt := range []struct {
		name, row string
		status    int // 0 is a score
		pointer   string
		warning   string
	}{
		{"unknown customer", `{"customer_id":"nobody"}`, 404, "", ""},
		{"no id", `{"features":{}}`, 422, "/customers/1/customer_id", ""},
		{"null id", `{"customer_id":null}`, 422, "/customers/1/customer_id", ""},
		{"not an object", `7`, 422, "/customers/1", ""},
		{"unknown field", `{"customer_id":"a","feature":{}}`, 422, "/customers/1/feature", ""},
		{"both", `{"customer_id":"a","features":{},"events":[]}`, 422, "/customers/1", ""},
		{"unknown feature", `{"customer_id":"a","features":{"shoe_size":4}}`, 422, "/customers/1/features/shoe_size", ""},
		{"escaped name", `{"customer_id":"a","features":{"a/b~c":4}}`, 422, "/customers/1/features/a~1b~0c", ""},
		{"text for number", `{"customer_id":"a","features":{"eng_n_30":"4"}}`, 422, "/customers/1/features/eng_n_30", ""},
		{"empty text for number", `{"customer_id":"a","features":{"eng_n_30":""}}`, 422, "/customers/1/features/eng_n_30", ""},
		{"array for number", `{"customer_id":"a","features":{"eng_n_30":[4]}}`, 422, "/customers/1/features/eng_n_30", ""},
		{"1e400", `{"customer_id":"a","features":{"eng_n_30":1e400}}`, 422, "/customers/1/features/eng_n_30", ""},
		{"1e308 does not fit a float32", `{"customer_id":"a","features":{"eng_n_30":1e308}}`, 422, "/customers/1/features/eng_n_30", ""},
		{"1e-400 is 0", `{"customer_id":"a","features":{"eng_n_30":1e-400}}`, 0, "", ""},
		{"minus 0", `{"customer_id":"a","features":{"eng_n_30":-0}}`, 0, "", ""},
		{"2^53+1 is rounded", `{"customer_id":"a","features":{"eng_n_30":9007199254740993}}`, 0, "", ""},
		{"null is missing", `{"customer_id":"a","features":{"eng_n_30":null}}`, 0, "", "4 of 4 features are missing"},
		{"unknown category", `{"customer_id":"a","features":{"cus_plan":"gold","eng_n_30":1,"pay_amt_90":1}}`, 0, "", "cus_plan: a category"},
		{"true is 1", `{"customer_id":"a","features":{"eng_n_30":true}}`, 0, "", ""},
		{"no events", `{"customer_id":"a","events":[]}`, 0, "", "no events"},
		{"event of another", `{"customer_id":"a","events":[{"type":"engagement","customer_id":"b","occurred_at":"2026-06-01T00:00:00Z","kind":"x"}]}`, 422, "/customers/1/events/0/customer_id", ""},
		{"bad event", `{"customer_id":"a","events":[{"type":"engagement","occurred_at":"2026-06-01","kind":"x"}]}`, 422, "/customers/1/events/0/occurred_at", ""},
		{"same id, other content", `{"customer_id":"a","events":[{"type":"engagement","event_id":"1","occurred_at":"2026-06-01T00:00:00Z","kind":"x"},{"type":"engagement","event_id":"1","occurred_at":"2026-06-01T00:00:00Z","kind":"y"}]}`, 422, "/customers/1/events/1", ""},
		{"two records of a customer", `{"customer_id":"a","events":[{"type":"customer"},{"type":"customer"}]}`, 422, "/customers/1/events/1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var a rows
			w.t = t
			text := w.call(200, "POST", "/v1/scores", `{"customers":[{"customer_id":"ada"},`+tt.row+`,{"customer_id":"ada"}]}`, &a)
			if len(a.Results) != 3 || a.Results[0].Error != nil || a.Results[2].Error != nil || a.Results[0].CustomerID != "ada" {
				t.Fatalf("the good rows: %.2000s", text)
			}
			got := a.Results[1]
			if tt.status == 0 {
				if got.Error != nil || tt.warning != "" && !strings.Contains(strings.Join(got.Warnings, "|"), tt.warning) {
					t.Fatalf("want a score with warning %q: %+v %+v", tt.warning, got.Error, got.Warnings)
				}
				return
			}
			if got.Error == nil || got.Error.Status != tt.status || a.Failed != 1 {
				t.Fatalf("want status %d: %.2000s", tt.status, text)
			}
			if tt.pointer != "" && (len(got.Error.Errors) == 0 || got.Error.Errors[0].Pointer != tt.pointer) {
				t.Errorf("want pointer %s: %+v", tt.pointer, got.Error.Errors)
			}
			if strings.Contains(text, "gold") || strings.Contains(text, "1e308") {
				t.Errorf("a value is echoed: %s", text)
			}
		})
	}
	w.t = t
	w.healthy()
}

// TestScoreTable: a model of a wide table takes features by column name.
func TestScoreTable(t *testing.T) {
	w := newWorld(t, func(w *world, _ *Config, _ *Deps) {
		w.put(tableModel(t))
		w.promote(w.versions[0])
	})
	w.ada()
	var p Problem
	w.call(422, "GET", "/v1/customers/ada/score", "", &p)
	if p.Type != "/docs#needs-features" {
		t.Errorf("%+v", p)
	}
	w.call(422, "POST", "/v1/recommendations", `{"customer_ids":["ada"]}`, nil)
	var a rows
	w.call(200, "POST", "/v1/scores", `{"reasons":20,"customers":[
		{"customer_id":"t","features":{"Monthly Charges":60,"Contract":"Two year","Senior":true}},
		{"customer_id":"t","features":{"Monthly_Charges":60}},
		{"customer_id":"t"},
		{"customer_id":"t","features":{"Contract":"Ten year"}}]}`, &a)
	// By hand: -1 + (-0.5 + 1.5·40/80) - 1.5 + 0.3.
	if got, want := a.Results[0].Margin, -1+0.25-1.5+0.3; !near(got, want) {
		t.Errorf("margin %v, by hand %v", got, want)
	}
	if a.Results[0].HorizonDays != nil || a.Results[0].Definition != "label: Churn=Yes" {
		t.Errorf("%+v", a.Results[0].Score)
	}
	if a.Results[1].Error == nil || a.Results[2].Error == nil || a.Results[2].Error.Status != 422 {
		t.Errorf("%+v", a.Results)
	}
	if len(a.Results[3].Warnings) != 2 { // unknown category, two of three missing
		t.Errorf("warnings %q", a.Results[3].Warnings)
	}
}

func TestScoreWithRecommendation(t *testing.T) {
	w := newWorld(t, withModels(1))
	w.ada()
	var s Score
	w.call(200, "GET", "/v1/customers/ada/score?recommend=true", "", &s)
	if s.Recommendation == nil || s.Recommendation.Basis != "prior" || s.Recommendation.Propensity != 1 {
		t.Fatalf("%+v", s.Recommendation)
	}
	if w.summary() != "5 1 0" { // looking keeps nothing
		t.Errorf("store %s", w.summary())
	}
	var a rows
	w.call(200, "POST", "/v1/scores", `{"recommend":true,"customers":[{"customer_id":"ada"},{"customer_id":"x","features":{"eng_n_30":1}}]}`, &a)
	if a.Results[0].Recommendation == nil || a.Results[0].Recommendation.DecisionID != s.Recommendation.DecisionID {
		t.Errorf("%+v", a.Results[0].Recommendation)
	}
	if a.Results[1].Recommendation != nil || !strings.Contains(strings.Join(a.Results[1].Warnings, "|"), "no recommendation") {
		t.Errorf("%+v", a.Results[1])
	}
}

func TestNoModel(t *testing.T) {
	w := newWorld(t)
	w.ada()
	w.call(200, "GET", "/livez", "", nil)
	var r readiness
	w.call(503, "GET", "/readyz", "", &r)
	if r.Status != "unavailable" || r.Model != nil {
		t.Errorf("%+v", r)
	}
	w.call(503, "GET", "/v1/customers/ada/score", "", nil)
	w.call(503, "POST", "/v1/scores", `{"customers":[{"customer_id":"ada"}]}`, nil)
	w.call(503, "POST", "/v1/recommendations", `{"customer_ids":["ada"]}`, nil)
	w.call(400, "GET", "/v1/effects", "", nil)
	w.call(200, "GET", "/v1/effects?horizon_days=30", "", nil)
	w.call(200, "GET", "/v1/models", "", nil)
}

// TestLeft: who has left has a score but nothing at risk.
func TestLeft(t *testing.T) {
	w := newWorld(t, withModels(1))
	w.ada()
	w.post(`{"type":"customer","customer_id":"ada","churned_at":"2026-06-14T00:00:00Z","churn_reason":"price"}`)
	w.pass(event.Minute)
	var s Score
	w.call(200, "GET", "/v1/customers/ada/score?recommend=true", "", &s)
	if s.ValueAtRisk != nil || !strings.Contains(strings.Join(s.Warnings, "|"), "has left") {
		t.Errorf("%+v", s)
	}
}

// What was cancelled before as_of makes nobody active or a customer of long
// standing; what is cancelled later did.
func TestVisibleCorrections(t *testing.T) {
	now := at(t, noon)
	old, late := now.Add(-100*event.Day), now.Add(-event.Day)
	d := &model.Definition{Kind: "inactivity", ActiveWithin: 30 * event.Day}
	for name, superseded := range map[string]event.Time{"before": now - 1, "later": now} {
		paid := event.PaymentCase{At: late, Recorded: late, PaidAt: late, PaidKnown: late, FailedAt: event.Never, FailedKnown: event.Never,
			RefundedAt: event.Never, RefundedKnown: event.Never, Superseded: superseded}
		due := paid
		due.At, due.Recorded, due.PaidAt, due.PaidKnown = old, old, event.Never, event.Never
		for _, tl := range []*event.Timeline{
			{Engagements: []event.EngagementEvent{{At: old, Recorded: old, Superseded: superseded}, {At: late, Recorded: late, Superseded: superseded}}},
			{Payments: []event.PaymentCase{due, paid}},
		} {
			tl.Customer.SignedUpAt = event.Never
			h, stood := visible{tl, now}, name == "later"
			if h.active(d) != stood || (h.first() == old) != stood || (h.freshness() != freshness{}) != stood {
				t.Errorf("%s %+v: active %v, since %s, freshness %+v", name, tl, h.active(d), h.first(), h.freshness())
			}
		}
	}
}

// Who is not of those that a definition observes is told so, by what was known
// at as_of.
func TestEligibleByDefinition(t *testing.T) {
	now := at(t, noon)
	early, late := now.Add(-100*event.Day), now.Add(-event.Day)
	paid := event.PaymentCase{At: late, Recorded: late, PaidAt: late, PaidKnown: late, FailedAt: event.Never, FailedKnown: event.Never,
		RefundedAt: event.Never, RefundedKnown: event.Never, Amount: 20 * event.Unit, Currency: "EUR"}
	open, dollars, unknown := paid, paid, paid
	open.PaidAt, open.PaidKnown, dollars.Currency, unknown.PaidKnown = event.Never, event.Never, "USD", now
	history := func(p ...event.PaymentCase) *event.Timeline {
		return &event.Timeline{Customer: event.Customer{SignedUpAt: early, ChurnedAt: event.Never}, Payments: p}
	}
	contract := model.Definition{Kind: "contract", Horizon: 30 * event.Day}
	exclude, include := contract, contract
	exclude.NeverActivated, include.NeverActivated, include.ActiveWithin = "exclude", "include", 30*event.Day
	fall := model.Definition{Kind: "decline", Horizon: 30 * event.Day, Measure: "spend", Drop: event.Unit / 2, Least: 15 * event.Unit}
	longer := fall
	longer.Baseline = 200 * event.Day
	payment := model.Definition{Kind: "payment", Horizon: 30 * event.Day, UnpaidFor: event.Day, ActiveWithin: event.Hour, NeverActivated: "include"}
	for _, c := range []struct {
		name string
		d    model.Definition
		tl   *event.Timeline
		want string
	}{
		{"a bill", contract, history(open), ""},
		{"a bill, active ones only", exclude, history(open), "not eligible: never active before as_of"},
		{"active", exclude, history(paid), ""},
		{"a bill, inactive ones too", include, history(open), ""},
		{"nothing", contract, history(), "not eligible: no events before as_of"},
		{"nothing, inactive ones too", include, history(), ""},
		{"nothing due of late", payment, history(open), "not eligible: no activity within 1h before as_of"},
		{"enough", fall, history(paid), ""},
		{"not paid", fall, history(open), "not eligible: spend of 0 in 30d before as_of, less than 15"},
		{"not known by now", fall, history(unknown, open), "not eligible: spend of 0 in 30d before as_of, less than 15"},
		{"two currencies", fall, history(paid, dollars), "not eligible: spend in several currencies"},
		{"younger than the baseline", longer, history(paid), "not eligible: customer for less than 200d"},
	} {
		if got := strings.Join(visible{c.tl, now}.warnings(&c.d), "|"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// The probability of a decline is not one of leaving: no value is at risk by it.
func TestDeclineIsNoLoss(t *testing.T) {
	w := newWorld(t, withModels(1))
	w.ada()
	w.pass(event.Minute)
	var before, after Score
	w.call(200, "GET", "/v1/customers/ada/score", "", &before)
	if before.ValueAtRisk == nil {
		t.Fatal("the test needs a customer of known value")
	}
	m := testModel(t, 0)
	m.Manifest.Definition = model.Definition{Kind: "decline", Gap: 7 * event.Day, Horizon: 30 * event.Day, Measure: "spend", Drop: event.Unit / 2, Least: event.Unit}
	w.put(m)
	w.promote(m.Manifest.Version)
	w.call(200, "GET", "/v1/customers/ada/score?recommend=true", "", &after)
	if after.ChurnProbability != before.ChurnProbability || after.ResidualValue != nil || after.ValueAtRisk != nil ||
		after.Recommendation == nil || after.Recommendation.Action != outreach.Nothing ||
		after.Definition != "decline: spend falls by 50 % or more within 30d after a gap of 7d, from at least 1 in 30d" {
		t.Errorf("%+v, recommended %+v", after, after.Recommendation)
	}
}
