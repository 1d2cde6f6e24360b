package api

import (
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"churn/event"
	"churn/features"
	"churn/model"
	"churn/model/registry"
)

// withShadow lets the server follow a challenger.
func withShadow(share float64) change {
	return func(w *world, c *Config, d *Deps) {
		d.Challenger = registry.NewLive(w.registry, "test", registry.Challenger)
		c.ShadowShare = share
	}
}

// challenge makes a version the challenger, or retires it if that is empty.
func (w *world) challenge(version string) {
	w.t.Helper()
	var err error
	if version == "" {
		_, err = w.registry.Retire("test", registry.Challenger, registry.Change{At: w.now()})
	} else {
		_, err = w.registry.Promote("test", registry.Challenger, version, registry.Change{At: w.now()})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.server.shadow.live.Reload(); err != nil {
		w.t.Fatal(err)
	}
}

// other is a model that reads the history in another way than testModel.
func other(t testing.TB) *model.Model {
	t.Helper()
	set, err := features.Parse([]byte(`
version: 1
features:
- {name: "eng_n_{w}", from: engagement, agg: count, windows: [7d]}
- {name: cmp_n_90, from: complaints, agg: count, windows: [90d]}
`))
	if err != nil {
		t.Fatal(err)
	}
	return finish(t, &model.Model{Features: set, Calibration: model.Calibration{Kind: "platt", Slope: 1},
		Linear: &model.Linear{Intercept: 0.5, Terms: []model.Term{
			{Feature: "eng_n_7", Knots: []float64{0, 10}, Values: []float64{0, -10}},
			{Feature: "cmp_n_90", Knots: []float64{0, 10}, Values: []float64{0, 20}},
		}}}, model.Definition{Kind: "inactivity", Horizon: 30 * event.Day})
}

// settle waits until nothing waits for the challenger.
func (w *world) settle() {
	w.t.Helper()
	s := w.server.shadow
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		done := s.workers == 0
		s.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatal("the challenger is not done")
		}
	}
}

// hold lets no worker start until the returned function is called.
func (w *world) hold() (release func()) {
	s := w.server.shadow
	s.mu.Lock()
	s.workers += 1000
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		s.workers -= 999
		s.mu.Unlock()
		s.work()
	}
}

// outcomes counts what became of the customers offered to the challenger.
func (w *world) outcomes() string {
	w.t.Helper()
	w.settle()
	n := map[string]float64{}
	for _, s := range w.family("churn_challenger_predictions_total") {
		n[s.labels["outcome"]] += s.value
	}
	return fmt.Sprintf("ok %v, skipped %v, dropped %v, error %v", n["ok"], n["skipped"], n["dropped"], n["error"])
}

// series is one of a metric; of a histogram, value is the sum.
type series struct {
	labels map[string]string
	value  float64
	count  uint64
}

func (w *world) family(name string) (all []series) {
	w.t.Helper()
	families, err := w.server.metrics.Registry().Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			s := series{labels: map[string]string{}, value: m.GetCounter().GetValue()}
			if h := m.GetHistogram(); h != nil {
				s.value, s.count = h.GetSampleSum(), h.GetSampleCount()
			}
			for _, l := range m.GetLabel() {
				s.labels[l.GetName()] = l.GetValue()
			}
			all = append(all, s)
		}
	}
	return all
}

