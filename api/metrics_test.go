package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// TestScrape: a scrape is good exposition format, says what happened, and
// does not grow with what callers send.
func TestScrape(t *testing.T) {
	w := newWorld(t, withModels(1))
	w.ada()
	use := func() {
		w.call(200, "GET", "/v1/customers/ada/score", "", nil)
		w.call(200, "POST", "/v1/scores", `{"customers":[{"customer_id":"x","features":{"cus_plan":"gold"}},{"customer_id":"nobody"}]}`, nil)
		w.call(200, "POST", "/v1/recommendations", `{"customer_ids":["ada"]}`, nil)
		w.call(404, "GET", "/v1/nothing", "", nil)
	}
	use()
	scrape := func() (series int, text string) {
		t.Helper()
		rec := w.request("GET", "/metrics", "", nil)
		text = rec.Body.String()
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil || rec.Code != 200 {
			t.Fatal(rec.Code, err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				series += 1 + len(m.GetHistogram().GetBucket())
			}
		}
		return series, text
	}
	scrape() // from now on the scrapes are counted too
	before, text := scrape()
	for _, want := range []string{
		`churn_model_info{name="test",version="` + w.versions[0] + `"} 1`,
		"churn_model_loaded 1", "churn_store_up 1", "churn_panics_total 0", "churn_model_load_failures_total 0",
		`churn_predictions_total{model_version="` + w.versions[0] + `",outcome="ok"} 3`,
		`churn_predictions_total{model_version="` + w.versions[0] + `",outcome="error"} 1`,
		`churn_feature_missing_total{feature="eng_n_30"} 1`,
		`churn_feature_unknown_category_total{feature="cus_plan"} 1`,
		`churn_events_total{result="stored"} 5`,
		`churn_http_requests_total{code="200",method="GET",route="/v1/customers/:id/score"} 1`,
		`churn_http_requests_total{code="404",method="GET",route="unmatched"} 1`,
		"churn_store_commit_seconds_count", "churn_event_lag_seconds_count 5", "churn_prediction_score_count 3",
		`churn_http_request_duration_seconds_bucket{method="GET",route="/metrics",le="5e-05"}`,
		`churn_decisions_total{action=`, `churn_blocked_total{reason=`, "go_goroutines", "process_start_time_seconds",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the scrape", want)
		}
	}
	if strings.Contains(text, `"ada"`) || strings.Contains(text, "nobody") {
		t.Error("a customer is in a label")
	}
	use()
	known, _ := scrape()
	for i := range 50 {
		w.request(fmt.Sprintf("M%d", i), "/v1/scores", "", nil)
		w.request("GET", fmt.Sprintf("/nothing/%d", i), "", nil)
		w.request("GET", fmt.Sprintf("/v1/customers/c%d", i), "", nil, "X-Request-Id", fmt.Sprint(i))
	}
	after, _ := scrape()
	// Three new routes and methods at most, each with a counter and a histogram.
	if after-known > 3*(2+len(durationBuckets)+1) || after > 2000 {
		t.Errorf("%d series, then %d, then %d", before, known, after)
	}
}

func TestLint(t *testing.T) {
	w := newWorld(t, withModels(2), withShadow(1))
	w.challenge(w.versions[1])
	w.ada()
	w.call(200, "GET", "/v1/customers/ada/score", "", nil)
	w.settle()
	w.server.metrics.OnCommit(3, time.Millisecond)
	families, err := w.server.metrics.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestLabelLimits: versions and features are bounded over a long life.
func TestLabelLimits(t *testing.T) {
	w := newWorld(t, withModels(12))
	for _, v := range w.versions {
		w.promote(v)
		w.serves()
	}
	families, err := w.server.metrics.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "churn_predictions_total" && len(f.GetMetric()) != 2*maxVersionLabels {
			t.Errorf("%d series of %s", len(f.GetMetric()), f.GetName())
		}
	}
	w = newWorld(t, withModels(12), withShadow(1))
	for _, v := range w.versions[1:] {
		w.challenge(v)
		w.serves()
	}
	if n := len(w.family("churn_challenger_predictions_total")); n != 4*maxVersionLabels {
		t.Errorf("%d series of challengers", n)
	}
	m := NewMetrics()
	for i := range 500 {
		m.featureLabel(fmt.Sprint("f", i))
	}
	if len(m.labels) != maxFeatureLabels || m.featureLabel("f499") != "other" || m.featureLabel("f1") != "f1" {
		t.Errorf("%d features", len(m.labels))
	}
}
