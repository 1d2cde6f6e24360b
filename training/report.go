package training

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"churn/event"
	"churn/model"
	"churn/training/measure"
)

// Report is report.json: what was trained on what, how good it is, and what
// is doubtful.
type Report struct {
	Name       string           `json:"name"`
	Kind       string           `json:"kind"`
	Definition model.Definition `json:"definition"`
	Through    string           `json:"through"`
	Seed       uint64           `json:"seed"`
	Customers  int              `json:"customers"`
	// Counts of the verdicts over all customers and snapshots.
	Counts  Counts         `json:"counts,omitempty"`
	Reasons map[string]int `json:"churn_reasons,omitempty"`
	// Kinds counts the churned observations by kind of leaving.
	Kinds map[string]int `json:"churn_kinds,omitempty"`
	Split *Split         `json:"split,omitempty"`
	// Begins is the first event of each stream.
	Begins map[string]event.Time `json:"begins,omitempty"`
	Parts  []Part                `json:"parts"`
	// Model on later snapshots of customers it was not trained on; Rule on the
	// same rows, Difference is Model minus Rule.
	Model      Evaluation         `json:"model"`
	Rule       Evaluation         `json:"rule"`
	Difference *measure.Estimates `json:"difference,omitempty"`
	// Seen is the model on later snapshots of customers it was trained on.
	Seen *Evaluation `json:"seen,omitempty"`
	// Profit, AtCapacity and Segments are of the same rows as Model.
	Profit     *Profit     `json:"profit,omitempty"`
	AtCapacity *AtCapacity `json:"at_capacity,omitempty"`
	Segments   []Segment   `json:"segments,omitempty"`
	// Champion is not in the report of a model file; see Comparison.
	Champion *Comparison `json:"champion,omitempty"`
	// HeldOut is the share of customers never trained on; 0 of a wide table.
	HeldOut float64 `json:"held_out,omitzero"`
	// Checks of the training itself; an evaluation has none.
	Checks      *Checks `json:"checks,omitempty"`
	Leaderboard []Rung  `json:"leaderboard"`
	// Backtest is the chosen settings at earlier ends of the data, oldest first.
	Backtest []Month `json:"backtest,omitempty"`
	// Tried are the settings that competed for a place on the leaderboard.
	Tried    []Tried  `json:"tried,omitempty"`
	Drivers  []Driver `json:"drivers"`
	Families []Driver `json:"driver_families"`
	// Explained are the first of Drivers, row by row.
	Explained []Explained `json:"explained,omitempty"`
	Findings  []Finding   `json:"findings"`
	Gate      model.Gate  `json:"gate"`
	// Plan is how it was trained; an evaluation has none.
	Plan *Planned `json:"plan,omitempty"`
	// Program is the version of the program, where it is known. It is not in the
	// report of a model file, which is the same whoever makes it.
	Program string `json:"program,omitempty"`
	// Checked rows have the score of the model where it was trained; see Adopt.
	Checked int `json:"checked,omitempty"`
	// DataFingerprint and FeatureFingerprint identify the inputs.
	// TestFingerprint is of a table to test on.
	DataFingerprint    string `json:"data_fingerprint"`
	TestFingerprint    string `json:"test_fingerprint,omitempty"`
	FeatureFingerprint string `json:"feature_fingerprint"`
	Features           int    `json:"features"`
}

// Planned is what of a plan decides the result, beside what the report has.
type Planned struct {
	Every      string   `json:"every,omitempty"` // between snapshots; empty for a wide table
	Snapshots  int      `json:"snapshots,omitzero"`
	HeldOut    float64  `json:"held_out,omitzero"`
	Rungs      []string `json:"rungs,omitempty"` // none is all
	Budget     string   `json:"budget,omitempty"`
	Replicates int      `json:"replicates"`
	Capacity   Capacity `json:"capacity"`
	Segments   []string `json:"segments,omitempty"`
	Checks     string   `json:"checks"`
	Backtest   int      `json:"backtest,omitzero"`
}

// planned notes the plan.
func (p *Plan) planned(times bool) *Planned {
	out := &Planned{Rungs: p.Rungs, Replicates: p.Replicates, Capacity: p.Capacity, Segments: p.Segments, Checks: p.Checks, Backtest: p.Backtest}
	if times {
		out.Every, out.Snapshots, out.HeldOut = p.Every.String(), p.Snapshots, p.HeldOut
	}
	if p.Budget > 0 {
		out.Budget = p.Budget.String()
	}
	return out
}

// Part is one part of the split.
type Part struct {
	Name      string `json:"name"`
	Rows      int    `json:"rows"`
	Churners  int    `json:"churners"`
	Customers int    `json:"customers"`
}

func partOf(name string, d *Data) Part {
	distinct := map[string]bool{}
	for i := range d.Observations {
		distinct[d.Observations[i].Customer] = true
	}
	return Part{name, len(d.Observations), d.Positives(), len(distinct)}
}