// TestShadow: a server with a challenger answers byte for byte as one without,
// and counts how the challenger differs.
func TestShadow(t *testing.T) {
	alone := newWorld(t, withModels(1), decisive(5))
	w := newWorld(t, withModels(1), decisive(5), withShadow(0))
	w.put(testModel(t, 2))
	w.challenge(w.versions[1])
	var p, q []float64 // of champion and challenger
	bands := map[[2]string]float64{}
	for _, x := range []*world{alone, w} {
		x.ada()
	}
	for _, r := range []struct{ method, path, body string }{
		{"GET", "/v1/customers/ada/score?recommend=true", ""},
		{"GET", "/v1/customers/ada/score?as_of=2026-06-01T00:00:00Z&reasons=0", ""},
		{"GET", "/v1/customers/nobody/score", ""},
		{"POST", "/v1/scores", `{"recommend":true,"customers":[{"customer_id":"ada"},{"customer_id":"nobody"},{},
			{"customer_id":"x","features":{"eng_n_30":9}},{"customer_id":"y","features":{"eng_n_30":5,"cus_plan":"gold"}},{"customer_id":"z","features":{"what":1}},
			{"customer_id":"n","events":[{"type":"engagement","occurred_at":"2026-06-14T00:00:00Z","kind":"visit"}]}]}`},
		{"POST", "/v1/recommendations", `{"customer_ids":["ada","nobody"],"dry_run":true}`},
		{"POST", "/v1/recommendations", `{"customer_ids":["ada"]}`},
		{"POST", "/v1/recommendations", `{"customer_ids":["ada"]}`},
	} {
		contentType := ""
		if r.body != "" {
			contentType = "application/json"
		}
		want, got := alone.request(r.method, r.path, contentType, []byte(r.body)), w.request(r.method, r.path, contentType, []byte(r.body))
		if got.Code != want.Code || got.Body.String() != want.Body.String() {
			t.Errorf("%s %s: %d %s\nwithout a challenger: %d %s", r.method, r.path, got.Code, got.Body, want.Code, want.Body)
		}
		var a struct {
			Score
			Results []struct {
				Score
				Inner *Score `json:"score"`
			} `json:"results"`
		}
		if err := json.Unmarshal(got.Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		scores := []*Score{&a.Score}
		if a.Results != nil {
			scores = nil
		}
		for i := range a.Results {
			scores = append(scores, &a.Results[i].Score)
			if inner := a.Results[i].Inner; inner != nil {
				scores = append(scores, inner)
			}
		}
		for _, s := range scores {
			if s.Model.Version == "" { // no score
				continue
			}
			p, q = append(p, s.ChurnProbability), append(q, model.Sigmoid(1.2*s.Margin+2))
			bands[[2]string{s.RiskBand, model.Bands{Medium: 0.2, High: 0.5}.Band(q[len(q)-1])}]++
		}
	}
	// Two alone, four of the batch, three recommended.
	if got := w.outcomes(); len(p) != 9 || got != "ok 9, skipped 0, dropped 0, error 0" {
		t.Fatalf("%d scores, %s", len(p), got)
	}
	sum := func(f func(i int) float64) (s float64) {
		for i := range p {
			s += f(i)
		}
		return s
	}
	for name, want := range map[string]float64{
		"churn_prediction_score":            sum(func(i int) float64 { return p[i] }),
		"churn_challenger_prediction_score": sum(func(i int) float64 { return q[i] }),
		"churn_challenger_difference":       sum(func(i int) float64 { return math.Abs(p[i] - q[i]) }),
	} {
		if h := w.family(name)[0]; h.count != 9 || math.Abs(h.value-want) > 1e-9 {
			t.Errorf("%s: %d scores, sum %v, want %v", name, h.count, h.value, want)
		}
	}
	counted := w.family("churn_challenger_bands_total")
	for _, s := range counted {
		if k := [2]string{s.labels["champion"], s.labels["challenger"]}; s.value != bands[k] {
			t.Errorf("bands %v: %v, want %v", k, s.value, bands[k])
		}
	}
	if len(counted) != 9 || len(bands) < 2 {
		t.Errorf("%d series of bands, of which %d are used", len(counted), len(bands))
	}
	// What is the champion's is not touched.
	if n := alone.scrape(); n["churn_predictions_total"] != w.scrape()["churn_predictions_total"] || n["churn_feature_missing_total"] != w.scrape()["churn_feature_missing_total"] {
		t.Errorf("alone %v", n)
	}
	if got := alone.outcomes(); got != "ok 0, skipped 0, dropped 0, error 0" {
		t.Errorf("without a challenger: %s", got)
	}
}

// TestShadowOwnFeatures: a challenger with features of its own sees the history
// that the champion saw, at the same instant, whatever happened since.
func TestShadowOwnFeatures(t *testing.T) {
	w := newWorld(t, withModels(1), withShadow(1))
	m := other(t)
	w.put(m)
	w.challenge(w.versions[1])
	w.ada()
	release := w.hold()
	w.call(200, "GET", "/v1/customers/ada/score", "", nil)
	w.call(200, "GET", "/v1/customers/ada/score?as_of=2026-05-31T00:00:00Z", "", nil) // before the complaint
	w.pass(event.Minute)
	w.post(`{"type":"engagement","customer_id":"ada","event_id":"e9","occurred_at":"2026-06-15T12:00:30Z","kind":"visit"}`)
	w.pass(30 * event.Day)
	release()
	// By hand: e2 within 7 days and the complaint within 90; then, as of May,
	// nothing, for nothing had been recorded.
	want := model.Sigmoid(0.5-1+2) + model.Sigmoid(0.5)
	if got := w.outcomes(); got != "ok 2, skipped 0, dropped 0, error 0" {
		t.Fatal(got)
	}
	if got := w.family("churn_challenger_prediction_score")[0].value; math.Abs(got-want) > 1e-12 {
		t.Errorf("scores add up to %v, want %v", got, want)
	}
}

// TestShadowSkips: whose row cannot be had is not scored, and that is counted.
func TestShadowSkips(t *testing.T) {
	events := `{"customer_id":"a","events":[{"type":"engagement","occurred_at":"2026-06-14T00:00:00Z","kind":"visit"}]}`
	row := `{"customer_id":"a","features":{"eng_n_30":3}}`
	wide := `{"customer_id":"a","features":{"Senior":1}}`
	for _, tt := range []struct {
		name                 string
		champion, challenger func(testing.TB) *model.Model
		customers            string
		want                 string
	}{
		{"same features", first, second, events + "," + row, "ok 2, skipped 0"},
		{"other features", first, other, events, "ok 1, skipped 0"},
		{"other features, given as a row", first, other, row, "ok 0, skipped 1"},
		{"the champion itself", first, first, events + "," + row, "ok 0, skipped 2"},
		{"of a table", first, tableModel, events + "," + row, "ok 0, skipped 2"},
		{"beside one of a table", tableModel, first, wide, "ok 0, skipped 1"},
		{"both of one table", tableModel, func(t testing.TB) *model.Model {
			m := tableModel(t)
			m.Calibration.Offset = 1
			return m
		}, wide, "ok 1, skipped 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, withShadow(1), func(w *world, _ *Config, _ *Deps) { w.put(tt.champion(t)) })
			w.promote(w.versions[0])
			w.put(tt.challenger(t))
			w.challenge(w.versions[1])
			var a rows
			w.call(200, "POST", "/v1/scores", `{"customers":[`+tt.customers+`]}`, &a)
			if got := w.outcomes(); a.Failed != 0 || got != tt.want+", dropped 0, error 0" {
				t.Errorf("%+v: %s, want %s", a, got, tt.want)
			}
		})
	}
}

