package training

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"churn/event"
	"churn/event/sim"
	"churn/features"
	"churn/model"
	"churn/training/measure"
)

// small is a world of 1,700 customers with the model that one worker on one
// processor trained on it: just enough churners for every rung.
type small struct {
	src   *worldSource
	plan  Plan
	model *model.Model
	rep   *Report
	file  []byte
	err   error
}

var smallWorld = sync.OnceValue(func() *small {
	w := tinyWorld(1700)
	s := &small{src: &worldSource{}, plan: worldPlan(&w)}
	s.plan.Workers = 1
	s.err = w.Timelines(func(tl *event.Timeline, _ []sim.Score) bool {
		s.src.timelines = append(s.src.timelines, tl)
		return true
	})
	if s.err == nil {
		procs := runtime.GOMAXPROCS(1)
		s.model, s.rep, s.err = Train(context.Background(), s.src, s.plan)
		runtime.GOMAXPROCS(procs)
	}
	if s.err == nil {
		s.file, s.err = fileOf(s.model)
	}
	return s
})

func smallModel(t *testing.T) *small {
	t.Helper()
	if testing.Short() {
		t.Skip("trains on 1,700 customers")
	}
	s := smallWorld()
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s
}

func fileOf(m *model.Model) ([]byte, error) {
	var b bytes.Buffer
	err := model.Write(&b, m)
	return b.Bytes(), err
}

// Same seed and data, same bytes, whatever the processors and workers.
func TestTrainIsDeterministic(t *testing.T) {
	s := smallModel(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	p := s.plan
	p.Workers = 3
	m, _, err := Train(context.Background(), s.src, p)
	if err != nil {
		t.Fatal(err)
	}
	file, err := fileOf(m)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, s.file) {
		t.Error("three workers on four processors give another file than one worker on one")
	}
}

