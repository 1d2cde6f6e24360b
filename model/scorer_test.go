package model

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"

	"churn/event"
	"churn/features"
	"churn/model/gbdt"
)

// TestCompileRefuses parts that do not fit each other, however they came
// together.
func TestCompileRefuses(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		name   string
		change func(*Model)
		want   string
	}{
		{"nothing", func(m *Model) {}, ""},
		{"no parts", func(m *Model) { m.Linear, m.Forest = nil, nil }, "neither a linear part nor a forest"},
		{"no features", func(m *Model) { m.Features = nil }, "no feature set"},
		{"other features", func(m *Model) { m.Features.Features[0].Windows[0] = 31 * event.Day }, "feature fingerprint"},
		{"no fingerprint", func(m *Model) { m.Manifest.FeatureFingerprint = "" }, "feature fingerprint"},
		{"levels not frozen", func(m *Model) { m.Features.Attributes[0].Levels = nil }, "not frozen"},
		{"weight", func(m *Model) { m.Manifest.Weights.Linear = math.NaN() }, "weights NaN and 0.4"},
		{"weight below zero", func(m *Model) { m.Manifest.Weights.Forest = -0.4 }, "weights 0.6 and -0.4"},
		{"bands", func(m *Model) { m.Manifest.Bands.High = 0.1 }, "bands from 0.25 and 0.1"},
		{"band", func(m *Model) { m.Manifest.Bands.High = math.NaN() }, "bands from 0.25 and NaN"},

		{"intercept", func(m *Model) { m.Linear.Intercept = inf }, "linear: intercept +Inf"},
		{"unknown feature", func(m *Model) { m.Linear.Terms[0].Feature = "x" }, `term "x": no such feature`},
		{"term twice", func(m *Model) { m.Linear.Terms[2] = m.Linear.Terms[0] }, `term "eng_rec" appears twice`},
		{"knots of a category", func(m *Model) { m.Linear.Terms[1].Knots = []float64{0} }, `term "cus_plan": a category has levels`},
		{"fewer levels", func(m *Model) { m.Linear.Terms[1].Levels = []float64{1} }, "1 levels where the feature has 2"},
		{"more levels", func(m *Model) { m.Linear.Terms[1].Levels = make([]float64, 3) }, "3 levels where the feature has 2"},
		{"no levels", func(m *Model) { m.Linear.Terms[1].Levels = nil }, "0 levels where the feature has 2"},
		{"levels of a number", func(m *Model) { m.Linear.Terms[0].Levels = []float64{} }, `term "eng_rec": a number has knots`},
		{"no knots", func(m *Model) { m.Linear.Terms[2].Knots, m.Linear.Terms[2].Values = nil, nil }, "0 knots and 0 values"},
		{"fewer values", func(m *Model) { m.Linear.Terms[0].Values = []float64{1} }, "3 knots and 1 values"},
		{"knots equal", func(m *Model) { m.Linear.Terms[0].Knots[1] = 0 }, "knot 1 does not ascend"},
		{"knots descend", func(m *Model) { m.Linear.Terms[0].Knots[2] = 1 }, "knot 2 does not ascend"},
		{"knot", func(m *Model) { m.Linear.Terms[0].Knots[0] = math.NaN() }, "a knot is not finite"},
		{"knot at the end", func(m *Model) { m.Linear.Terms[0].Knots[2] = inf }, "a knot is not finite"},
		{"value", func(m *Model) { m.Linear.Terms[0].Values[0] = math.NaN() }, "a contribution is not within"},
		{"level", func(m *Model) { m.Linear.Terms[1].Levels[0] = -inf }, "a contribution is not within"},
		{"other", func(m *Model) { m.Linear.Terms[1].Other = math.NaN() }, "a contribution is not within"},
		{"missing", func(m *Model) { m.Linear.Terms[0].Missing = 1e9 }, "a contribution is not within"},
		{"mean", func(m *Model) { m.Linear.Terms[0].Mean = inf }, "a contribution is not within"},

		{"forest arrays", func(m *Model) { m.Forest.Trees[0].LeafCount = nil }, "forest: tree 0: leaf_count"},
		{"forest cycle", func(m *Model) { m.Forest.Trees[0].LeftChild[0] = 0 }, "forest: tree 0: node 0 has child 0"},
		{"forest feature", func(m *Model) { m.Forest.Trees[1].SplitFeature[0] = 4 }, "but there are 4 features"},
		{"forest leaf", func(m *Model) { m.Forest.Trees[0].LeafValue[1] = math.NaN() }, "forest: tree 0: leaf_value[1]"},
		{"forest leaf huge", func(m *Model) { m.Forest.Trees[2].LeafValue[0] = 1e7 }, "forest: tree 2: a leaf is not within"},
		{"forest name", func(m *Model) { m.Forest.FeatureNames[3] = "x" }, `feature 3 is "x" where the feature set has "eng_rec"`},
		{"forest order", func(m *Model) {
			n := m.Forest.FeatureNames
			n[1], n[2] = n[2], n[1]
		}, `feature 1 is "pay_amt_90"`},
		{"forest width", func(m *Model) {
			m.Forest.FeatureNames = append(m.Forest.FeatureNames, "x")
			m.Forest.FeatureInfos = append(m.Forest.FeatureInfos, "none")
		}, "5 features where the feature set has 4"},
		{"forest too deep", func(m *Model) { m.Forest.Trees = []gbdt.Tree{chain(1000)} }, "too many and too deep"},

		{"calibration", func(m *Model) { m.Calibration = Calibration{} }, `calibration: kind ""`},
		{"slope", func(m *Model) { m.Calibration.Slope = -1 }, "slope -1 must be positive"},
		{"slope zero", func(m *Model) { m.Calibration.Slope = 0 }, "slope 0 must be positive"},
		{"slope infinite", func(m *Model) { m.Calibration.Slope = inf }, "slope +Inf must be positive and finite"},
		{"offset", func(m *Model) { m.Calibration.Offset = math.NaN() }, "offset NaN finite"},
		{"two calibrations", func(m *Model) { m.Calibration.Margins = []float64{0} }, "platt: has no knots"},
		{"isotonic with slope", func(m *Model) {
			m.Calibration.Kind, m.Calibration.Margins, m.Calibration.Probabilities = "isotonic", []float64{0}, []float64{0}
		}, "isotonic: has no slope"},
		{"platt with a", func(m *Model) { m.Calibration.A = 1 }, "platt: has no knots and no a"},
		{"platt with tail", func(m *Model) { m.Calibration.Tail = 1 }, "platt: has no knots"},
		{"beta empty", func(m *Model) { m.Calibration = Calibration{Kind: "beta", C: 1} }, "beta: a 0 and b 0 must not be negative and not both 0"},
		{"beta negative", func(m *Model) { m.Calibration = Calibration{Kind: "beta", A: 1, B: -1e-9} }, "beta: a 1 and b -1e-09 must not be negative"},
		{"beta infinite", func(m *Model) { m.Calibration = Calibration{Kind: "beta", A: inf, B: 1} }, "beta: a +Inf"},
		{"beta c", func(m *Model) { m.Calibration = Calibration{Kind: "beta", A: 1, C: math.NaN()} }, "c is NaN"},
		{"beta with slope", func(m *Model) { m.Calibration.Kind, m.Calibration.A = "beta", 1 }, "beta: has no slope"},
		{"isotonic with a", func(m *Model) {
			m.Calibration = Calibration{Kind: "isotonic", A: 1, Margins: []float64{0}, Probabilities: []float64{0}}
		}, "isotonic: has no slope and offset and no a"},
		{"isotonic tail", func(m *Model) {
			m.Calibration = Calibration{Kind: "isotonic", Margins: []float64{0}, Probabilities: []float64{0}, Tail: -1}
		}, "isotonic: tail -1 must be from 0"},
		{"isotonic tail infinite", func(m *Model) {
			m.Calibration = Calibration{Kind: "isotonic", Margins: []float64{0}, Probabilities: []float64{0}, Tail: inf}
		}, "isotonic: tail +Inf"},
		{"isotonic empty", func(m *Model) { m.Calibration = Calibration{Kind: "isotonic"} }, "0 margins and 0 probabilities"},
		{"isotonic margin", func(m *Model) {
			m.Calibration = Calibration{Kind: "isotonic", Margins: []float64{inf}, Probabilities: []float64{0.5}}
		}, "knot 0 is out of range"},
		{"isotonic probability", func(m *Model) {
			m.Calibration = Calibration{Kind: "isotonic", Margins: []float64{0}, Probabilities: []float64{math.NaN()}}
		}, "knot 0 is out of range"},
		{"isotonic order", func(m *Model) {
			m.Calibration = Calibration{Kind: "isotonic", Margins: []float64{0, 0}, Probabilities: []float64{0.1, 0.2}}
		}, "knot 1 does not ascend"},

		{"quantiles", func(m *Model) { m.Reference.Quantiles = m.Reference.Quantiles[1:] }, "100 quantiles"},
		{"quantiles descend", func(m *Model) { m.Reference.Quantiles[50] = 0 }, "quantiles are not ascending"},
		{"quantile", func(m *Model) { m.Reference.Quantiles[100] = 1.5 }, "quantiles are not ascending"},
		{"quantile NaN", func(m *Model) { m.Reference.Quantiles[0] = math.NaN() }, "quantiles are not ascending"},
		{"base rate", func(m *Model) { m.Reference.BaseRate = math.NaN() }, "base rate of NaN"},
		{"rows", func(m *Model) { m.Reference.Rows = -1 }, "-1 rows"},
		{"reference width", func(m *Model) { m.Reference.Features = m.Reference.Features[1:] }, "3 features where the feature set has 4"},
		{"reference order", func(m *Model) { m.Reference.Features[1].Name = "eng_rec" }, `feature 1, "eng_rec": the feature set has "eng_n_30"`},
		{"bounds of a category", func(m *Model) { m.Reference.Features[0].Bounds = []float64{0} }, "a category has no bounds"},
		{"shares", func(m *Model) { m.Reference.Features[0].Shares = []float64{1} }, "1 shares where there are 3 bins"},
		{"shares of a number", func(m *Model) { m.Reference.Features[1].Shares = nil }, "0 shares"},
		{"share", func(m *Model) { m.Reference.Features[1].Shares[0] = -1 }, "share -1"},
		{"missing share", func(m *Model) { m.Reference.Features[1].Missing = math.NaN() }, "share NaN"},
		{"bounds descend", func(m *Model) { m.Reference.Features[2].Bounds[0] = 1e6 }, "bounds do not ascend"},

		{"golden", func(m *Model) { m.Golden[3].Probability += 1e-8 }, "golden row 3: probability"},
		{"golden margin", func(m *Model) { m.Golden[0].Margin = math.NaN() }, "golden row 0: margin"},
		{"golden width", func(m *Model) { m.Golden[0].Values = nil }, "golden row 0 has 0 values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := blendModel(t)
			c.change(m)
			_, err := m.Compile()
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want an error with %q", err, c.want)
			}
		})
	}
}