func first(t testing.TB) *model.Model  { return testModel(t, 0) }
func second(t testing.TB) *model.Model { return testModel(t, 1) }

// TestShadowQueue: what does not fit is dropped at once and counted; what waits
// when the server ends is scored, as far as there is time.
func TestShadowQueue(t *testing.T) {
	batch := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(`{"customer_id":"c%d","features":{"eng_n_30":%d}}`, i, i%9)
		}
		return `{"reasons":0,"customers":[` + strings.Join(list, ",") + `]}`
	}
	start := func(n int) (w *world, release func()) {
		w = newWorld(t, withModels(2), withShadow(1), func(_ *world, c *Config, _ *Deps) { c.DrainDelay = time.Millisecond })
		w.challenge(w.versions[1])
		release = w.hold()
		var a rows
		w.call(200, "POST", "/v1/scores", batch(n), &a)
		if a.Scored != n {
			t.Errorf("%d of %d scored", a.Scored, n)
		}
		return w, release
	}
	t.Run("full", func(t *testing.T) {
		w, release := start(maxShadowQueue + 7)
		release()
		if got := w.outcomes(); got != fmt.Sprintf("ok %d, skipped 0, dropped 7, error 0", maxShadowQueue) {
			t.Error(got)
		}
		w.call(200, "POST", "/v1/scores", batch(3), nil) // there is room again
		if got := w.outcomes(); got != fmt.Sprintf("ok %d, skipped 0, dropped 7, error 0", maxShadowQueue+3) {
			t.Error(got)
		}
	})
	t.Run("end", func(t *testing.T) {
		w, release := start(5)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- w.server.Serve(ctx, l) }()
		stop()
		s := w.server.shadow
		for closed := false; !closed; time.Sleep(time.Millisecond) {
			s.mu.Lock()
			closed = s.closed
			s.mu.Unlock()
		}
		select {
		case err := <-served:
			t.Fatalf("ended before the challenger was done: %v", err)
		default:
		}
		release()
		if err := <-served; err != nil {
			t.Error(err)
		}
		w.call(200, "POST", "/v1/scores", batch(2), nil) // by another door: the shadow is closed
		if got := w.outcomes(); got != "ok 5, skipped 0, dropped 2, error 0" {
			t.Error(got)
		}
		if n := s.drain(context.Background()); n != 0 {
			t.Errorf("%d dropped at a second end", n)
		}
	})
	t.Run("end without time", func(t *testing.T) {
		w, release := start(5)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if n := w.server.shadow.drain(ctx); n != 5 {
			t.Errorf("%d dropped, want 5", n)
		}
		release()
		if got := w.outcomes(); got != "ok 0, skipped 0, dropped 5, error 0" {
			t.Error(got)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		w := newWorld(t, withModels(1))
		if n := w.server.shadow.drain(context.Background()); n != 0 {
			t.Errorf("%d dropped", n)
		}
	})
}

