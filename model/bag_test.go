package model

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// bagModel is a blend with a bag of three: the forest is the mean of the
// members' forests, and the linear part has members of its own.
func bagModel(t testing.TB) *Model {
	r := rand.New(rand.NewPCG(3, 3))
	m := blendModel(t)
	m.Forest = randomForest(r, m.Forest.FeatureNames, 30, 4)
	m.Manifest.Bag = &Bag{Members: 3, Trees: []int{8, 10, 12}, Width: 2}
	for k := range 3 {
		l := testLinear()
		l.Terms[0].Values[0] += float64(k) - 1
		m.Linear.Members = append(m.Linear.Members, Member{l.Intercept, l.Terms})
	}
	return finish(t, m)
}

// memberMargin is the margin of member k from its definition.
func memberMargin(m *Model, k int, row []float32) float64 {
	forest := *m.Forest
	from := 0
	for _, n := range m.Manifest.Bag.Trees[:k] {
		from += n
	}
	forest.Trees = forest.Trees[from : from+m.Manifest.Bag.Trees[k]]
	l := m.Linear.Members[k]
	sum := l.Intercept
	for i := range l.Terms {
		sum += l.Terms[i].Value(row[columnOf(m, l.Terms[i].Feature)])
	}
	return m.Manifest.Weights.Linear*sum + m.Manifest.Weights.Forest*3*forest.Predict(row)
}

func columnOf(m *Model, name string) int {
	for j, n := range m.Forest.FeatureNames {
		if n == name {
			return j
		}
	}
	panic(name)
}

// TestInterval: the interval is Width standard deviations of the members'
// margins around the margin, both ends calibrated.
func TestInterval(t *testing.T) {
	m := bagModel(t)
	s := compile(t, m)
	for _, row := range randomRows(rand.New(rand.NewPCG(4, 4)), 200) {
		got := s.Score(row, nil)
		var mean, squares float64
		for k := range 3 {
			mean += memberMargin(m, k, row) / 3
		}
		for k := range 3 {
			squares += math.Pow(memberMargin(m, k, row)-mean, 2)
		}
		reach := 2 * math.Sqrt(squares/2)
		low, high := s.calibration.Probability(got.Margin-reach), s.calibration.Probability(got.Margin+reach)
		if math.Abs(got.Low-low) > 1e-9 || math.Abs(got.High-high) > 1e-9 {
			t.Fatalf("row %v: %v to %v, want %v to %v", row, got.Low, got.High, low, high)
		}
		if !(got.Low <= got.Probability && got.Probability <= got.High) {
			t.Fatalf("row %v: %v is not within %v to %v", row, got.Probability, got.Low, got.High)
		}
	}
	if got := compile(t, blendModel(t)).Score(make([]float32, testColumns), nil); got.Low != 0 || got.High != 0 {
		t.Errorf("a model without a bag claims %v to %v", got.Low, got.High)
	}
}

// TestMemberContributions: each member's contributions and base are its own
// margin.
func TestMemberContributions(t *testing.T) {
	m := bagModel(t)
	s := compile(t, m)
	w := s.workspace()
	at := make([]float64, testColumns)
	for _, row := range randomRows(rand.New(rand.NewPCG(5, 5)), 100) {
		s.score(w, row, w.contributions)
		s.bag.contributions(s, w, row)
		for k, phi := range w.members {
			sum := 0.0
			for j := range phi {
				sum += phi[j]
			}
			// The base does not depend on the row: the difference between two
			// rows does not have it.
			difference := sum - memberMargin(m, k, row)
			if at[k] == 0 {
				at[k] = difference
			}
			if math.Abs(difference-at[k]) > 1e-9 {
				t.Fatalf("member %d: contributions %v for a margin of %v", k, sum, memberMargin(m, k, row))
			}
		}
	}
}

// TestJackknifeWidth compares with the quantiles of scipy.stats.t.ppf(0.95, g-1)
// (SciPy 1.17.1).
func TestJackknifeWidth(t *testing.T) {
	for g, quantile := range map[int]float64{2: 6.313752, 3: 2.919986, 5: 2.131847, 10: 1.833113} {
		want := quantile * float64(g-1) / math.Sqrt(float64(g))
		if got := JackknifeWidth(g); math.Abs(got-want) > 1e-3 {
			t.Errorf("%d members: %v, want %v", g, got, want)
		}
	}
}

