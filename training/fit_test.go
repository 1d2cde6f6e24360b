package training

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"churn/features"
	"churn/model"
	"churn/model/baseline"
	"churn/model/gbdt"
)

// planted makes data in which a, b and the level of plan tell of churn.
func planted(seed uint64, n int) *Data {
	r := rand.New(rand.NewPCG(seed, 9))
	d := &Data{Matrix: features.Matrix{Features: []features.Feature{
		{Name: "a"}, {Name: "b"}, {Name: "noise"}, {Name: "plan", Kind: features.Category, Levels: []string{"x", "y", "z"}}}}}
	for i := range n {
		row := d.Matrix.Grow()
		row[0], row[1], row[2], row[3] = float32(r.NormFloat64()), float32(r.ExpFloat64()), float32(r.NormFloat64()), float32(r.IntN(4)-1)
		z := -1.5 + float64(row[0]) - 0.5*float64(row[1])
		if row[3] == 1 {
			z += 1.5
		}
		if r.IntN(5) == 0 {
			row[1] = nan32
		}
		if r.IntN(20) == 0 {
			row[3] = nan32
		}
		d.Observations = append(d.Observations, Observation{Customer: fmt.Sprint(i / 2), Churned: r.Float64() < model.Sigmoid(z)})
	}
	return d
}

// golearnRow is what golearn is given for a row.
func golearnRow(row []float32) []float64 {
	var x []float64
	for _, v := range row {
		if math.IsNaN(float64(v)) {
			x = append(x, missingBelow)
		} else {
			x = append(x, float64(v))
		}
	}
	return x
}

// Our trees give golearn's probabilities to the last bit, whatever is missing.
func TestExportedForestIsGolearns(t *testing.T) {
	d := planted(1, 2000)
	x := baseline.Matrix{Rows: 2000, Cols: 4}
	for i := range 2000 {
		x.Data = append(x.Data, golearnRow(d.Matrix.Row(i))...)
	}
	p := baseline.DefaultForestParams()
	p.Trees, p.Seed = 15, 3
	theirs, err := baseline.FitForest(t.Context(), x, d.Labels(), p)
	if err != nil {
		t.Fatal(err)
	}
	ours := exportForest(theirs, &d.Matrix)
	r := rand.New(rand.NewPCG(5, 6))
	test := planted(2, 2000)
	for i := range 2000 {
		row := test.Matrix.Row(i)
		for j := range row {
			switch r.IntN(8) {
			case 0:
				row[j] = nan32
			case 1:
				row[j] = float32(r.NormFloat64() * 1e9)
			}
		}
		if got, want := ours.Predict(row), theirs.Probability(golearnRow(row)); got != want {
			t.Fatalf("row %v: %v, golearn has %v", row, got, want)
		}
	}
	// LightGBM's text format holds it all.
	var text bytes.Buffer
	if err := ours.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	back, err := gbdt.ReadText(bytes.NewReader(text.Bytes()), gbdt.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		if got, want := back.Predict(test.Matrix.Row(i)), ours.Predict(test.Matrix.Row(i)); got != want {
			t.Fatalf("row %d is %v after reading, was %v", i, got, want)
		}
	}
}

// A forest that learned nothing is single leaves, and still a forest.
func TestExportedStump(t *testing.T) {
	f := &baseline.Forest{BaseRate: 0.25, Trees: []baseline.Tree{{Nodes: []baseline.Node{{Feature: -1, Votes: [2]int{6, 2}}}}}}
	d := planted(1, 10)
	ours := exportForest(f, &d.Matrix)
	if err := ours.Validate(); err != nil {
		t.Fatal(err)
	}
	// (2 + 2·0.25) / (8 + 2), by hand.
	if got := ours.Predict(d.Matrix.Row(0)); got != 0.25 {
		t.Errorf("share %v, want 0.25", got)
	}
}

// planOf is a plan for data that is at hand.
func planOf(t *testing.T, rungs ...string) *Plan {
	t.Helper()
	p := &Plan{Definition: model.Definition{Kind: "label", Label: "churned=yes"}, Seed: 1, Workers: 2, Rungs: rungs}
	if err := p.defaults(); err != nil {
		t.Fatal(err)
	}
	return p
}