// TestShadowPanic: a defect that only the challenger meets is counted, and the
// next customer is scored.
func TestShadowPanic(t *testing.T) {
	w := newWorld(t, withModels(2), withShadow(1))
	w.challenge(w.versions[1])
	champion := w.live.Scorer()
	w.server.shadow.offer(champion, &subject{customer: "a", row: []float32{}}, model.Score{Band: "low"}) // too short
	w.serves()
	if got := w.outcomes(); got != "ok 1, skipped 0, dropped 0, error 1" || w.scrape()["churn_panics_total"] != 1 {
		t.Errorf("%s, %v panics", got, w.scrape()["churn_panics_total"])
	}
}

// TestShadowShare: about the share of all customers, the same ones every time,
// and those of a smaller share among those of a larger one.
func TestShadowShare(t *testing.T) {
	some, more := newShadow(nil, 0.1, nil, nil), newShadow(nil, 0.3, nil, nil)
	n, m := 0, 0
	for i := range 10_000 {
		id := fmt.Sprint("c", i)
		if some.sampled(id) {
			n++
			if !more.sampled(id) {
				t.Errorf("%s is in a tenth and not in three", id)
			}
		}
		if more.sampled(id) {
			m++
		}
	}
	// Five standard deviations of the binomial: 150 and 230.
	if n < 850 || n > 1150 || m < 2770 || m > 3230 {
		t.Errorf("%d and %d of 10000, want about 1000 and 3000", n, m)
	}
	w := newWorld(t, withModels(2), withShadow(0.3))
	w.challenge(w.versions[1])
	want := 0
	for i := range 200 {
		id := fmt.Sprint("c", i)
		w.call(200, "POST", "/v1/scores", `{"customers":[{"customer_id":"`+id+`","features":{}}]}`, nil)
		if more.sampled(id) {
			want++
		}
	}
	if got := w.outcomes(); got != fmt.Sprintf("ok %d, skipped 0, dropped 0, error 0", want) {
		t.Errorf("%s, want %d", got, want)
	}
}