func TestBagRefuses(t *testing.T) {
	for want, change := range map[string]func(m *Model){
		"1 members: 2 to 64":         func(m *Model) { m.Manifest.Bag.Members = 1 },
		"width NaN":                  func(m *Model) { m.Manifest.Bag.Width = math.NaN() },
		"width -1":                   func(m *Model) { m.Manifest.Bag.Width = -1 },
		"members of [31] trees":      func(m *Model) { m.Manifest.Bag.Trees = []int{31} },
		"trees of 2 members":         func(m *Model) { m.Manifest.Bag.Trees = []int{10, 20} },
		"a forest of 30":             func(m *Model) { m.Manifest.Bag.Trees = []int{10, 10, 9} },
		"without a forest":           func(m *Model) { m.Forest = nil },
		"2 members of the linear":    func(m *Model) { m.Linear.Members = m.Linear.Members[1:] },
		"the manifest no bag":        func(m *Model) { m.Manifest.Bag = nil },
		"linear part of member 2":    func(m *Model) { m.Linear.Members[2].Intercept = 1e9 },
		"a forest that averages has": func(m *Model) { m.Forest.AverageOutput = true },
	} {
		m := bagModel(t)
		change(m)
		if _, err := m.Compile(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// TestExplain is Score with its reasons.
func TestExplain(t *testing.T) {
	for name, m := range map[string]*Model{"blend": blendModel(t), "bag": bagModel(t), "linear": linearModel(t)} {
		s := compile(t, m)
		phi := make([]float64, testColumns)
		for _, row := range randomRows(rand.New(rand.NewPCG(6, 6)), 50) {
			score, reasons := s.Explain(row, 3)
			if want := s.Score(row, phi); score != want {
				t.Fatalf("%s: %+v, want %+v", name, score, want)
			}
			want := s.Reasons(row, phi, 3)
			for i := range want {
				if reasons[i].Feature != want[i].Feature || reasons[i].Contribution != want[i].Contribution {
					t.Fatalf("%s: reason %d is %+v, want %+v", name, i, reasons[i], want[i])
				}
			}
			if without, none := s.Explain(row, 0); without != score || len(none) != 0 || none == nil {
				t.Fatalf("%s: %+v and %v without reasons", name, without, none)
			}
		}
	}
}

// TestScoreWrongLength: no number comes of a row that is not the model's.
func TestScoreWrongLength(t *testing.T) {
	s := compile(t, blendModel(t))
	for _, n := range []int{0, testColumns - 1, testColumns + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a row of %d values was scored", n)
				}
			}()
			s.Score(make([]float32, n), nil)
		}()
	}
}

// TestScoreAllocatesNothing, with contributions and without.
func TestScoreAllocatesNothing(t *testing.T) {
	if poolsForget {
		t.Skip("the race detector makes pools forget")
	}
	for name, m := range map[string]*Model{"blend": blendModel(t), "bag": bagModel(t), "linear": linearModel(t), "forest": forestModel(t)} {
		s := compile(t, m)
		phi, row := make([]float64, testColumns), make([]float32, testColumns)
		if n := testing.AllocsPerRun(1000, func() {
			s.Score(row, nil)
			s.Score(row, phi)
		}); n >= 1 {
			t.Errorf("%s: %v allocations a row", name, n)
		}
	}
}

// TestAdditive is Term.Value to the last bit, at knots and between, beyond and
// beside them.
func TestAdditive(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	engine, err := linearModel(t).Features.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for trial := range 500 {
		term := Term{Feature: engine.Features()[countColumn].Name, Missing: 0.5, Mean: 0.25}
		knot := float64(r.IntN(10) - 5)
		for range 1 + trial%40 {
			knot += 0.01 + r.Float64()
			term.Knots = append(term.Knots, knot)
			term.Values = append(term.Values, r.NormFloat64())
		}
		a, err := newAdditive(&Linear{Terms: []Term{term}}, engine.Features())
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			x := r.Float32()*50 - 10
			switch r.IntN(6) {
			case 0:
				x = float32(term.Knots[r.IntN(len(term.Knots))])
			case 1:
				x = math.Nextafter32(float32(term.Knots[r.IntN(len(term.Knots))]), x)
			case 2:
				x = []float32{nan, float32(math.Inf(1)), float32(math.Inf(-1)), 0}[r.IntN(4)]
			}
			if got, want := a.value(&a.terms[0], x), term.Value(x); math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("knots %v at %v: %v, want %v", term.Knots, x, got, want)
			}
		}
	}
	l := testLinear()
	a, err := newAdditive(l, engine.Features())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []float32{0, 1, -1, 0.5, -0.5, 254, nan, 1e30, float32(math.Inf(-1))} {
		for i := range l.Terms {
			row := make([]float32, testColumns)
			row[a.terms[i].column] = x
			term := l.Terms[i]
			if term.Feature == engine.Features()[planColumn].Name && term.Levels == nil {
				term.Levels = []float64{}
			}
			if got, want := a.value(&a.terms[i], x), term.Value(x); got != want {
				t.Errorf("%s at %v: %v, want %v", term.Feature, x, got, want)
			}
		}
	}
}
