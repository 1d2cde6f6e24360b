package model

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"churn/event"
	"churn/features"
	"churn/model/gbdt"
)

// testSet has a category and three numbers, of which one has a text with a
// unit and one has no text at all.
const testSet = `
version: 1
attributes:
- {name: plan, type: category, levels: [basic, pro]}
features:
- {name: "eng_n_{w}", from: engagement, agg: count, windows: [30d], text: "{value} engagements in {w}"}
- {name: "pay_amt_{w}", from: payments, agg: sum, field: amount, windows: [90d]}
- {name: eng_rec, from: engagement, agg: recency, windows: [365d], text: "no engagement for {value} days"}
`

// Columns of testSet.
const (
	planColumn = iota
	countColumn
	amountColumn
	recencyColumn
	testColumns
)

var nan = float32(math.NaN())

// testLinear is written by hand.
func testLinear() *Linear {
	return &Linear{Intercept: -1, Terms: []Term{
		{Feature: "eng_rec", Knots: []float64{0, 30, 365}, Values: []float64{-0.5, 1, 2}, Missing: 2.5, Mean: 0.25},
		{Feature: "cus_plan", Levels: []float64{0.25, -0.5}, Other: 0.125, Missing: 0.0625, Mean: 0.03},
		{Feature: "eng_n_30", Knots: []float64{3}, Values: []float64{0.75}, Missing: -1, Mean: 0.7},
	}}
}

// testForest has three trees written by hand: a number with a missing branch,
// a category, and a single leaf.
func testForest() *gbdt.Forest {
	return &gbdt.Forest{
		FeatureNames: []string{"cus_plan", "eng_n_30", "pay_amt_90", "eng_rec"},
		FeatureInfos: []string{"0:1", "[0:30]", "[0:500]", "[0:365]"},
		Objective:    "binary", Sigmoid: 1,
		Trees: []gbdt.Tree{{
			SplitFeature: []int{3, 1}, SplitGain: []float64{5, 2}, Threshold: []float64{20, 4.5},
			DecisionType: []gbdt.DecisionType{gbdt.MissingNaN, gbdt.DefaultLeft | gbdt.MissingNaN},
			LeftChild:    []int{1, ^1}, RightChild: []int{^0, ^2},
			LeafValue: []float64{1, -0.25, -1.5}, LeafWeight: []float64{4, 3, 3}, LeafCount: []int{40, 30, 30},
			InternalValue: []float64{0, -0.9}, InternalWeight: []float64{10, 6}, InternalCount: []int{100, 60},
			Shrinkage: 1,
		}, {
			SplitFeature: []int{0}, SplitGain: []float64{1}, Threshold: []float64{0},
			DecisionType: []gbdt.DecisionType{gbdt.Categorical}, LeftChild: []int{^0}, RightChild: []int{^1},
			LeafValue: []float64{-0.5, 0.5}, LeafWeight: []float64{2, 8}, LeafCount: []int{20, 80},
			InternalValue: []float64{0.3}, InternalWeight: []float64{10}, InternalCount: []int{100},
			CatBoundaries: []int{0, 1}, CatThreshold: []uint32{0b10}, Shrinkage: 1,
		}, {
			LeafValue: []float64{0.125}, Shrinkage: 1,
		}},
	}
}

// randomForest has complete trees with random tests and counts.
func randomForest(r *rand.Rand, names []string, trees, depth int) *gbdt.Forest {
	f := &gbdt.Forest{FeatureNames: names, Objective: "binary", Sigmoid: 1}
	for range names {
		f.FeatureInfos = append(f.FeatureInfos, "none")
	}
	for range trees {
		nodes := 1<<depth - 1
		t := gbdt.Tree{Shrinkage: 0.1, SplitGain: make([]float64, nodes), InternalValue: make([]float64, nodes),
			InternalWeight: make([]float64, nodes), InternalCount: make([]int, nodes)}
		for i := range nodes {
			child := func(c int) int {
				if c < nodes {
					return c
				}
				return ^(c - nodes)
			}
			t.SplitFeature = append(t.SplitFeature, r.IntN(len(names)))
			t.Threshold = append(t.Threshold, math.Round(r.Float64()*400)/4)
			t.DecisionType = append(t.DecisionType, gbdt.DecisionType(r.IntN(2))*gbdt.DefaultLeft|gbdt.MissingNaN)
			t.LeftChild = append(t.LeftChild, child(2*i+1))
			t.RightChild = append(t.RightChild, child(2*i+2))
		}
		for range nodes + 1 {
			t.LeafValue = append(t.LeafValue, r.NormFloat64()/10)
			t.LeafWeight = append(t.LeafWeight, 1)
			t.LeafCount = append(t.LeafCount, 1+r.IntN(20))
		}
		for i := nodes - 1; i >= 0; i-- {
			for _, c := range [2]int{t.LeftChild[i], t.RightChild[i]} {
				if c >= 0 {
					t.InternalCount[i] += t.InternalCount[c]
				} else {
					t.InternalCount[i] += t.LeafCount[^c]
				}
			}
		}
		f.Trees = append(f.Trees, t)
	}
	return f
}