func TestTrainReport(t *testing.T) {
	s := smallModel(t)
	r := s.rep
	kinds := map[string]int{}
	chosen := 0
	least := math.Inf(1)
	var best Rung
	for _, rung := range r.Leaderboard {
		if !rung.Again {
			kinds[rung.Kind]++
		}
		least = min(least, float64(rung.CalibrationLogLoss))
		if rung.Chosen {
			chosen++
			best = rung
		}
		if d := float64(rung.LogLoss.Value - r.Model.Estimates.LogLoss.Value); !near(d, float64(rung.Behind.Value)) || !(rung.LogLoss.Low < rung.LogLoss.Value && rung.LogLoss.Value < rung.LogLoss.High) {
			t.Errorf("%s: log loss %+v, behind %+v, the chosen has %+v", rung.Name, rung.LogLoss, rung.Behind, r.Model.Estimates.LogLoss)
		}
		if fitted := rung.Kind != "rule"; fitted != (rung.Seconds > 0) || strings.Count(r.Board(), rung.Name) == 0 {
			t.Errorf("%s took %v s", rung.Name, rung.Seconds)
		}
	}
	if kinds["rule"] != 2 || kinds["logistic"] != 1 || kinds["forest"] != 1 || kinds["boosting"] != 2 || kinds["blend"] == 0 {
		t.Errorf("rungs %v", kinds)
	}
	groups := map[string]int{}
	for _, tried := range r.Tried {
		groups[tried.Group]++
	}
	if groups["logistic"] != len(strengths) || groups["forest"] != 1 || groups["symmetric trees"] < 2 || groups["leaf-wise trees"] < 2 {
		t.Errorf("tried %v", groups)
	}
	// Within noise of the least.
	if chosen != 1 || float64(best.CalibrationLogLoss) > least+0.005 || best.Kind != s.model.Manifest.Kind {
		t.Errorf("chosen %+v, least log loss %v, model %s", best, least, s.model.Manifest.Kind)
	}
	// The model is the chosen rung, fitted again.
	final := r.Final()
	if last := &r.Leaderboard[len(r.Leaderboard)-1]; final != last || !final.Again || final.Chosen || final.Kind != best.Kind ||
		final.Behind.Value != 0 || final.Test.AUC != r.Model.Estimates.AUC.Value || strings.Count(r.Board(), "the model") != 1 {
		t.Errorf("the model is %+v, chosen was %+v", final, best)
	}
	// Twelve snapshots, as in TestSplitByTimeByHand.
	if len(r.Split.Train) != 6 || len(r.Split.Calibration) != 2 || len(r.Split.Test) != 2 || len(r.Split.Purged) != 2 {
		t.Errorf("split %+v", r.Split)
	}
	total := 0
	for _, n := range r.Counts {
		total += n
	}
	if r.Customers != 1700 || total != 1700*12 {
		t.Errorf("%d customers, %d verdicts", r.Customers, total)
	}
	// The parts by their definition, counted again.
	o := &Observer{Definition: s.plan.Definition, Snapshots: slices.Concat(r.Split.Train, r.Split.Purged, r.Split.Calibration, r.Split.Test),
		Through: s.plan.Through, HeldOut: 0.25, Seed: s.plan.Seed}
	var rows, churners [5]int
	for _, tl := range s.src.timelines {
		o.Observe(tl, Counts{}, func(ob Observation) {
			part := -1
			if !ob.HeldOut && ob.At <= r.Split.Calibration[1] { // purged ones between training and calibration too
				rows[4]++
				if ob.Churned {
					churners[4]++
				}
			}
			switch {
			case contains(r.Split.Train, ob.At) && !ob.HeldOut:
				part = 0
			case contains(r.Split.Calibration, ob.At) && !ob.HeldOut:
				part = 1
			case contains(r.Split.Test, ob.At) && ob.HeldOut:
				part = 2
			case contains(r.Split.Test, ob.At):
				part = 3
			default:
				return
			}
			rows[part]++
			if ob.Churned {
				churners[part]++
			}
		})
	}
	for i, name := range []string{"training", "calibration", "test", "", "before the test"} {
		j := slices.IndexFunc(r.Parts, func(p Part) bool { return p.Name == name })
		if name == "" {
			continue
		}
		if p := r.Parts[j]; p.Rows != rows[i] || p.Churners != churners[i] || p.Customers > p.Rows {
			t.Errorf("part %+v, want %d rows and %d churners", p, rows[i], churners[i])
		}
	}
	if rows[4] <= rows[0]+rows[1] {
		t.Errorf("%d rows before the test, %d to train on and %d to calibrate", rows[4], rows[0], rows[1])
	}
	if r.Model.Rows != rows[2] || r.Rule.Rows != rows[2] || r.Seen.Rows != rows[3] {
		t.Errorf("%d, %d and %d rows, want %d, %d and %d", r.Model.Rows, r.Rule.Rows, r.Seen.Rows, rows[2], rows[2], rows[3])
	}
	if len(r.Drivers) == 0 || len(r.Drivers) > 20 || !slices.IsSortedFunc(r.Drivers, func(a, b Driver) int { return int(math.Copysign(1, float64(b.Mean-a.Mean))) }) {
		t.Errorf("drivers %v", r.Drivers)
	}
	if len(r.Reasons) == 0 || r.DataFingerprint != "simulated" || r.FeatureFingerprint != s.model.Manifest.FeatureFingerprint {
		t.Errorf("reasons %v, fingerprints %q %q", r.Reasons, r.DataFingerprint, r.FeatureFingerprint)
	}
}