// reasonsOf counts why those observed to leave left.
func reasonsOf(d *Data) map[string]int {
	out := map[string]int{}
	for i := range d.Observations {
		if o := &d.Observations[i]; o.Churned && o.Reason != "" {
			out[o.Reason]++
		}
	}
	return out
}

// kindsOf counts how those observed to leave left.
func kindsOf(d *Data) map[string]int {
	out := map[string]int{}
	for i := range d.Observations {
		if o := &d.Observations[i]; o.Churned {
			out[o.Kind]++
		}
	}
	return out
}

// kindsText tells the counts in the order of model.Kinds.
func (r *Report) kindsText() string {
	var out []string
	for _, k := range model.Kinds() {
		if n := r.Kinds[k]; n > 0 {
			out = append(out, fmt.Sprintf("%s %d", strings.ReplaceAll(k, "_", " "), n))
		}
	}
	return strings.Join(out, ", ")
}

// metricsMap is the head of the report as the manifest carries it.
func (r *Report) metricsMap() map[string]float64 {
	m := map[string]float64{}
	put := func(name string, e measure.Estimate) {
		if v := float64(e.Value); !math.IsNaN(v) {
			m[name] = v
		}
	}
	e := r.Model.Estimates
	put("auc", e.AUC)
	put("average_precision", e.AveragePrecision)
	put("log_loss", e.LogLoss)
	put("brier", e.Brier)
	put("ece", e.ECE)
	put("top_decile_lift", e.TopDecileLift)
	put("base_rate", e.BaseRate)
	put("rule_auc", r.Rule.Estimates.AUC)
	put("rule_log_loss", r.Rule.Estimates.LogLoss)
	return m
}

// render fills in the reports of the model.
func (r *Report) render(m *model.Model) error {
	f := &m.Manifest
	r.Name, r.Kind, r.Definition, r.Seed = f.Name, f.Kind, f.Definition, f.Seed
	r.Through, r.FeatureFingerprint, r.Features = f.Through.String(), f.FeatureFingerprint, len(m.Reference.Features)
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	var err error
	m.ReportJSON, m.ReportHTML, err = r.Files()
	return err
}

// Head is the first lines of the report in plain text: what a terminal shows
// after training.
func (r *Report) Head() string {
	var b bytes.Buffer
	e, u := r.Model.Estimates, r.Rule.Estimates
	fmt.Fprintf(&b, "model      %s: %s\n", r.Name, r.Model.Name)
	fmt.Fprintf(&b, "churn      %s\n", r.Definition.String())
	if kinds := r.kindsText(); kinds != "" {
		fmt.Fprintf(&b, "leaving    %s (all parts)\n", kinds)
	}
	if r.Checked > 0 {
		fmt.Fprintf(&b, "checked    %d rows have the score of the model where it was trained\n", r.Checked)
	}
	whom := "customers never trained on"
	if r.Split == nil && (len(r.Leaderboard) == 0 || r.Kind == "imported") { // of EvaluateTable, or trained elsewhere
		whom = "customers"
	}
	fmt.Fprintf(&b, "test       %d rows of %d %s, %d churners (base rate %s)\n",
		r.Model.Rows, r.Model.Customers, whom, r.Model.Churners, decimal("%.3f", float64(e.BaseRate.Value)))
	fmt.Fprintf(&b, "%-22s %-26s %s\n", "", "model [95% interval]", r.Rule.Name)
	for _, l := range []struct {
		name string
		a, b measure.Estimate
	}{
		{"AUC", e.AUC, u.AUC}, {"average precision", e.AveragePrecision, u.AveragePrecision},
		{"log loss", e.LogLoss, u.LogLoss}, {"Brier score", e.Brier, u.Brier},
		{"calibration error", e.ECE, u.ECE}, {"lift in top decile", e.TopDecileLift, u.TopDecileLift},
	} {
		fmt.Fprintf(&b, "%-22s %-26s %s\n", l.name, interval(l.a), decimal("%.4f", float64(l.b.Value)))
	}
	r.headlines(&b)
	for i := range r.Backtest {
		fmt.Fprintf(&b, "backtest   %s\n", &r.Backtest[i])
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%-10s %s\n", f.Severity, f.Text)
	}
	gate, verdict := "gate", "passed"
	if !r.Gate.Passed {
		verdict = "refused"
	}
	for _, reason := range r.Gate.Reasons {
		fmt.Fprintf(&b, "%-10s %-8s %s\n", gate, verdict, reason)
		gate, verdict = "", ""
	}
	return b.String()
}

func interval(e measure.Estimate) string {
	if math.IsNaN(float64(e.Value)) {
		return "not measured"
	}
	return fmt.Sprintf("%.4f [%s, %s]", e.Value, decimal("%.4f", float64(e.Low)), decimal("%.4f", float64(e.High)))
}

func decimal(format string, v float64) string {
	if math.IsNaN(v) {
		return "not measured"
	}
	return fmt.Sprintf(format, v)
}