// climbed fits the given rungs: the base rate is the first.
func climbed(t *testing.T, d *Data, rungs ...string) []*candidate {
	t.Helper()
	out, _, err := planOf(t, rungs...).climb(t.Context(), parts{train: d})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Folding Platt's map into the leaves keeps the ranks, and the margin is the
// map of the mean vote.
func TestToLogOdds(t *testing.T) {
	d := planted(3, 3000)
	x := baseline.Matrix{Rows: 3000, Cols: 4}
	for i := range 3000 {
		x.Data = append(x.Data, golearnRow(d.Matrix.Row(i))...)
	}
	p := baseline.DefaultForestParams()
	p.Trees = 7
	theirs, err := baseline.FitForest(t.Context(), x, d.Labels(), p)
	if err != nil {
		t.Fatal(err)
	}
	f := exportForest(theirs, &d.Matrix)
	toLogOdds(f, model.Calibration{Kind: "platt", Slope: 7, Offset: -4})
	if err := f.Validate(); err != nil {
		t.Error(err)
	}
	phi := make([]float64, 4)
	for i := range 3000 {
		row := d.Matrix.Row(i)
		want := 7*theirs.Probability(golearnRow(row)) - 4
		if after := f.Predict(row); math.Abs(after-want) > 1e-12 {
			t.Fatalf("row %d: %v, want %v", i, after, want)
		}
		if i%100 > 0 {
			continue
		}
		sum := f.Contributions(row, phi) // of the new margin too
		for _, v := range phi {
			sum += v
		}
		if math.Abs(sum-want) > 1e-9 {
			t.Errorf("contributions add up to %v, want %v", sum, want)
		}
	}
}

func TestLogisticFindsWhatIsPlanted(t *testing.T) {
	d := planted(4, 6000)
	l := newLadder(planOf(t, "logistic"), d)
	fits, tried, err := l.search(t.Context(), usualLearners(l, "logistic, C=0.01 (golearn)", "logistic, C=0.1 (golearn)"))
	if err != nil {
		t.Fatal(err)
	}
	if len(fits) != 1 || len(tried) != 2 || tried[0].Name != "logistic, C=0.01 (golearn)" || tried[1].Name != "logistic, C=0.1 (golearn)" {
		t.Fatalf("%d fits, tried %+v", len(fits), tried)
	}
	test := planted(5, 6000)
	// The truth is additive: what it was drawn from, with b missing averaged out.
	var truth []float64
	for i := range 6000 {
		row := test.Matrix.Row(i)
		z := float64(row[0])
		if v := float64(row[1]); !math.IsNaN(v) {
			z -= 0.5 * v
		} else {
			z -= 0.5
		}
		if row[3] == 1 {
			z += 1.5
		}
		truth = append(truth, z)
	}
	best := auc(truth, test.Labels())
	if got := auc(l.candidate(fits[0]).margins(&test.Matrix, 2), test.Labels()); got < best-0.01 {
		t.Errorf("%s has AUC %.4f, the truth %.4f", fits[0].name, got, best)
	}
	nothing := &Data{Matrix: features.Matrix{Features: []features.Feature{{Name: "constant"}}, Data: make([]float32, 100)},
		Observations: make([]Observation, 100)}
	l = newLadder(planOf(t, "logistic"), nothing)
	if fits, _, err := l.search(t.Context(), usualLearners(l, "logistic, C=0.001 (golearn)")); err != nil || len(l.candidate(fits[0]).linear.Terms) != 0 {
		t.Errorf("nothing to learn from: %v", err)
	}
}

func TestSample(t *testing.T) {
	if got := sample(5, 9, 1); !slices.Equal(got, []int{0, 1, 2, 3, 4}) {
		t.Errorf("all of five are %v", got)
	}
	a, b := sample(1000, 100, 1), sample(1000, 100, 2)
	if len(a) != 100 || !slices.IsSorted(a) || len(slices.Compact(slices.Clone(a))) != 100 || slices.Equal(a, b) || !slices.Equal(a, sample(1000, 100, 1)) {
		t.Errorf("samples %v and %v", a, b)
	}
}

// The rule ranks by silence; who was never heard of comes after everybody.
func TestRule(t *testing.T) {
	m := &features.Matrix{Features: []features.Feature{{Name: "eng_rec", Window: 90 * days}, {Name: "act_rec"}},
		Data: []float32{0, 10, 0, 200, 0, nan32, 0, 364, 0, 0}}
	c := fitRule(m, 1)
	if c.name != "inactivity rule (act_rec)" || c.kind != "rule" {
		t.Errorf("rule %q of kind %q", c.name, c.kind)
	}
	got := c.margins(m, 1)
	// Days over 30; nothing within a year is 365 days and a month.
	for i, want := range []float64{10. / 30, 200. / 30, 395. / 30, 364. / 30, 0} {
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("row %d has margin %v, want %v", i, got[i], want)
		}
	}
	m.Features = []features.Feature{{Name: "pay_rec", Window: 60 * days}, {Name: "x"}}
	c = fitRule(m, 1)
	if l := c.linear.Terms[0]; c.name != "inactivity rule (pay_rec)" || l.Knots[1] != 60 {
		t.Errorf("rule %q, knots %v", c.name, l.Knots)
	}
	m.Features[0].Name = "y"
	if fitRule(m, 1) != nil {
		t.Error("a rule without a recency")
	}
	if got := fitPrior().margins(m, 1); len(got) != 5 || got[0] != 0 {
		t.Errorf("base rate scores %v", got)
	}
}

// Where the longer silent left more rarely, silence is no rule to fall back on.
func TestInvertedRule(t *testing.T) {
	d := planted(7, 400)
	d.Matrix.Features[0].Name = "act_rec"
	for i := range d.Observations {
		d.Matrix.Row(i)[0] = float32(i)
		d.Observations[i].Churned = i%4 == 0 && i < 200
	}
	p := planOf(t)
	if c := p.base(d); c.kind != "prior" {
		t.Errorf("%s", c.name)
	}
	for i := range d.Observations {
		d.Matrix.Row(i)[0] = float32(400 - i)
	}
	if c := p.base(d); c.kind != "rule" {
		t.Errorf("%s", c.name)
	}
}
