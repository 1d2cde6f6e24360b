package training

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"churn/event"
	"churn/features"
	"churn/model"
	"churn/training/measure"
)

// Evaluation is how one set of scores did on one set of rows.
type Evaluation struct {
	Name      string            `json:"name"`
	Rows      int               `json:"rows"`
	Churners  int               `json:"churners"`
	Customers int               `json:"customers"`
	Estimates measure.Estimates `json:"estimates"`
	Curves    *measure.Curves   `json:"curves,omitempty"`
}

// minTestChurners is how many churners the test needs before its verdict
// counts.
const minTestChurners = 20

// maxCalibrationError is the expected calibration error that the gate allows,
// as a share of the base rate.
const maxCalibrationError = 0.5

// evaluate measures the rungs on the test rows and passes judgement.
func (p *Plan) evaluate(r *Report, rungs []*candidate, base, best *candidate, pt parts) error {
	y := pt.test.Labels()
	samples := make([]*measure.Sample, len(rungs))
	for i, c := range rungs {
		s, err := measure.NewSample(probabilities(&c.calibration, c.margins(&pt.test.Matrix, p.Workers)), y, nil)
		if err != nil {
			return err
		}
		samples[i] = s
	}
	boot := measure.Bootstrap{Replicates: p.Replicates, Level: 0.95, Seed: p.Seed}
	at := func(c *candidate) *measure.Sample {
		for i := range rungs {
			if rungs[i] == c {
				return samples[i]
			}
		}
		return nil
	}
	var err error
	if r.Leaderboard, err = p.leaderboard(rungs, samples, at(best), pt.test.Customers()); err != nil {
		return err
	}
	if r.Model, err = evaluation(best.name, boot, at(best), pt.test); err != nil {
		return err
	}
	if r.Rule, err = evaluation(base.name, boot, at(base), pt.test); err != nil {
		return err
	}
	if best != base {
		d, err := boot.Difference(at(best), at(base), pt.test.Customers())
		if err != nil {
			return err
		}
		r.Difference = &d
	}
	if pt.seen != nil && len(pt.seen.Observations) > 0 {
		s, err := measure.NewSample(probabilities(&best.calibration, best.margins(&pt.seen.Matrix, p.Workers)), pt.seen.Labels(), nil)
		if err != nil {
			return err
		}
		e, err := evaluation(best.name+", customers seen in training", boot, s, pt.seen)
		if err != nil {
			return err
		}
		r.Seen = &e
	}
	learned := pt.train // what the churn rate is known from before the test
	if learned == nil {
		learned = pt.calibration
	}
	rate := float64(learned.Positives()) / float64(len(learned.Observations))
	population := populationOf(pt.train, pt.calibration, pt.test, pt.seen)
	if err := p.detail(r, at(best), at(base), pt.set, pt.test, population, rate); err != nil {
		return err
	}
	r.Gate = judge(r, base, best)
	return nil
}

// detail measures what the scores are worth, what they find at capacity and how
// they do by segment. population is how many customers each snapshot has, rate
// the churn rate as it was known before the test.
func (p *Plan) detail(r *Report, m, rule *measure.Sample, set *features.Set, test *Data, population map[event.Time]int, rate float64) (err error) {
	boot := measure.Bootstrap{Replicates: p.Replicates, Level: 0.95, Seed: p.Seed}
	customers := test.Customers()
	if r.Profit, err = p.Economics.profit(m, rule, customers, rate, &p.Definition, boot); err != nil {
		return err
	}
	c := newContacts(p.Capacity, test, population)
	if r.AtCapacity, err = c.measure(m.Scores(), rule.Scores(), customers, boot); err != nil {
		return err
	}
	groups, err := groupings(p.Segments, set, &test.Matrix)
	if err != nil {
		return err
	}
	r.Segments, err = segments(groups, m.Scores(), test, c.picked(m.Scores()), boot)
	return err
}

// evaluation measures a sample with intervals and curves.
func evaluation(name string, boot measure.Bootstrap, s *measure.Sample, d *Data) (Evaluation, error) {
	est, err := boot.Intervals(s, d.Customers())
	if err != nil {
		return Evaluation{}, err
	}
	curves := s.Curves(name)
	m := s.Metrics()
	return Evaluation{Name: name, Rows: m.Rows, Churners: m.Positives, Customers: est.Customers, Estimates: est, Curves: &curves}, nil
}

// judge is the gate: promote only what was shown to help on later data.
func judge(r *Report, base, best *candidate) model.Gate {
	var no []string
	fail := func(format string, args ...any) { no = append(no, fmt.Sprintf(format, args...)) }
	if r.Model.Churners < minTestChurners {
		fail("the test has %d churners, %d are needed before its verdict counts", r.Model.Churners, minTestChurners)
	}
	e := r.Model.Estimates
	if best == base {
		if low := float64(e.AUC.Low); !(low > 0.5) {
			fail("the %s is not shown to be better than chance on later data: AUC %s", base.name, interval(e.AUC))
		}
	} else {
		// The paired interval of the log loss must lie below 0: calibration and
		// ranking both count.
		if d := r.Difference.LogLoss; !(d.High < 0) {
			fail("log loss is not better than that of the %s: difference %.4f [%.4f, %.4f]", base.name, d.Value, d.Low, d.High)
		}
		if low := float64(e.AUC.Low); !(low > 0.5) {
			fail("AUC %s is not shown to be better than chance", interval(e.AUC))
		}
	}
	if ece, limit := float64(e.ECE.Value), maxCalibrationError*float64(e.BaseRate.Value); !math.IsNaN(ece) && ece > limit {
		fail("calibration error %.4f is more than half the base rate %.4f", ece, e.BaseRate.Value)
	}
	var leaks []string
	for _, f := range r.Findings {
		if f.Severity == "error" && !slices.Contains(leaks, f.Subject) {
			leaks = append(leaks, f.Subject)
		}
	}
	if len(leaks) > 0 {
		fail("suspected to know the future: %s", strings.Join(leaks, ", "))
	}
	if len(no) > 0 {
		return model.Gate{Reasons: no}
	}
	return model.Gate{Passed: true, Reasons: []string{"better than the " + base.name + " on later data, calibrated, no leak found"}}
}