// chain is a tree of as many tests one below the other.
func chain(depth int) gbdt.Tree {
	t := gbdt.Tree{Shrinkage: 1, SplitGain: make([]float64, depth), Threshold: make([]float64, depth), SplitFeature: make([]int, depth),
		DecisionType: make([]gbdt.DecisionType, depth), InternalValue: make([]float64, depth), InternalWeight: make([]float64, depth),
		InternalCount: make([]int, depth), LeafValue: make([]float64, depth+1), LeafWeight: make([]float64, depth+1), LeafCount: make([]int, depth+1)}
	for i := range depth {
		t.LeftChild = append(t.LeftChild, ^i)
		t.RightChild = append(t.RightChild, i+1)
	}
	t.RightChild[depth-1] = ^depth
	return t
}

// TestCompileKeepsTheModel: compiling changes nothing in the model, so that
// it may be done twice, and at once.
func TestCompileKeepsTheModel(t *testing.T) {
	m := blendModel(t)
	before := fileOf(t, m)
	compile(t, m)
	if string(fileOf(t, m)) != string(before) {
		t.Error("Compile changed the model")
	}
}

// TestIdentities: base plus contributions is the margin, for one part and for
// a blend of 0.6 and 0.4; the contributions of a blend are the weighted ones
// of its parts; the calibration of the margin is the probability.
func TestIdentities(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	forest := randomForest(r, testForest().FeatureNames, 30, 5)
	models := testModels(t)
	models["random forest"] = finish(t, &Model{Forest: forest, Manifest: Manifest{Weights: Weights{Forest: 1}}})
	models["random blend"] = finish(t, &Model{Linear: testLinear(), Forest: forest, Manifest: Manifest{Weights: Weights{Linear: 0.6, Forest: 0.4}}})
	averaged := randomForest(r, testForest().FeatureNames, 10, 4)
	averaged.AverageOutput = true
	models["averaged"] = finish(t, &Model{Forest: averaged, Manifest: Manifest{Weights: Weights{Forest: 0.5}}})
	scorers := map[string]*Scorer{}
	for name, m := range models {
		scorers[name] = compile(t, m)
	}
	rows := randomRows(r, 400)
	phi := make([]float64, testColumns)
	for name, s := range scorers {
		for _, row := range rows {
			for i := range phi {
				phi[i] = math.NaN() // whatever was there before
			}
			got := s.Score(row, phi)
			sum := got.BaseMargin
			for _, c := range phi {
				sum += c
			}
			if !(math.Abs(sum-got.Margin) <= 1e-9) {
				t.Errorf("%s, %v: base and contributions are %v, margin %v", name, row, sum, got.Margin)
			}
			if p := models[name].Calibration.Probability(got.Margin); p != got.Probability || !(p > 0 && p < 1) {
				t.Errorf("%s, %v: probability %v of margin %v, calibration gives %v", name, row, got.Probability, got.Margin, p)
			}
			if without := s.Score(row, nil); without != got {
				t.Errorf("%s, %v: %+v with contributions, %+v without", name, row, got, without)
			}
		}
	}
	pl, pf := make([]float64, testColumns), make([]float64, testColumns)
	for _, row := range rows {
		l, f, b := scorers["linear"].Score(row, pl), scorers["random forest"].Score(row, pf), scorers["random blend"].Score(row, phi)
		if want := 0.6*l.Margin + 0.4*f.Margin; math.Abs(b.Margin-want) > 1e-12 {
			t.Errorf("%v: blend %v, its parts %v", row, b.Margin, want)
		}
		for j := range phi {
			if want := 0.6*pl[j] + 0.4*pf[j]; math.Abs(phi[j]-want) > 1e-12 {
				t.Errorf("%v: contribution %d of the blend %v, of its parts %v", row, j, phi[j], want)
			}
		}
	}
}

