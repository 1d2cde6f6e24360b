package api

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"churn/features"
	"churn/model"
	"churn/outreach"
	"churn/store"
)

// Limits on label values, so that neither a caller nor a long life can fill
// the memory with series.
const (
	maxFeatureLabels = 200
	maxVersionLabels = 8
)

// Metrics is everything that is counted, in a registry of its own. Make it
// before the store, whose Options.OnCommit takes [Metrics.OnCommit]; one
// Metrics serves one Server.
type Metrics struct {
	registry *prometheus.Registry

	requests     *prometheus.CounterVec
	duration     *prometheus.HistogramVec
	inflight     prometheus.Gauge
	authFailures *prometheus.CounterVec
	rateLimited  prometheus.Counter
	panics       prometheus.Counter

	predictions *prometheus.CounterVec
	score       prometheus.Histogram
	missing     *prometheus.CounterVec
	unknown     *prometheus.CounterVec

	shadowed    *prometheus.CounterVec
	shadowScore prometheus.Histogram
	difference  prometheus.Histogram
	bands       *prometheus.CounterVec

	events      *prometheus.CounterVec
	eventLag    prometheus.Histogram
	commit      prometheus.Histogram
	commitRows  prometheus.Histogram
	storeErrors *prometheus.CounterVec
	lookups     *prometheus.CounterVec
	dropped     *prometheus.CounterVec

	decisions *prometheus.CounterVec
	blocked   *prometheus.CounterVec

	mu          sync.Mutex
	model       *modelMetrics
	labels      map[string]string // of features
	versions    []string
	challenger  *challengerMetrics
	challengers []string // versions
}

// NewMetrics makes a registry with the metrics of a server, the Go runtime and
// the process.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), labels: map[string]string{}}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
		m.registry.MustRegister(h)
		return h
	}
	m.requests = counters("churn_http_requests_total", "Requests answered.", "route", "method", "code")
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "churn_http_request_duration_seconds",
		Help: "Time from the headers read to the answer written.", Buckets: durationBuckets}, []string{"route", "method"})
	m.inflight = prometheus.NewGauge(prometheus.GaugeOpts{Name: "churn_http_inflight", Help: "Requests under way."})
	m.registry.MustRegister(m.duration, m.inflight)
	m.authFailures = counters("churn_auth_failures_total", "Requests refused for their API key.", "reason")
	m.rateLimited = counter("churn_ratelimited_total", "Requests refused for coming too fast.")
	m.panics = counter("churn_panics_total", "Panics that were caught; each is a defect.")

	m.predictions = counters("churn_predictions_total", "Rows scored, by outcome ok or error.", "model_version", "outcome")
	m.score = histogram("churn_prediction_score", "Churn probabilities given.", scoreBuckets)
	m.missing = counters("churn_feature_missing_total", "Missing values in scored rows.", "feature")
	m.unknown = counters("churn_feature_unknown_category_total", "Categories in scored rows that training did not see.", "feature")

	m.shadowed = counters("churn_challenger_predictions_total",
		"Customers offered to the challenger, by outcome ok, skipped (its row could not be had), dropped (too many at once) or error.", "model_version", "outcome")
	m.shadowScore = histogram("churn_challenger_prediction_score", "Churn probabilities of the challenger, which are in no answer.", scoreBuckets)
	m.difference = histogram("churn_challenger_difference", "Absolute difference between the churn probabilities of champion and challenger for one customer.", differenceBuckets)
	m.bands = counters("churn_challenger_bands_total", "Customers scored by both, by the risk band of each.", "champion", "challenger")
	for _, champion := range bandNames {
		for _, challenger := range bandNames {
			m.bands.WithLabelValues(champion, challenger)
		}
	}

	m.events = counters("churn_events_total", "Records received, by what became of them.", "result")
	m.eventLag = histogram("churn_event_lag_seconds", "Time from an event's occurrence to its storing.", lagBuckets)
	m.commit = histogram("churn_store_commit_seconds", "Time a commit of the store took.", durationBuckets)
	m.commitRows = histogram("churn_store_commit_rows", "Rows in a commit of the store.", []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000})
	m.storeErrors = counters("churn_store_errors_total", "Errors of the store that a request met.", "kind")
	m.lookups = counters("churn_history_lookups_total", "Histories of customers asked for, by whether they were kept in memory (hit) or read from the store (miss).", "result")
	m.dropped = counters("churn_history_dropped_total",
		"Histories no longer kept in memory: evicted for others, changed by more than an event, foreign_write for a write of another process, too_large.", "reason")

	m.decisions = counters("churn_decisions_total", "Decisions kept in the log.", "action", "channel", "arm")
	m.blocked = counters("churn_blocked_total", "Actions that were blocked in kept decisions.", "reason")

	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// 50 µs to 2.5 s.
