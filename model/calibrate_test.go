package model

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// sklearnCase is what scikit-learn and betacal make of a set of margins; see
// testdata/calibration.py.
type sklearnCase struct {
	Name     string
	Margins  []float64
	Churned  []bool
	Slope    float64
	Offset   float64
	At       []float64 // the distinct margins
	Isotonic []float64 // the rate fitted at each
	// a, b, c of beta calibration: of scikit-learn's regression on smoothed
	// targets, and of betacal, which does not smooth.
	Beta, Betacal [3]float64
}

func sklearnCases(t *testing.T) []sklearnCase {
	t.Helper()
	b, err := os.ReadFile("testdata/calibration.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []sklearnCase }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != 9 {
		t.Fatalf("%d cases", len(file.Cases))
	}
	return file.Cases
}

// plattLoss is Platt's log loss with smoothed targets, written anew.
func plattLoss(slope, offset float64, margins []float64, churned []bool) float64 {
	pos := 0.0
	for _, y := range churned {
		if y {
			pos++
		}
	}
	neg := float64(len(churned)) - pos
	loss := 0.0
	for i, m := range margins {
		p := 1 / (1 + math.Exp(-(slope*m + offset)))
		target := 1 / (neg + 2)
		if churned[i] {
			target = (pos + 1) / (pos + 2)
		}
		loss -= target*math.Log(p) + (1-target)*math.Log(1-p)
	}
	return loss
}

// TestPlattAgainstSklearn: the same optimum as scikit-learn's
// _sigmoid_calibration, which stops a little before it.
func TestPlattAgainstSklearn(t *testing.T) {
	for _, c := range sklearnCases(t) {
		got := FitPlatt(c.Margins, c.Churned)
		if got.Kind != "platt" || math.Abs(got.Slope-c.Slope) > 2e-3*c.Slope || math.Abs(got.Offset-c.Offset) > 2e-3*math.Max(1, math.Abs(c.Offset)) {
			t.Errorf("%s: slope %v and offset %v, scikit-learn has %v and %v", c.Name, got.Slope, got.Offset, c.Slope, c.Offset)
		}
		ours, theirs := plattLoss(got.Slope, got.Offset, c.Margins, c.Churned), plattLoss(c.Slope, c.Offset, c.Margins, c.Churned)
		if ours > theirs+1e-9 {
			t.Errorf("%s: loss %v, scikit-learn reaches %v", c.Name, ours, theirs)
		}
		for _, d := range [][2]float64{{1e-4, 0}, {-1e-4, 0}, {0, 1e-4}, {0, -1e-4}} {
			if near := plattLoss(got.Slope+d[0], got.Offset+d[1], c.Margins, c.Churned); near < ours {
				t.Errorf("%s: loss %v, and %v beside it: not the optimum", c.Name, ours, near)
			}
		}
	}
}

// betaLoss is the log loss of beta calibration with smoothed targets, written
// anew.
func betaLoss(a, b, c float64, margins []float64, churned []bool) float64 {
	logOdds := make([]float64, len(margins))
	for i, m := range margins {
		s := 1 / (1 + math.Exp(-m))
		logOdds[i] = a*math.Log(s) - b*math.Log(1-s) + c
	}
	return plattLoss(1, 0, logOdds, churned)
}

// TestBetaAgainstSklearn: the same weights as scikit-learn's logistic regression
// without a penalty, with the same one dropped where one is; and as betacal's
// where smoothing the targets of 800 rows changes little.
func TestBetaAgainstSklearn(t *testing.T) {
	dropped := 0
	for _, c := range sklearnCases(t) {
		got := FitBeta(c.Margins, c.Churned)
		if err := got.check(); err != nil || got.Kind != "beta" {
			t.Errorf("%s: %+v, %v", c.Name, got, err)
		}
		for i, v := range [3]float64{got.A, got.B, got.C} {
			if math.Abs(v-c.Beta[i]) > 1e-6*math.Max(1, math.Abs(c.Beta[i])) {
				t.Errorf("%s: %v, %v and %v, scikit-learn has %v", c.Name, got.A, got.B, got.C, c.Beta)
				break
			}
			if len(c.Margins) == 800 && math.Abs(v-c.Betacal[i]) > 0.05 {
				t.Errorf("%s: %v, %v and %v, betacal has %v", c.Name, got.A, got.B, got.C, c.Betacal)
				break
			}
		}
		if (got.A == 0) != (c.Betacal[0] == 0) || (got.B == 0) != (c.Betacal[1] == 0) {
			t.Errorf("%s: a %v and b %v, betacal drops others: %v", c.Name, got.A, got.B, c.Betacal)
		}
		if got.A == 0 || got.B == 0 {
			dropped++
		}
		// The optimum among weights that are not negative.
		ours := betaLoss(got.A, got.B, got.C, c.Margins, c.Churned)
		for _, d := range [][3]float64{{1e-4}, {-1e-4}, {0, 1e-4}, {0, -1e-4}, {0, 0, 1e-4}, {0, 0, -1e-4}} {
			if a, b := got.A+d[0], got.B+d[1]; a >= 0 && b >= 0 {
				if near := betaLoss(a, b, got.C+d[2], c.Margins, c.Churned); near < ours {
					t.Errorf("%s: loss %v, and %v beside it: not the optimum", c.Name, ours, near)
				}
			}
		}
	}
	if dropped != 3 {
		t.Errorf("%d of the cases drop a weight", dropped)
	}
}