// EvaluateHistories measures a stored model on the latest snapshots whose
// labels are known, on the customers that it was not trained on, against the
// inactivity rule, and the champion if the plan has one. The plan gives the end of
// the data and the snapshots; the definition is the model's own.
func EvaluateHistories(ctx context.Context, src Source, s *Stored, p Plan) (*Report, error) {
	s.plan(&p)
	if err := p.defaults(); err != nil {
		return nil, err
	}
	if s.Engine().OfTable() {
		return nil, fmt.Errorf("the model is of a wide table: evaluate it with --table")
	}
	snapshots := Snapshots(&p.Definition, p.Through, p.Every, p.Snapshots)
	split, err := SplitByTime(&p.Definition, snapshots)
	if err != nil {
		return nil, err
	}
	o := &Observer{Definition: p.Definition, Snapshots: split.Test, Through: p.Through, HeldOut: p.HeldOut, Seed: p.Seed}
	data, counts, err := compute(ctx, src, o, s.Engine(), p.Workers, func(n int) { p.Progress("computing features", n, 0) })
	if err != nil {
		return nil, err
	}
	population := populationOf(data)
	data = data.Rows(func(ob *Observation) bool { return ob.HeldOut })
	r := &Report{Counts: counts, Split: &Split{Test: split.Test}, Through: p.Through.String()}
	return r, p.evaluateScorer(r, s, data, population, p.fromHistories(ctx, src, s.Engine(), r.Split))
}

// EvaluateTable measures a stored model on a wide table with labels, all rows
// of it. The report warns where it is the table that the model was trained on;
// whether single customers were is for the caller to know.
func EvaluateTable(t *Table, s *Stored, p Plan) (*Report, error) {
	p.Definition = s.Manifest().Definition
	if err := p.defaults(); err != nil {
		return nil, err
	}
	if !s.Engine().OfTable() || t.Labels == nil {
		return nil, fmt.Errorf("evaluating on a wide table needs a model of one, and a label")
	}
	data, _, err := t.Data(s.Engine())
	if err != nil {
		return nil, err
	}
	r := &Report{Customers: len(t.Rows), DataFingerprint: t.Fingerprint}
	rows := fromTable(t, s.Engine(), 1)
	if t.Fingerprint == s.Manifest().DataFingerprint {
		rows = rowsOf{table: t, compute: func(*features.Engine, *Data) (*Data, error) {
			return nil, errNotCompared{"the model was trained on this very table"}
		}}
		r.Findings = append(r.Findings, Finding{"warning", "training data", "table",
			"the model was trained on this very table: the figures are better than they will be on other customers"})
	}
	return r, p.evaluateScorer(r, s, data, nil, rows)
}

// evaluateScorer fills in the parts of a report that a finished model allows.
func (p *Plan) evaluateScorer(r *Report, s *Stored, data *Data, population map[event.Time]int, rows rowsOf) error {
	f := s.Manifest()
	r.Name, r.Kind, r.Definition, r.Seed = f.Name, f.Kind, f.Definition, f.Seed
	r.FeatureFingerprint, r.Features = f.FeatureFingerprint, len(s.Engine().Features())
	r.Parts = []Part{partOf("test", data)}
	if n := data.Positives(); n == 0 || n == len(data.Observations) {
		return fmt.Errorf("there are %d rows with %d churners to test on: nothing can be measured without both kinds", len(data.Observations), n)
	}
	score := p.scores(s, data)
	sm, err := measure.NewSample(score, data.Labels(), nil)
	if err != nil {
		return err
	}
	boot := measure.Bootstrap{Replicates: p.Replicates, Level: 0.95, Seed: p.Seed}
	if r.Model, err = evaluation(f.Name+" "+f.Version, boot, sm, data); err != nil {
		return err
	}
	rule := fitRule(&data.Matrix, p.Workers)
	if rule == nil {
		rule = fitPrior()
	}
	// The rule is a ranking here: calibrated on the data it is measured on it
	// would look too good. Moved below 0, no score is taken for a probability.
	ranking := rule.margins(&data.Matrix, p.Workers)
	top := slices.Max(ranking)
	for i := range ranking {
		ranking[i] -= top + 1
	}
	rs, err := measure.NewSample(ranking, data.Labels(), nil)
	if err != nil {
		return err
	}
	if r.Rule, err = evaluation(rule.name, boot, rs, data); err != nil {
		return err
	}
	rate, ok := f.Metrics["base_rate"] // of the test when it was trained
	if !ok {
		rate = math.NaN()
	}
	if err := p.detail(r, sm, rs, s.Engine().Set(), data, population, rate); err != nil {
		return err
	}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	r.Gate = f.Gate
	r.explain(s.Scorer, &data.Matrix, p.Workers)
	if p.Champion == nil {
		return nil
	}
	r.Champion, err = p.compare(r, score, data, rows)
	return err
}