// TestScoreByHand follows one row through the blend with a pencil.
func TestScoreByHand(t *testing.T) {
	s := compile(t, blendModel(t))
	// plan pro, 10 engagements, nothing known of payments, silent for 15 days.
	phi := make([]float64, testColumns)
	got := s.Score([]float32{1, 10, nan, 15}, phi)
	// Linear: -1 + 0.25 (half way from -0.5 to 1) - 0.5 (pro) + 0.75.
	const linear = -1 + 0.25 - 0.5 + 0.75
	// Forest: 15 <= 20, 10 > 4.5: -1.5; pro is in the set: -0.5; 0.125.
	const forest = -1.5 - 0.5 + 0.125
	// Means: -1 + 0.25 + 0.03 + 0.7; and of the leaves by their counts:
	// (40·1 - 30·0.25 - 30·1.5)/100, (-20·0.5 + 80·0.5)/100, 0.125.
	const base = 0.6*(-1+0.25+0.03+0.7) + 0.4*(-0.125+0.3+0.125)
	margin := 0.6*linear + 0.4*forest
	want := Score{Margin: margin, BaseMargin: base, Probability: 1 / (1 + math.Exp(-(1.25*margin - 0.125)))}
	if math.Abs(got.Margin-want.Margin) > 1e-12 || math.Abs(got.BaseMargin-want.BaseMargin) > 1e-12 || math.Abs(got.Probability-want.Probability) > 1e-12 {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got.Band != "low" { // 0.1919 is below 0.25
		t.Errorf("band %s of probability %v", got.Band, got.Probability)
	}
	// The plan: 0.6·(-0.5-0.03), and its tree, where it is alone: 0.4·(-0.5-0.3).
	if want := 0.6*(-0.53) + 0.4*(-0.8); math.Abs(phi[planColumn]-want) > 1e-12 {
		t.Errorf("contribution of the plan %v, want %v", phi[planColumn], want)
	}
	if phi[amountColumn] != 0 {
		t.Errorf("contribution of a feature that no part reads is %v", phi[amountColumn])
	}
}

func TestTermValue(t *testing.T) {
	number := Term{Knots: []float64{0, 10}, Values: []float64{1, 3}, Missing: -7}
	category := Term{Levels: []float64{1, 2}, Other: 5, Missing: -7}
	none := Term{Levels: []float64{}, Other: 5, Missing: -7}
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		name string
		term *Term
		x    float32
		want float64
	}{
		{"number", &number, 5, 2}, {"number", &number, -1, 1}, {"number", &number, 11, 3}, {"number", &number, nan, -7},
		{"number", &number, inf, 3}, {"number", &number, -inf, 1},
		{"category", &category, 0, 1}, {"category", &category, 1, 2}, {"category", &category, 2, 5}, {"category", &category, -1, 5},
		{"category", &category, 1.5, 2}, {"category", &category, nan, -7},
		{"category", &category, inf, 5}, {"category", &category, -inf, 5}, {"category", &category, math.MaxFloat32, 5},
		{"no levels", &none, 0, 5}, {"no levels", &none, nan, -7},
	} {
		if got := c.term.Value(c.x); got != c.want {
			t.Errorf("%s at %v: %v, want %v", c.name, c.x, got, c.want)
		}
	}
}