var durationBuckets = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}

var scoreBuckets = []float64{.01, .02, .05, .1, .15, .2, .3, .4, .5, .6, .7, .8, .9, .95}

var differenceBuckets = []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5}

// bandNames are what model.Bands.Band may say.
var bandNames = []string{"low", "medium", "high"}

// A second to a year.
var lagBuckets = []float64{1, 10, 60, 600, 3600, 6 * 3600, 86400, 3 * 86400, 7 * 86400, 30 * 86400, 90 * 86400, 365 * 86400}

// Registry is where the metrics are, to gather them or to add others.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// OnCommit is a hook for store.Options.OnCommit.
func (m *Metrics) OnCommit(rows int, took time.Duration) {
	m.commit.Observe(max(0, took.Seconds()))
	m.commitRows.Observe(float64(rows))
}

// storeError counts an error if it is one of the store's.
func (m *Metrics) storeError(err error) {
	for _, k := range []struct {
		err  error
		name string
	}{{store.ErrBusy, "busy"}, {store.ErrFull, "full"}, {store.ErrFailed, "failed"}, {store.ErrClosed, "closed"},
		{context.DeadlineExceeded, "timeout"}} {
		if errors.Is(err, k.err) {
			m.storeErrors.WithLabelValues(k.name).Inc()
			return
		}
	}
}

var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// methodLabel bounds a label that callers choose.
func methodLabel(method string) string {
	if slices.Contains(methods, method) {
		return method
	}
	return "other"
}

// modelMetrics are the counters of one scorer, with their labels resolved.
type modelMetrics struct {
	scorer      *model.Scorer
	ok, failed  prometheus.Counter
	missing     []prometheus.Counter // by feature
	unknown     []prometheus.Counter // by feature; nil where it is a number
	scoreValues prometheus.Histogram
}

// of returns the counters of a scorer.
func (m *Metrics) of(s *model.Scorer) *modelMetrics {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.model != nil && m.model.scorer == s {
		return m.model
	}
	version := s.Manifest().Version
	m.versions = noteVersion(m.versions, version, m.predictions)
	mm := &modelMetrics{scorer: s, scoreValues: m.score,
		ok:     m.predictions.WithLabelValues(version, "ok"),
		failed: m.predictions.WithLabelValues(version, "error")}
	for _, f := range s.Engine().Features() {
		label := m.featureLabel(f.Name)
		mm.missing = append(mm.missing, m.missing.WithLabelValues(label))
		var unknown prometheus.Counter
		if f.Kind == features.Category {
			unknown = m.unknown.WithLabelValues(label)
		}
		mm.unknown = append(mm.unknown, unknown)
	}
	m.model = mm
	return mm
}

// noteVersion adds a version to those that counters tell apart. When there are
// too many, the series of the oldest are history.
func noteVersion(versions []string, version string, counters *prometheus.CounterVec) []string {
	if slices.Contains(versions, version) {
		return versions
	}
	if len(versions) == maxVersionLabels {
		counters.DeletePartialMatch(prometheus.Labels{"model_version": versions[0]})
		versions = versions[1:]
	}
	return append(versions, version)
}