// The stored model scores histories as training scored them.
func TestStoredModelScoresAsTrained(t *testing.T) {
	s := smallModel(t)
	m, err := model.Read(s.file)
	if err != nil {
		t.Fatal(err)
	}
	scorer, err := NewStored(m)
	if err != nil {
		t.Fatal(err)
	}
	p := s.plan
	p.Seed, p.HeldOut = 99, 0.4 // the model's own count
	r, err := EvaluateHistories(context.Background(), s.src, scorer, p)
	if err != nil {
		t.Fatal(err)
	}
	got, want := r.Model.Estimates, s.rep.Model.Estimates
	if r.Model.Rows != s.rep.Model.Rows || got.AUC.Value != want.AUC.Value || math.Abs(float64(got.LogLoss.Value-want.LogLoss.Value)) > 1e-12 {
		t.Errorf("evaluated: %d rows, %+v; trained: %d rows, %+v", r.Model.Rows, got, s.rep.Model.Rows, want)
	}
	if a, b := r.Rule.Estimates.AUC.Value, s.rep.Rule.Estimates.AUC.Value; math.Abs(float64(a-b)) > 1e-12 {
		t.Errorf("rule AUC %v, in training %v", a, b)
	}
	if !math.IsNaN(float64(r.Rule.Estimates.LogLoss.Value)) {
		t.Error("an uncalibrated rule has a log loss")
	}
	if _, err := json.Marshal(r); err != nil || !strings.Contains(r.Head(), "never trained on") {
		t.Errorf("%v, head:\n%s", err, r.Head())
	}
	if _, err := EvaluateTable(&Table{}, scorer, Plan{}); err == nil {
		t.Error("a model of histories is evaluated on a wide table")
	}
}