func compileSet(t *testing.T, text string) *features.Engine {
	t.Helper()
	set, err := features.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	engine, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// TestConcurrentScore: many goroutines get what one gets.
func TestConcurrentScore(t *testing.T) {
	s := compile(t, blendModel(t))
	rows := randomRows(rand.New(rand.NewPCG(7, 8)), 50)
	type result struct {
		score   Score
		phi     []float64
		reasons []Reason
	}
	score := func(row []float32) result {
		phi := make([]float64, testColumns)
		sc := s.Score(row, phi)
		return result{sc, phi, s.Reasons(row, phi, 3)}
	}
	var want []result
	for _, row := range rows {
		want = append(want, score(row))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 10 * len(rows) {
				k := (i + g*7) % len(rows)
				if got := score(rows[k]); !reflect.DeepEqual(got, want[k]) {
					t.Errorf("row %v: %+v, alone %+v", rows[k], got, want[k])
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestRow goes from events to a score.
func TestRow(t *testing.T) {
	s := compile(t, linearModel(t))
	at := s.Manifest().Through
	tl := &event.Timeline{Customer: event.Customer{ID: "a", Attributes: map[string]string{"plan": "pro"}}}
	for i := range 3 {
		when := at.Add(-event.Duration(10-i) * event.Day)
		tl.Engagements = append(tl.Engagements, event.EngagementEvent{At: when, Recorded: when})
	}
	row := s.Row(tl, at)
	if row[planColumn] != 1 || row[countColumn] != 3 || row[recencyColumn] != 8 {
		t.Errorf("row %v, want pro, 3 engagements and 8 days", row)
	}
}