// randomRows mixes usual values with missing, extreme and infinite ones.
func randomRows(r *rand.Rand, n int) [][]float32 {
	odd := []float32{nan, 0, -1, 254, 1e30, -1e30, math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), -0.5, 0.5}
	rows := make([][]float32, n)
	for i := range rows {
		rows[i] = []float32{float32(r.IntN(2)), float32(r.IntN(30)), r.Float32() * 500, r.Float32() * 365}
		for j := range rows[i] {
			if r.IntN(4) == 0 {
				rows[i][j] = odd[r.IntN(len(odd))]
			}
		}
	}
	return rows
}

func linearModel(t testing.TB) *Model {
	return finish(t, &Model{Linear: testLinear(), Manifest: Manifest{Kind: "logistic", Weights: Weights{Linear: 1}}})
}

func forestModel(t testing.TB) *Model {
	m := &Model{Forest: testForest(), Manifest: Manifest{Kind: "forest", Weights: Weights{Forest: 1}}}
	m.Calibration = Calibration{Kind: "isotonic", Margins: []float64{-2, 0, 1.5}, Probabilities: []float64{0.02, 0.2, 0.7}}
	return finish(t, m)
}

func blendModel(t testing.TB) *Model {
	return finish(t, &Model{Linear: testLinear(), Forest: testForest(),
		Manifest: Manifest{Kind: "blend", Weights: Weights{Linear: 0.6, Forest: 0.4}}})
}

func betaModel(t testing.TB) *Model {
	m := &Model{Linear: testLinear(), Manifest: Manifest{Kind: "logistic", Weights: Weights{Linear: 1}}}
	m.Calibration = Calibration{Kind: "beta", A: 1.5, B: 0.5, C: -0.25}
	return finish(t, m)
}

// tailModel is calibrated by one block, with nothing but tails around it.
func tailModel(t testing.TB) *Model {
	m := &Model{Forest: testForest(), Manifest: Manifest{Kind: "forest", Weights: Weights{Forest: 1}}}
	m.Calibration = Calibration{Kind: "isotonic", Margins: []float64{-1}, Probabilities: []float64{0.125}, Tail: 0.5}
	return finish(t, m)
}

// testModels are one of each kind.
func testModels(t testing.TB) map[string]*Model {
	return map[string]*Model{"linear": linearModel(t), "forest": forestModel(t), "blend": blendModel(t), "beta": betaModel(t), "tail": tailModel(t)}
}

// finish fills in what a test did not: definition, calibration, reference and
// golden rows.
func finish(t testing.TB, m *Model) *Model {
	t.Helper()
	if m.Features == nil {
		set, err := features.Parse([]byte(testSet))
		if err != nil {
			t.Fatal(err)
		}
		m.Features = set
	}
	engine, err := m.Features.Compile()
	if err != nil {
		t.Fatal(err)
	}
	f := &m.Manifest
	f.Name, f.Seed = "test", 7
	f.Through = event.FromTime(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC))
	f.Definition = Definition{Kind: "contract", Gap: 7 * event.Day, Horizon: 30 * event.Day, Streams: []string{"payments"}}
	f.FeatureFingerprint, f.DataFingerprint = engine.Fingerprint(), "by hand"
	f.Bands = Bands{Medium: 0.25, High: 0.5}
	f.Metrics = map[string]float64{"auc": 0.75, "brier": 0.125}
	f.Gate = Gate{Passed: true, Reasons: []string{"a test"}}
	if m.Calibration.Kind == "" {
		m.Calibration = Calibration{Kind: "platt", Slope: 1.25, Offset: -0.125}
	}
	m.ReportJSON, m.ReportHTML = []byte(`{"auc":0.75}`), []byte("<p>a report</p>")

	r := rand.New(rand.NewPCG(1, 2))
	matrix := &features.Matrix{Features: engine.Features()}
	for range 200 {
		row := matrix.Grow()
		row[planColumn], row[countColumn] = float32(r.IntN(3)-1), float32(r.IntN(30))
		row[amountColumn], row[recencyColumn] = float32(r.IntN(2000))/4, float32(r.IntN(365))
		if r.IntN(5) == 0 {
			row[r.IntN(testColumns)] = nan
		}
	}
	m.Reference = NewReference(matrix, make([]float64, matrix.Rows()), nil)
	m.Golden = nil
	s, err := m.Compile()
	if err != nil {
		t.Fatal(err)
	}
	probabilities := make([]float64, matrix.Rows())
	churned := make([]bool, matrix.Rows())
	for i := range probabilities {
		sc := s.Score(matrix.Row(i), nil)
		probabilities[i], churned[i] = sc.Probability, r.Float64() < sc.Probability
		if i < 5 {
			g := GoldenRow{Margin: sc.Margin, Probability: sc.Probability}
			for _, v := range matrix.Row(i) {
				if v != v {
					g.Values = append(g.Values, nil)
				} else {
					g.Values = append(g.Values, &v)
				}
			}
			m.Golden = append(m.Golden, g)
		}
	}
	m.Reference = NewReference(matrix, probabilities, churned)
	return m
}

// fileOf writes a model.
func fileOf(t testing.TB, m *Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compile(t testing.TB, m *Model) *Scorer {
	t.Helper()
	s, err := m.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
