package training

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"churn/features"
	"churn/model"
	"churn/training/measure"
)

// championTable is a wide table in which x and y predict, and a quarter churns.
func championTable(seed uint64) *Table {
	r := rand.New(rand.NewPCG(seed, 5))
	t := &Table{Columns: []string{"x", "y"}, Fingerprint: "made"}
	for i := range 3000 {
		x, y := r.NormFloat64(), r.NormFloat64()
		t.Rows = append(t.Rows, []string{decimal("%.4f", x), decimal("%.4f", y)})
		t.IDs = append(t.IDs, decimal("%05.0f", float64((i*7919)%3000)))
		t.Labels = append(t.Labels, r.Float64() < model.Sigmoid(x+y-1.4))
	}
	return t
}

func championPlan() Plan {
	return Plan{Definition: model.Definition{Kind: "label", Label: "churn=yes"}, Rungs: []string{"logistic"}, Replicates: 100, Seed: 1, Checks: "quick"}
}

func trained(t *testing.T, table *Table, p Plan) (*model.Model, *Report, *Stored) {
	t.Helper()
	m, r, err := TrainTable(context.Background(), table, p)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStored(m)
	if err != nil {
		t.Fatal(err)
	}
	return m, r, s
}

func TestChampion(t *testing.T) {
	table := championTable(1)
	best, first, champion := trained(t, table, championPlan())
	if first.Champion != nil {
		t.Errorf("compared with nobody: %+v", first.Champion)
	}
	// With itself: no difference, and the same file to the byte.
	p := championPlan()
	p.Champion = champion
	again, r, _ := trained(t, table, p)
	c := r.Champion
	if again.Manifest.Version != best.Manifest.Version || c.Version != best.Manifest.Version || c.NotCompared != "" || c.Note != "" || c.Refused != "" ||
		c.Rows != r.Model.Rows || c.Champion.AUC != r.Model.Estimates.AUC || c.Difference.LogLoss != (measure.Estimate{}) {
		t.Errorf("%s and %s: %+v", again.Manifest.Version, best.Manifest.Version, c)
	}
	var stored Report
	if err := json.Unmarshal(again.ReportJSON, &stored); err != nil || stored.Champion != nil {
		t.Errorf("the model file holds the comparison: %+v, error %v", stored.Champion, err)
	}
	if data, html, err := r.Files(); err != nil || !strings.Contains(string(data), `"champion": {`) || !strings.Contains(string(html), "Beside the champion") {
		t.Errorf("the report does not hold the comparison: error %v", err)
	}
	// Half of what there is to know is surely worse, in the report and not in the
	// file; with a margin it is not.
	p.Features = &features.Set{Version: 1, Columns: []features.Column{{Name: "x", Type: "number"}}}
	worse, r, _ := trained(t, table, p)
	c = r.Champion
	if c.Refused == "" || c.Difference.LogLoss.Low <= 0 || c.Difference.AUC.High >= 0 || r.Gate.Passed || !worse.Manifest.Gate.Passed ||
		!slices.ContainsFunc(r.Gate.Reasons, func(s string) bool { return strings.HasPrefix(s, "worse than the champion "+best.Manifest.Version) }) || len(r.Gate.Reasons) != 1 {
		t.Errorf("%+v, gate %+v, of the file %+v", c, r.Gate, worse.Manifest.Gate)
	}
	p.ChampionMargin = float64(c.Difference.LogLoss.High)
	if _, r, _ = trained(t, table, p); r.Champion.Refused != "" || !r.Gate.Passed {
		t.Errorf("within the margin: %+v", r.Champion)
	}
	p.ChampionMargin = math.NaN()
	if _, _, err := TrainTable(context.Background(), table, p); err == nil || !strings.Contains(err.Error(), "champion margin NaN") {
		t.Errorf("error %v", err)
	}
}

// Another seed holds out others: only those of both are compared.
func TestChampionOfAnotherSeed(t *testing.T) {
	table := championTable(1)
	p := championPlan()
	p.Seed = 2
	_, _, champion := trained(t, table, p)
	p = championPlan()
	p.Champion = champion
	_, r, _ := trained(t, table, p)
	want := 0
	for _, id := range table.IDs {
		if heldOut(id, 1, 0.2) && heldOut(id, 2, 0.2) {
			want++
		}
	}
	if c := r.Champion; c.Rows != want || c.Customers != want || !strings.Contains(c.Note, "only the ") || !strings.Contains(c.Note, "with seed 2 and 0.2 held out") {
		t.Errorf("%+v, want %d rows", c, want)
	}
}

func TestChampionNotCompared(t *testing.T) {
	_, _, champion := trained(t, championTable(1), championPlan())
	p := championPlan()
	p.Champion, p.Definition.Label = champion, "gone=yes"
	_, r, _ := trained(t, championTable(1), p)
	if c := r.Champion; c.NotCompared != "its definition is label: churn=yes" || c.Difference != nil || r.Gate.Passed != (c.Refused == "") {
		t.Errorf("another label: %+v", c)
	}
	p.Definition.Label = "churn=yes"
	other := championTable(1)
	other.Columns[1] = "z"
	if _, r, _ = trained(t, other, p); !strings.Contains(r.Champion.NotCompared, `no column "y"`) {
		t.Errorf("without its column: %+v", r.Champion)
	}
}

// Of histories, a champion with other features gets rows of its own, and is
// measured as EvaluateHistories measures it.
func TestChampionOfHistories(t *testing.T) {
	w := tinyWorld(1700)
	src := newWorldSource(t, w)
	p := worldPlan(&w)
	p.Rungs, p.Checks = []string{}, "quick" // the rule
	m, own, err := Train(context.Background(), src, p)
	if err != nil {
		t.Fatal(err)
	}
	champion, err := NewStored(m)
	if err != nil {
		t.Fatal(err)
	}
	set, err := features.Parse([]byte("version: 1\nfeatures:\n- {name: eng_rec, from: engagement, agg: recency, windows: [90d]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	p.Features, p.Champion = set, champion
	_, r, err := Train(context.Background(), src, p)
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Champion; c.NotCompared != "" || c.Rows != own.Model.Rows || c.Champion.LogLoss != own.Model.Estimates.LogLoss || c.Champion.AUC != own.Model.Estimates.AUC {
		t.Errorf("%+v, want %+v", c, own.Model.Estimates)
	}
	// With more held out than the champion had, those of the champion are left.
	p.HeldOut = 0.3
	if _, r, err = Train(context.Background(), src, p); err != nil || !strings.Contains(r.Champion.Note, "with seed 1 and 0.25 held out") ||
		r.Champion.Rows != own.Model.Rows || r.Model.Rows <= own.Model.Rows {
		t.Errorf("%+v, error %v", r.Champion, err)
	}
}
