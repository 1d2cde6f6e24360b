package api

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"

	"churn/event"
	"churn/features"
	"churn/model"
	"churn/model/registry"
	"churn/outreach"
	"churn/store"
)

// world is a server on a real store and registry, under a clock that stands
// still until it is moved.
type world struct {
	t        testing.TB
	clock    atomic.Int64
	store    *store.DB
	registry *registry.Registry
	live     *registry.Live
	server   *Server
	versions []string // stored models, the first promoted
}

// noon of a Monday, outside the quiet hours of the policy.
const noon = "2026-06-15T12:00:00Z"

func at(t testing.TB, s string) event.Time {
	t.Helper()
	v, reason := parseTimeText(s)
	if reason != "" {
		t.Fatal(s, reason)
	}
	return v
}

func (w *world) now() event.Time { return event.Time(w.clock.Load()) }

func (w *world) pass(d event.Duration) { w.clock.Add(int64(d)) }

// change alters a world before the server is made.
type change func(*world, *Config, *Deps)

func newWorld(t testing.TB, changes ...change) *world {
	t.Helper()
	w := &world{t: t}
	w.clock.Store(int64(at(t, noon)))
	metrics := NewMetrics()
	var err error
	w.store, err = store.Open(context.Background(), filepath.Join(t.TempDir(), "churn.db"), store.Options{Now: w.now, OnCommit: metrics.OnCommit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	if w.registry, err = registry.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	w.live = registry.NewLive(w.registry, "test", registry.Champion)
	policy, err := outreach.DefaultPolicy("salt")
	if err != nil {
		t.Fatal(err)
	}
	policy.Holdout.Share, policy.Explore = 0, 0 // everyone gets what the policy wants
	policy.Economics.DefaultMonthlyValue = 40
	config := Config{}
	deps := Deps{Store: w.store, Registry: w.registry, Live: w.live, Policy: policy, Now: w.now, Metrics: metrics}
	for _, c := range changes {
		c(w, &config, &deps)
	}
	if w.server, err = New(config, deps); err != nil {
		t.Fatal(err)
	}
	return w
}

// withModels puts models with different offsets of the calibration, and
// promotes the first.
func withModels(n int) change {
	return func(w *world, _ *Config, _ *Deps) {
		for i := range n {
			w.put(testModel(w.t, float64(i)/10))
		}
		w.promote(w.versions[0])
	}
}

func (w *world) put(m *model.Model) {
	w.t.Helper()
	if _, err := w.registry.Put(m); err != nil {
		w.t.Fatal(err)
	}
	w.versions = append(w.versions, m.Manifest.Version)
}

func (w *world) promote(version string) {
	w.t.Helper()
	if _, err := w.registry.Promote("test", registry.Champion, version, registry.Change{At: w.now(), Actor: "test", Reason: "test"}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.live.Reload(); err != nil {
		w.t.Fatal(err)
	}
}

const testSet = `
version: 1
attributes:
- {name: plan, type: category, levels: [basic, pro]}
features:
- {name: "eng_n_{w}", from: engagement, agg: count, windows: [30d], family: engagement, text: "{value engagement|engagements} in {w}"}
- {name: "pay_amt_{w}", from: payments, agg: sum, field: amount, windows: [90d], family: spend, text: "{value} paid in {w}"}
- {name: eng_rec, from: engagement, agg: recency, windows: [365d], family: engagement, text: "no engagement for {value day|days}; {eng_n_30} in 30 days", missing: "no engagement in {w}"}
`

// testModel is additive over four features, by hand.
func testModel(t testing.TB, offset float64) *model.Model {
	t.Helper()
	set, err := features.Parse([]byte(testSet))
	if err != nil {
		t.Fatal(err)
	}
	return finish(t, &model.Model{
		Features: set,
		Linear: &model.Linear{Intercept: -1, Terms: []model.Term{
			{Feature: "cus_plan", Levels: []float64{0.2, -0.4}, Other: 0.1, Missing: 0.05, Mean: 0.03},
			{Feature: "eng_n_30", Knots: []float64{0, 10}, Values: []float64{1.5, -1}, Missing: 0, Mean: 0.25},
			{Feature: "pay_amt_90", Knots: []float64{0, 100}, Values: []float64{0.5, -0.5}, Mean: 0.1},
			{Feature: "eng_rec", Knots: []float64{0, 60}, Values: []float64{-0.5, 2}, Missing: 0.7, Mean: 0.2},
		}},
		Calibration: model.Calibration{Kind: "platt", Slope: 1.2, Offset: offset},
	}, model.Definition{Kind: "inactivity", Gap: 7 * event.Day, Horizon: 30 * event.Day, ActiveWithin: 90 * event.Day, Streams: []string{"engagement", "payments"}, MinTenure: 5 * event.Day})
}

// tableModel is trained on a wide table.
func tableModel(t testing.TB) *model.Model {
	t.Helper()
	set, err := features.Parse([]byte(`
version: 1
columns:
- {name: Monthly Charges, type: number}
- {name: Contract, type: category, levels: [Month-to-month, Two year]}
- {name: Senior, type: number}
`))
	if err != nil {
		t.Fatal(err)
	}
	return finish(t, &model.Model{
		Features: set,
		Linear: &model.Linear{Intercept: -1, Terms: []model.Term{
			{Feature: "Monthly_Charges", Knots: []float64{20, 100}, Values: []float64{-0.5, 1}, Mean: 0.1},
			{Feature: "Contract", Levels: []float64{0.8, -1.5}, Mean: 0.2},
			{Feature: "Senior", Knots: []float64{0, 1}, Values: []float64{0, 0.3}, Mean: 0.05},
		}},
		Calibration: model.Calibration{Kind: "platt", Slope: 1, Offset: 0},
	}, model.Definition{Kind: "label", Label: "Churn=Yes"})
}

// finish fills in what follows from the rest: fingerprint, reference, gate.
func finish(t testing.TB, m *model.Model, d model.Definition) *model.Model {
	t.Helper()
	engine, err := m.Features.Compile()
	if err != nil {
		t.Fatal(err)
	}
	m.Manifest = model.Manifest{Name: "test", Kind: "logistic", Seed: 1, Through: at(t, "2026-06-01T00:00:00Z"), Definition: d,
		Weights: model.Weights{Linear: 1}, Bands: model.Bands{Medium: 0.2, High: 0.5}, FeatureFingerprint: engine.Fingerprint(),
		Metrics: map[string]float64{"auc": 0.81}, Gate: model.Gate{Passed: true, Reasons: []string{"auc 0.81 against 0.74 of the rule"}}}
	x := &features.Matrix{Features: engine.Features()}
	p := make([]float64, 200)
	for i := range p {
		for j, row := 0, x.Grow(); j < len(row); j++ {
			row[j] = float32(i * (j + 1) % 7)
		}
		p[i] = float64(i) / 200
	}
	m.Reference = model.NewReference(x, p, nil)
	m.ReportJSON, m.ReportHTML = []byte(`{}`), []byte(`<p>report</p>`)
	return m
}

// request sends a request to the handler and returns status and body.
func (w *world) request(method, path, contentType string, body []byte, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost/", bytes.NewReader(body))
	u, err := r.URL.Parse(path)
	if err != nil {
		w.t.Fatal(err)
	}
	r.URL, r.RequestURI = u, path
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(rec, r)
	return rec
}

// call sends JSON and decodes the answer into dst, if that is not nil.
func (w *world) call(status int, method, path, body string, dst any) string {
	w.t.Helper()
	contentType := ""
	if method == "POST" {
		contentType = "application/json"
	}
	rec := w.request(method, path, contentType, []byte(body))
	text := rec.Body.String()
	if rec.Code != status {
		w.t.Fatalf("%s %s: status %d, want %d: %.2000s", method, path, rec.Code, status, text)
	}
	if dst != nil {
		if err := json.Unmarshal([]byte(text), dst); err != nil {
			w.t.Fatalf("%s %s: %v in %.2000s", method, path, err, text)
		}
	}
	return text
}

// rows is a batch answer whose results are all scores.
type rows struct {
	Model   modelRef `json:"model"`
	Scored  int      `json:"scored"`
	Failed  int      `json:"failed"`
	Results []struct {
		Score
		Error *Problem `json:"error"`
	} `json:"results"`
}

// ada is a customer with some history, stored before noon.
func (w *world) ada() {
	w.t.Helper()
	w.post(`{"type":"customer","customer_id":"ada","signed_up_at":"2025-01-01T00:00:00Z","attributes":{"plan":"pro","products":1,"on_discount":false},"consent":["marketing:email","service:email"]}`,
		`{"type":"engagement","customer_id":"ada","event_id":"e1","occurred_at":"2026-05-20T09:00:00Z","kind":"visit"}`,
		`{"type":"engagement","customer_id":"ada","event_id":"e2","occurred_at":"2026-06-10T09:00:00Z","kind":"visit","value":2.5}`,
		`{"type":"payment","customer_id":"ada","event_id":"p1","due_at":"2026-05-01T00:00:00Z","paid_at":"2026-05-03T00:00:00Z","amount":60,"currency":"EUR"}`,
		`{"type":"complaint","customer_id":"ada","event_id":"c1","opened_at":"2026-06-01T00:00:00Z","category":"billing","severity":3}`)
	w.pass(event.Minute)
}

func (w *world) post(records ...string) eventsAnswer {
	w.t.Helper()
	var a eventsAnswer
	w.call(200, "POST", "/v1/events", `{"events":[`+strings.Join(records, ",")+`]}`, &a)
	return a
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Max(1, math.Abs(b)) }

// summary counts what the store holds.
func (w *world) summary() string {
	w.t.Helper()
	sum, err := w.store.Summary(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	decisions, err := w.store.Decisions(context.Background(), "", event.Time(math.MinInt64))
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprint(sum.Events, sum.Customers, len(decisions))
}

// healthy checks that the server still does its work.
func (w *world) healthy() {
	w.t.Helper()
	w.call(200, "GET", "/readyz", "", nil)
	var a rows
	w.call(200, "POST", "/v1/scores", `{"customers":[{"customer_id":"x","features":{"eng_n_30":3}}]}`, &a)
	if a.Scored != 1 {
		w.t.Fatalf("scores %+v", a)
	}
	if n := w.scrape()["churn_panics_total"]; n != 0 {
		w.t.Fatalf("%v panics", n)
	}
}

// scrape returns the metrics without labels.
func (w *world) scrape() map[string]float64 {
	w.t.Helper()
	families, err := w.server.metrics.Registry().Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch {
			case m.GetCounter() != nil:
				values[f.GetName()] += m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				values[f.GetName()] += m.GetGauge().GetValue()
			case m.GetHistogram() != nil:
				values[f.GetName()] += float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return values
}