// TestIsotonicAgainstSklearn compares the blocks. Ours are smoothed after
// pooling; taking that back gives scikit-learn's rates. A block may join
// several of scikit-learn's only where smoothing would make them descend.
func TestIsotonicAgainstSklearn(t *testing.T) {
	for _, c := range sklearnCases(t) {
		got := FitIsotonic(c.Margins, c.Churned)
		// Rows and churners of scikit-learn's blocks, which have equal rates.
		type block struct{ n, pos, sum, rate float64 }
		var blocks []block
		for i, at := range c.At {
			if i == 0 || math.Abs(c.Isotonic[i]-c.Isotonic[i-1]) > 1e-12 {
				blocks = append(blocks, block{rate: c.Isotonic[i]})
			}
			b := &blocks[len(blocks)-1]
			for k, m := range c.Margins {
				if m == at {
					b.n, b.sum = b.n+1, b.sum+m
					if c.Churned[k] {
						b.pos++
					}
				}
			}
		}
		for _, b := range blocks {
			if math.Abs(b.pos/b.n-b.rate) > 1e-12 {
				t.Fatalf("%s: scikit-learn's block has rate %v, counted %v", c.Name, b.rate, b.pos/b.n)
			}
		}
		smoothed := func(b block) float64 { return (b.pos + 0.5) / (b.n + 1) }
		joined := 0
		for i := 1; i < len(blocks); {
			if smoothed(blocks[i-1]) < smoothed(blocks[i]) {
				i++
				continue
			}
			p, q := blocks[i-1], blocks[i]
			blocks[i-1] = block{n: p.n + q.n, pos: p.pos + q.pos, sum: p.sum + q.sum}
			blocks = slices.Delete(blocks, i, i+1)
			i = max(i-1, 1)
			joined++
		}
		if len(got.Margins) != len(blocks) {
			t.Errorf("%s: %d blocks %v, scikit-learn has %d (%d joined)", c.Name, len(got.Margins), got.Margins, len(blocks), joined)
			continue
		}
		for i, b := range blocks {
			if math.Abs(got.Margins[i]-b.sum/b.n) > 1e-12 || math.Abs(got.Probabilities[i]-smoothed(b)) > 1e-12 {
				t.Errorf("%s: block %d is %v at %v, scikit-learn's %v at %v", c.Name, i, got.Probabilities[i], got.Margins[i], smoothed(b), b.sum/b.n)
			}
		}
		if err := got.check(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

func mean(c *Calibration, margins []float64) float64 {
	sum := 0.0
	for _, m := range margins {
		sum += c.Probability(m)
	}
	return sum / float64(len(margins))
}

// TestFitDegenerate: data from which nothing can be learned gives the smoothed
// rate, nearly the same to everyone, with the ranking kept.
func TestFitDegenerate(t *testing.T) {
	many := make([]float64, 1000)
	churned := make([]bool, 1000)
	r := rand.New(rand.NewPCG(9, 10))
	noise := make([]bool, 1000)
	for i := range many {
		many[i] = r.NormFloat64()
		churned[i] = many[i] < -1 // the wrong way round
		noise[i] = i%10 == 0
	}
	for _, c := range []struct {
		name    string
		margins []float64
		churned []bool
		rate    float64 // wanted mean probability
		flat    bool
	}{
		{"nobody", nil, nil, 0.5, true},
		{"one who churns", []float64{1}, []bool{true}, 2.0 / 3, true},
		{"one who stays", []float64{1}, []bool{false}, 1.0 / 3, true},
		{"all churn", []float64{-1, 0, 3, 4}, []bool{true, true, true, true}, 5.0 / 6, true},
		{"all stay", []float64{-1, 0, 3, 4}, []bool{false, false, false, false}, 1.0 / 6, true},
		{"all stay, large margins", []float64{-1000, 0, 300, 4000}, []bool{false, false, false, false}, 1.0 / 6, true},
		{"constant", []float64{2, 2, 2, 2}, []bool{true, false, false, false}, (2.0/3 + 3.0/5) / 4, false},
		{"constant 0", []float64{0, 0, 0, 0}, []bool{true, false, false, false}, (2.0/3 + 3.0/5) / 4, false},
		{"constant, far out", []float64{1e4, 1e4, 1e4, 1e4}, []bool{true, false, false, false}, (2.0/3 + 3.0/5) / 4, false},
		{"turned around", many, churned, -1, true},
		{"noise", many, noise, -1, false},
	} {
		platt, beta := FitPlatt(c.margins, c.churned), FitBeta(c.margins, c.churned)
		if c.flat && (platt.Slope != minSlope || beta.A != minSlope || beta.B != minSlope) {
			t.Errorf("%s: slope %v; a %v and b %v", c.name, platt.Slope, beta.A, beta.B)
		}
		margins, rate := c.margins, c.rate
		if margins == nil {
			margins = []float64{0}
		}
		if rate < 0 {
			pos := 0.0
			for _, y := range c.churned {
				if y {
					pos++
				}
			}
			neg := float64(len(c.churned)) - pos
			rate = (pos*(pos+1)/(pos+2) + neg/(neg+2)) / (pos + neg)
		}
		for _, got := range []Calibration{platt, beta} {
			if err := got.check(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if m := mean(&got, margins); math.Abs(m-rate) > 1e-6 {
				t.Errorf("%s: %+v gives a mean of %v, want %v", c.name, got, m, rate)
			}
		}
	}
}

// TestFitPlattScale: the unit of the margins does not matter.
func TestFitPlattScale(t *testing.T) {
	c := sklearnCases(t)[0]
	base := FitPlatt(c.Margins, c.Churned)
	for _, scale := range []float64{0.01, 0.1, 10, 100, 500} {
		scaled := make([]float64, len(c.Margins))
		for i, m := range c.Margins {
			scaled[i] = m * scale
		}
		got := FitPlatt(scaled, c.Churned)
		if math.Abs(got.Slope*scale-base.Slope) > 1e-5 || math.Abs(got.Offset-base.Offset) > 1e-5 {
			t.Errorf("margins times %v: %+v, want %v and %v", scale, got, base.Slope/scale, base.Offset)
		}
	}
}

func TestFitIsotonicDegenerate(t *testing.T) {
	for _, c := range []struct {
		name          string
		margins       []float64
		churned       []bool
		knots, values []float64
	}{
		{"nobody", nil, nil, []float64{0}, []float64{0.5}},
		{"one", []float64{3}, []bool{true}, []float64{3}, []float64{0.75}},
		{"all churn", []float64{1, 3}, []bool{true, true}, []float64{2}, []float64{2.5 / 3}},
		{"all stay", []float64{1, 3}, []bool{false, false}, []float64{2}, []float64{0.5 / 3}},
		{"constant", []float64{7, 7, 7}, []bool{true, false, false}, []float64{7}, []float64{1.5 / 4}},
		{"separable", []float64{3, 1}, []bool{true, false}, []float64{1, 3}, []float64{0.25, 0.75}},
		{"turned around", []float64{3, 1}, []bool{false, true}, []float64{2}, []float64{0.5}},
		// 99 of 100 and 1 of 1: smoothing would make 0.985 and 0.75 of them.
		{"smoothing would descend", append(slices.Repeat([]float64{1}, 100), 2), append(slices.Repeat([]bool{true}, 99), false, true),
			[]float64{102.0 / 101}, []float64{100.5 / 102}},
	} {
		got := FitIsotonic(c.margins, c.churned)
		if err := got.check(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		close := func(a, b []float64) bool {
			return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Abs(x-y) < 1e-12 })
		}
		if !close(got.Margins, c.knots) || !close(got.Probabilities, c.values) {
			t.Errorf("%s: %+v, want %v at %v", c.name, got, c.values, c.knots)
		}
		if p := got.Probability(0); !(p > 0 && p < 1) {
			t.Errorf("%s: probability %v", c.name, p)
		}
	}
}