func TestReportFiles(t *testing.T) {
	s := smallModel(t)
	// JSON has no NaN: a decoder would refuse it.
	var back Report
	d := json.NewDecoder(bytes.NewReader(s.model.ReportJSON))
	d.DisallowUnknownFields()
	if err := d.Decode(&back); err != nil {
		t.Fatal(err)
	}
	if back.Model.Rows != s.rep.Model.Rows || back.Gate.Passed != s.rep.Gate.Passed || len(back.Leaderboard) != len(s.rep.Leaderboard) ||
		back.Model.Estimates != s.rep.Model.Estimates {
		t.Error("report.json does not hold the report")
	}
	page := string(s.model.ReportHTML)
	if !strings.HasPrefix(page, "<!doctype html>") || strings.Contains(page, "NaN") || strings.Contains(page, "%!") {
		t.Error("report.html: no doctype, or a number that is none")
	}
	for text, n := range map[string]int{"<svg": 12, "<figcaption>": 12, "<h2 ": 9, "</table>": 8, "</html>": 1, "<h1>": 1} {
		if got := strings.Count(page, text); got < n {
			t.Errorf("report.html has %d of %s, want %d or more", got, text, n)
		}
	}
	if a, b := strings.Count(page, "<svg"), strings.Count(page, "</svg>"); a != b || a != strings.Count(page, "aria-label=")-strings.Count(page, `role="region"`)-1 {
		t.Errorf("%d pictures of which %d end: each has a label", a, b)
	}
	// All default features, and nothing that is fetched.
	if len(page) > 1<<20 || len(s.model.ReportJSON) > 1<<20 {
		t.Errorf("report.html has %d bytes, report.json %d", len(page), len(s.model.ReportJSON))
	}
	for _, fetched := range []string{"<script", "<link rel=\"stylesheet", "src=", "@import", "url(", "http://", "https://"} {
		if strings.Contains(strings.ReplaceAll(page, "http://www.w3.org/", ""), fetched) {
			t.Errorf("report.html has %q", fetched)
		}
	}
	x := xml.NewDecoder(strings.NewReader(page))
	x.Strict, x.AutoClose, x.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var open []string
	for {
		token, err := x.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("report.html: %v", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			open = append(open, e.Name.Local)
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1] != e.Name.Local {
				t.Fatalf("report.html: </%s> closes %v", e.Name.Local, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) != 0 {
		t.Errorf("report.html: %v not closed", open)
	}
}

// Under minLogisticChurners in training only the rule is fitted.
func TestSmallDataGetsTheRule(t *testing.T) {
	w := tinyWorld(200)
	m, r, err := Train(context.Background(), newWorldSource(t, w), worldPlan(&w))
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Parts[0].Churners; n >= minLogisticChurners || len(r.Leaderboard) != 2 || r.Tried != nil || m.Manifest.Kind != "rule" || r.Difference != nil {
		t.Errorf("%d churners, rungs %+v, kind %s", n, r.Leaderboard, m.Manifest.Kind)
	}
	if len(r.Gate.Reasons) == 0 {
		t.Error("the gate gives no reason")
	}
	// Another seed holds out others.
	p := worldPlan(&w)
	p.Seed++
	m2, r2, err := Train(context.Background(), newWorldSource(t, w), p)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(r.Parts, r2.Parts) || slices.Equal(m.Reference.Quantiles, m2.Reference.Quantiles) || m2.Manifest.Seed != 2 {
		t.Errorf("another seed gives the same parts %+v", r2.Parts)
	}
}

// cancelAt is a context that ends when a stage begins.
func cancelAt(stage string, p *Plan) (ctx context.Context, after func() []string) {
	ctx, cancel := context.WithCancel(context.Background())
	var stages []string
	p.Progress = func(s string, _, _ int) {
		if s == stage {
			cancel()
		}
		if ctx.Err() != nil {
			stages = append(stages, s)
		}
	}
	return ctx, func() []string { return stages }
}

func TestTrainStops(t *testing.T) {
	w := tinyWorld(1700)
	w.Customers = 1500
	src := newWorldSource(t, w)
	for _, stage := range []string{"reading histories", "computing features", "fitting models"} {
		p := worldPlan(&w)
		ctx, after := cancelAt(stage, &p)
		_, _, err := Train(ctx, src, p)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("stopped at %q: error %v", stage, err)
		}
		for _, s := range after() {
			if s != stage {
				t.Errorf("stopped at %q, and then came %q", stage, s)
			}
		}
	}
}

func TestTrainRefuses(t *testing.T) {
	w := tinyWorld(60)
	src := newWorldSource(t, w)
	stayers := newWorldSource(t, w)
	for _, tl := range stayers.timelines {
		tl.Customer.ChurnedAt = event.Never
	}
	tests := []struct {
		name   string
		src    Source
		change func(p *Plan)
		want   string
	}{
		{"no customers", &worldSource{}, nil, "there are no customers"},
		{"nobody leaves", stayers, nil, "nothing can be learned without both kinds"},
		{"data ends before it begins", src, func(p *Plan) { p.Through = w.Start }, "training part has 0 rows and 0 churners"},
		{"too few snapshots for the horizon", src, func(p *Plan) { p.Snapshots, p.Every = 4, days }, "not enough history"},
		{"bad name", src, func(p *Plan) { p.Name = "Churn Model" }, `model name "Churn Model"`},
		{"bad share", src, func(p *Plan) { p.HeldOut = 0.9 }, "held_out 0.9"},
		{"two snapshots", src, func(p *Plan) { p.Snapshots = 2 }, "2 snapshots every 30d"},
		{"a million snapshots", src, func(p *Plan) { p.Snapshots = 1_000_000 }, "give 3 to 1000"},
		{"steps of an hour", src, func(p *Plan) { p.Every = event.Hour }, "every 1h"},
		{"unknown rung", src, func(p *Plan) { p.Rungs = []string{"magic"} }, `rung "magic"`},
		{"no horizon", src, func(p *Plan) { p.Definition.Horizon = 0 }, "horizon must be positive"},
		{"a label", src, func(p *Plan) { p.Definition = model.Definition{Kind: "label", Label: "a=b"} }, "for a wide table"},
		{"no features", src, func(p *Plan) { p.Features = nil }, "needs a feature set"},
		{"no end", src, func(p *Plan) { p.Through = event.Never }, "the end of the data"},
		{"no replicates", src, func(p *Plan) { p.Replicates = -1 }, "-1 replicates"},
	}
	for _, test := range tests {
		p := worldPlan(&w)
		if test.change != nil {
			test.change(&p)
		}
		m, r, err := Train(context.Background(), test.src, p)
		if err == nil || !strings.Contains(err.Error(), test.want) || m != nil || r != nil {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
}

func TestHead(t *testing.T) {
	e := func(v, low, high float64) measure.Estimate {
		return measure.Estimate{Value: measure.Float(v), Low: measure.Float(low), High: measure.Float(high)}
	}
	nan := math.NaN()
	r := &Report{Name: "churn", Definition: model.Definition{Kind: "contract", Gap: 7 * days, Horizon: 30 * days}, Split: &Split{},
		Model: Evaluation{Name: "blend, 0.5 forest", Rows: 5803, Churners: 295, Customers: 3210, Estimates: measure.Estimates{
			AUC: e(0.7938, 0.7701, 0.8169), AveragePrecision: e(0.2, 0.15, 0.25), LogLoss: e(0.1695, 0.16, 0.18),
			Brier: e(0.0444, 0.04, 0.05), ECE: e(0.0081, nan, nan), TopDecileLift: e(4.12, 3.5, 4.75), BaseRate: e(0.0508, 0.05, 0.06)}},
		Rule: Evaluation{Name: "inactivity rule (act_rec)", Estimates: measure.Estimates{AUC: e(0.7037, 0, 1), AveragePrecision: e(0.1, 0, 1),
			LogLoss: e(nan, nan, nan), Brier: e(nan, nan, nan), ECE: e(nan, nan, nan), TopDecileLift: e(2.5, 0, 1)}},
		Findings: []Finding{{Severity: "warning", Text: "something is odd"}},
		Gate:     model.Gate{Reasons: []string{"first reason", "second reason"}}}
	want := `model      churn: blend, 0.5 forest
churn      contract: leaves within 30d after a gap of 7d
test       5803 rows of 3210 customers never trained on, 295 churners (base rate 0.051)
                       model [95% interval]       inactivity rule (act_rec)
AUC                    0.7938 [0.7701, 0.8169]    0.7037
average precision      0.2000 [0.1500, 0.2500]    0.1000
log loss               0.1695 [0.1600, 0.1800]    not measured
Brier score            0.0444 [0.0400, 0.0500]    not measured
calibration error      0.0081 [not measured, not measured] not measured
lift in top decile     4.1200 [3.5000, 4.7500]    2.5000
warning    something is odd
gate       refused  first reason
                    second reason
`
	if got := r.Head(); got != want {
		t.Errorf("head:\n%s\nwant:\n%s", got, want)
	}
}

// The gate, reason by reason.
func TestJudgeModel(t *testing.T) {
	good := func() *Report {
		r := &Report{Difference: &measure.Estimates{LogLoss: measure.Estimate{Value: -0.02, Low: -0.03, High: -0.01}}}
		r.Model = Evaluation{Churners: 20, Estimates: measure.Estimates{AUC: measure.Estimate{Value: 0.7, Low: 0.6, High: 0.8}, ECE: measure.Estimate{Value: 0.02, Low: 0.01, High: 0.03}, BaseRate: measure.Estimate{Value: 0.05, Low: 0.04, High: 0.06}}}
		return r
	}
	rule, fitted := &candidate{name: "inactivity rule"}, &candidate{name: "logistic"}
	nan := measure.Float(math.NaN())
	tests := []struct {
		name   string
		change func(r *Report)
		best   *candidate
		want   string // "" passes
	}{
		{"good", nil, fitted, ""},
		{"the rule itself", func(r *Report) { r.Difference = nil }, rule, ""},
		{"a rule that ranks nothing", func(r *Report) { r.Model.Estimates.AUC.Low = 0.5 }, rule, "better than chance"},
		{"19 churners", func(r *Report) { r.Model.Churners = 19 }, fitted, "19 churners, 20 are needed"},
		{"perhaps no better", func(r *Report) { r.Difference.LogLoss.High = 0 }, fitted, "log loss is not better than that of the inactivity rule"},
		{"no interval", func(r *Report) { r.Difference.LogLoss.High = nan }, fitted, "log loss is not better"},
		{"perhaps chance", func(r *Report) { r.Model.Estimates.AUC.Low = 0.49 }, fitted, "better than chance"},
		{"no interval of the AUC", func(r *Report) { r.Model.Estimates.AUC.Low = nan }, fitted, "better than chance"},
		{"badly calibrated", func(r *Report) { r.Model.Estimates.ECE.Value = 0.026 }, fitted, "calibration error 0.0260 is more than half the base rate 0.0500"},
		{"warned", func(r *Report) { r.Findings = []Finding{{Severity: "warning", Subject: "x"}} }, fitted, ""},
		{"leaking", func(r *Report) {
			r.Findings = []Finding{{Severity: "error", Subject: "x"}, {Severity: "error", Subject: "x"}}
		}, fitted, "x"},
	}
	for _, test := range tests {
		r := good()
		if test.change != nil {
			test.change(r)
		}
		g := judge(r, rule, test.best)
		if g.Passed != (test.want == "") || len(g.Reasons) != 1 || !strings.Contains(g.Reasons[0], test.want) {
			t.Errorf("%s: %+v", test.name, g)
		}
	}
	// All reasons are given at once.
	r := good()
	r.Model.Churners, r.Model.Estimates.AUC.Low, r.Model.Estimates.ECE.Value = 1, 0, 1
	if g := judge(r, rule, fitted); g.Passed || len(g.Reasons) != 3 {
		t.Errorf("%+v", g)
	}
}

// The drivers are the mean absolute contributions; without rows there are none.
func TestDrivers(t *testing.T) {
	s := smallModel(t)
	scorer, err := s.model.Compile()
	if err != nil {
		t.Fatal(err)
	}
	m := &features.Matrix{Features: scorer.Engine().Features()}
	for _, tl := range s.src.timelines[:40] {
		copy(m.Grow(), scorer.Row(tl, s.rep.Split.Test[0]))
	}
	r := &Report{}
	r.explain(scorer, m, 3)
	got, families := r.Drivers, r.Families
	j, _ := scorer.Engine().Index(got[0].Feature)
	want, phi := 0.0, make([]float64, len(m.Features))
	sizes := map[string]float64{}
	for i := range 40 {
		scorer.Score(m.Row(i), phi)
		want += math.Abs(phi[j]) / 40
		sums := map[string]float64{}
		for k, f := range m.Features {
			sums[f.Family] += phi[k]
		}
		for family, sum := range sums {
			sizes[family] += math.Abs(sum) / 40
		}
	}
	if math.Abs(float64(got[0].Mean)-want) > 1e-12 {
		t.Errorf("%s %v, want %v", got[0].Feature, got[0].Mean, want)
	}
	largest := slices.Max(slices.Collect(maps.Values(sizes)))
	if len(families) < 2 || math.Abs(float64(families[0].Mean)-largest) > 1e-12 || !slices.IsSortedFunc(families, func(a, b Driver) int { return cmp.Compare(b.Mean, a.Mean) }) {
		t.Errorf("families %v, the largest is %v", families, largest)
	}
	for _, f := range families {
		if f.Feature != "" || math.Abs(float64(f.Mean)-sizes[f.Family]) > 1e-12 {
			t.Errorf("%+v, want %v", f, sizes[f.Family])
		}
	}
	// The first features are there row by row, as they were scored.
	if len(r.Explained) != min(len(got), topExplained) {
		t.Fatalf("%d explained of %d", len(r.Explained), len(got))
	}
	for k, e := range r.Explained {
		j, _ := scorer.Engine().Index(e.Feature)
		if e.Feature != got[k].Feature || len(e.Values) != 40 || len(e.Contributions) != 40 {
			t.Fatalf("%d: %s, %d values", k, e.Feature, len(e.Values))
		}
		for i := range 40 {
			scorer.Score(m.Row(i), phi)
			v, x := float64(e.Values[i]), float64(m.Row(i)[j])
			if math.Abs(float64(e.Contributions[i])-phi[j]) > 5e-4 || !(math.Abs(v-x) <= 5e-4*math.Abs(x)) && v == v || (v == v) != (x == x) {
				t.Errorf("%s, row %d: %v at %v, want %v at %v", e.Feature, i, e.Contributions[i], v, phi[j], x)
			}
		}
	}
	r = &Report{}
	r.explain(scorer, &features.Matrix{Features: m.Features}, 3)
	if r.Drivers == nil || r.Families == nil || len(r.Drivers)+len(r.Families)+len(r.Explained) != 0 {
		t.Errorf("without rows: %+v", r)
	}
}