// TestChallengerIsTold: by /v1/models and the metrics; a damaged one is
// counted, and no matter of readiness.
func TestChallengerIsTold(t *testing.T) {
	w := newWorld(t, withModels(2), withShadow(1))
	told := func(challenger string, failures float64) {
		t.Helper()
		var a modelsAnswer
		w.call(200, "GET", "/v1/models", "", &a)
		got := ""
		if a.Challenger != nil {
			got = a.Challenger.Version
		}
		if got != challenger || a.Serving.Version != w.versions[0] {
			t.Errorf("challenger %s beside %s, want %s", got, a.Serving.Version, challenger)
		}
		got = ""
		if m := w.family("churn_challenger_info"); len(m) > 0 {
			got = m[0].labels["version"]
		}
		if n := w.scrape()["churn_challenger_load_failures_total"]; got != challenger || n != failures {
			t.Errorf("metrics: challenger %q, %v failures; want %q, %v", got, n, challenger, failures)
		}
		var r readiness
		if w.call(200, "GET", "/readyz", "", &r); r.Status != "ready" {
			t.Errorf("%+v", r)
		}
	}
	told("", 0)
	w.challenge(w.versions[1])
	told(w.versions[1], 0)
	w.challenge("")
	told("", 0)
	// Promoted, and damaged behind the registry's back.
	if _, err := w.registry.Promote("test", registry.Challenger, w.versions[1], registry.Change{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.registry.Dir(), "test", w.versions[1]+".churn")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := w.server.shadow.live.Reload(); err == nil {
			t.Fatal("a damaged challenger was loaded")
		}
	}
	told("", 1)
	if err := os.WriteFile(path, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if swapped, err := w.server.shadow.live.Reload(); !swapped || err != nil {
		t.Error(swapped, err)
	}
	told(w.versions[1], 1)
	// Without following one, nothing is told of any.
	if m := newWorld(t).family("churn_challenger_load_failures_total"); m != nil {
		t.Error(m)
	}
}

// TestHotSwap: while both aliases move under load, every answer is, to the
// byte, that of one version alone, and every score is offered to a challenger.
func TestHotSwap(t *testing.T) {
	w := newWorld(t, withModels(3), withShadow(1))
	w.put(other(t))
	w.ada()
	w.challenge(w.versions[3])
	requests := []struct{ method, path, body string }{
		{"GET", "/v1/customers/ada/score", ""},
		{"POST", "/v1/scores", `{"customers":[{"customer_id":"ada"},{"customer_id":"x","features":{"eng_n_30":4}}]}`},
		{"POST", "/v1/recommendations", `{"customer_ids":["ada"],"dry_run":true}`},
	}
	send := func(i int) (int, string) {
		r := requests[i]
		contentType := ""
		if r.body != "" {
			contentType = "application/json"
		}
		rec := w.request(r.method, r.path, contentType, []byte(r.body))
		return rec.Code, rec.Body.String()
	}
	// Each version alone. A decision's id and time do not depend on the moment:
	// the clock stands still.
	alone := map[string]string{}
	var scores atomic.Int64
	each := []int64{1, 2, 1}
	for _, v := range w.versions[:3] {
		w.promote(v)
		for i := range requests {
			code, body := send(i)
			if code != 200 || !strings.Contains(body, v) || alone[body] != "" {
				t.Fatalf("%d %s, as that of %s", code, body, alone[body])
			}
			alone[body] = v
			scores.Add(each[i])
		}
	}
	stop := make(chan struct{})
	var seen sync.Map
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			for i := g; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				code, body := send(i % 3)
				if code != 200 || alone[body] == "" {
					t.Errorf("%d, the answer of no version: %s", code, body)
					return
				}
				seen.Store(alone[body], true)
				scores.Add(each[i%3])
			}
		})
	}
	move := func(live *registry.Live, alias, version string) {
		if _, err := w.registry.Promote("test", alias, version, registry.Change{At: w.now()}); err != nil {
			t.Error(err)
		}
		if _, err := live.Reload(); err != nil {
			t.Error(err)
		}
	}
	for i := range 30 {
		seen.Delete(w.versions[i%3])
		move(w.live, registry.Champion, w.versions[i%3])
		move(w.server.shadow.live, registry.Challenger, w.versions[(i*7)%4])
		for start := time.Now(); ; time.Sleep(time.Millisecond) {
			if _, ok := seen.Load(w.versions[i%3]); ok || t.Failed() {
				break
			}
			if time.Since(start) > 20*time.Second {
				t.Errorf("after swap %d no request is answered by %s", i, w.versions[i%3])
			}
		}
	}
	close(stop)
	wg.Wait()
	w.settle()
	if got := w.scrape()["churn_challenger_predictions_total"]; got != float64(scores.Load()) {
		t.Errorf("%v customers were offered to a challenger, %d scored: %s", got, scores.Load(), w.outcomes())
	}
	if n := w.scrape()["churn_panics_total"]; n != 0 {
		t.Errorf("%v panics", n)
	}
}