// featureLabel is the name of a feature, or "other" for those beyond the
// limit.
func (m *Metrics) featureLabel(name string) string {
	if l, ok := m.labels[name]; ok {
		return l
	}
	if len(m.labels) >= maxFeatureLabels {
		return "other"
	}
	m.labels[name] = name
	return name
}

// observe counts a scored row.
func (m *modelMetrics) observe(row []float32, probability float64) {
	m.ok.Inc()
	m.scoreValues.Observe(probability)
	for i, v := range row {
		switch {
		case v != v:
			m.missing[i].Inc()
		case v == -1 && m.unknown[i] != nil:
			m.unknown[i].Inc()
		}
	}
}

// decided counts a decision that was kept.
func (m *Metrics) decided(d *outreach.Decision) {
	m.decisions.WithLabelValues(d.Action, d.Channel, string(d.Arm)).Inc()
	for i := range d.Blocked {
		m.blocked.WithLabelValues(string(d.Blocked[i].Code)).Inc()
	}
}

// state describes what is read at the moment of a scrape.
type state struct{ s *Server }

var (
	infoDesc     = prometheus.NewDesc("churn_model_info", "The model that answers; always 1.", []string{"name", "version"}, nil)
	loadedDesc   = prometheus.NewDesc("churn_model_loaded", "Whether a model is loaded.", nil, nil)
	reloadsDesc  = prometheus.NewDesc("churn_model_reloads_total", "Models swapped in since the start.", nil, nil)
	failuresDesc = prometheus.NewDesc("churn_model_load_failures_total", "Models that could not be loaded.", nil, nil)
	shadowDesc   = prometheus.NewDesc("churn_challenger_info", "The challenger that is scored beside the model that answers; always 1.", []string{"name", "version"}, nil)
	refusedDesc  = prometheus.NewDesc("churn_challenger_load_failures_total", "Challengers that could not be loaded.", nil, nil)
	bytesDesc    = prometheus.NewDesc("churn_store_file_bytes", "Size of the database file.", nil, nil)
	logDesc      = prometheus.NewDesc("churn_store_wal_bytes", "Size of the write-ahead log.", nil, nil)
	waitingDesc  = prometheus.NewDesc("churn_store_waiting", "Writes that wait for the store.", nil, nil)
	keptDesc     = prometheus.NewDesc("churn_history_kept", "Histories kept in memory.", nil, nil)
	keptSizeDesc = prometheus.NewDesc("churn_history_bytes", "Memory that they take, estimated.", nil, nil)
	upDesc       = prometheus.NewDesc("churn_store_up", "Whether the store takes writes.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c state) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c state) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	live, loaded := c.s.live, 0.0
	if sc := live.Scorer(); sc != nil {
		loaded = 1
		gauge(infoDesc, 1, sc.Manifest().Name, sc.Manifest().Version)
	}
	gauge(loadedDesc, loaded)
	ch <- prometheus.MustNewConstMetric(reloadsDesc, prometheus.CounterValue, float64(live.Reloads()))
	ch <- prometheus.MustNewConstMetric(failuresDesc, prometheus.CounterValue, float64(live.Failures()))
	if sc := c.s.shadow.challenger(); sc != nil {
		gauge(shadowDesc, 1, sc.Manifest().Name, sc.Manifest().Version)
	}
	if challenger := c.s.shadow.live; challenger != nil {
		ch <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(challenger.Failures()))
	}
	st, up := c.s.store.Stats(), 1.0
	if st.Failed != nil {
		up = 0
	}
	gauge(upDesc, up)
	gauge(bytesDesc, float64(st.FileBytes))
	gauge(logDesc, float64(st.LogBytes))
	gauge(waitingDesc, float64(st.Waiting))
	if h := c.s.histories; h != nil {
		customers, bytes := h.size()
		gauge(keptDesc, float64(customers))
		gauge(keptSizeDesc, float64(bytes))
	}
}
