package training

import (
	"math"
	"testing"

	"churn/model"
	"churn/training/measure"
)

// Calibration is fitted on later data; on still other data the mean
// probability is near the rate, for each kind of candidate.
func TestCalibrate(t *testing.T) {
	train, later, test := planted(10, 4000), planted(11, 4000), planted(12, 8000)
	rungs := climbed(t, train, "logistic", "forest")
	mixed := blend(rungs[1:], train.Labels())
	if mixed == nil {
		t.Fatal("no blend")
	}
	rungs = append(rungs, mixed)
	for _, c := range rungs {
		c.calibrate(c.margins(&later.Matrix, 2), later, 1)
	}
	for _, c := range rungs {
		m, err := measure.Scores(probabilities(&c.calibration, c.margins(&test.Matrix, 2)), test.Labels(), nil)
		if err != nil {
			t.Fatal(err)
		}
		// 8,000 rows at a rate of a fifth: a bin of 800 moves by 0.014.
		if m.ECE > 0.03 {
			t.Errorf("%s: calibration error %.4f", c.name, m.ECE)
		}
		if math.Abs(float64(m.LogLoss)-c.cvLogLoss) > 0.02 {
			t.Errorf("%s: log loss %.4f on calibration data, %.4f on other data", c.name, c.cvLogLoss, m.LogLoss)
		}
		if c.kind != "prior" && m.AUC < 0.7 {
			t.Errorf("%s: AUC %.4f", c.name, m.AUC)
		}
	}
}

// byA is a candidate whose margin is z of the first feature.
func byA(z func(a float64) float64) *candidate {
	l := &model.Linear{Terms: []model.Term{{Feature: "a"}}}
	for a := -4.0; a <= 4; a += 0.0625 {
		l.Terms[0].Knots, l.Terms[0].Values = append(l.Terms[0].Knots, a), append(l.Terms[0].Values, z(a))
	}
	return &candidate{kind: "logistic", weights: model.Weights{Linear: 1}, linear: l}
}

// Few churners get the two parameters of Platt's map, some the three of beta
// as well, and only many get free steps.
func TestCalibrateByChurners(t *testing.T) {
	for _, c := range []struct{ rows, kinds int }{{100, 1}, {400, 2}, {3000, 3}} {
		data := planted(13, c.rows)
		cand := byA(func(a float64) float64 { return a - 1.5 })
		cand.calibrate(cand.margins(&data.Matrix, 1), data, 1)
		n := data.Positives()
		if len(cand.calibrations) != c.kinds || (n >= minBetaChurners) != (c.kinds > 1) || (n >= minIsotonicChurners) != (c.kinds > 2) {
			t.Errorf("%d churners, calibrations %v", n, cand.calibrations)
		}
		// The logistic truth is Platt's: others may be better by noise only.
		if cand.calibration.Kind != "platt" || cand.cvLogLoss != float64(cand.calibrations[0].LogLoss) {
			t.Errorf("%d churners, calibration %s of %v", n, cand.calibration.Kind, cand.calibrations)
		}
	}
}

// Each kind wins where the margins are wrong in the way that it can mend.
func TestCalibrateKinds(t *testing.T) {
	data, test := planted(15, 8000), planted(16, 8000)
	for _, c := range []struct {
		want string
		z    func(a float64) float64 // the log-odds are about 0.9·a - 1.4
	}{
		{"platt", func(a float64) float64 { return 3*a + 1 }},
		// Twice too sure of those who stay, not of those who leave.
		{"beta", func(a float64) float64 { z := 0.9*a - 1.4; return z + 3*min(z+0.7, 0) + 2 }},
		// Nothing tells those in the middle apart but a little.
		{"isotonic", func(a float64) float64 { return math.Copysign(5, a) + a/100 }},
	} {
		cand := byA(c.z)
		cand.calibrate(cand.margins(&data.Matrix, 1), data, 1)
		if cand.calibration.Kind != c.want {
			t.Errorf("calibration %s of %v, want %s", cand.calibration.Kind, cand.calibrations, c.want)
		}
		m, err := measure.Scores(probabilities(&cand.calibration, cand.margins(&test.Matrix, 1)), test.Labels(), nil)
		if err != nil || m.ECE > 0.03 { // as in TestCalibrate
			t.Errorf("%s: calibration error %.4f on other data, %v", c.want, m.ECE, err)
		}
	}
}

// TestSimplest: by hand. Four customers of two rows; the least is the last kind.
func TestSimplest(t *testing.T) {
	customers := []string{"a", "a", "b", "b", "c", "c", "d", "d"}
	least := []float64{1, 1, 1, 1, 1, 1, 1, 1}
	plus := func(d ...float64) []float64 {
		out := make([]float64, 8)
		for i := range out {
			out[i] = 1 + d[i]
		}
		return out
	}
	// By customer 3, -1, 3, -1: sum 4, standard error √(4·16/3) = 4.62.
	noise := plus(1.5, 1.5, -0.5, -0.5, 1.5, 1.5, -0.5, -0.5)
	// By customer 3, -1, 3, 0: sum 5, standard error √(4·12.75/3) = 4.12.
	worse := plus(1.5, 1.5, -0.5, -0.5, 1.5, 1.5, 0, 0)
	// By row the differences cancel within each customer: no noise is left, so
	// that the smallest sum, 0.04, is more than it.
	paired := plus(5.01, -5, 5.01, -5, 5.01, -5, 5.01, -5)
	for _, c := range []struct {
		name   string
		losses [][]float64
		want   int
	}{
		{"one kind", [][]float64{least}, 0}, {"ties", [][]float64{least, least, least}, 0},
		{"noise", [][]float64{noise, least}, 0}, {"more than noise", [][]float64{worse, least}, 1},
		{"the middle one", [][]float64{worse, noise, least}, 1}, {"rows of a customer", [][]float64{paired, least}, 1},
		{"the first is the least", [][]float64{least, noise, worse}, 0},
	} {
		if got := simplest(c.losses, customers); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if got := simplest([][]float64{{2, 3}, {1, 1}}, []string{"a", "a"}); got != 0 {
		t.Errorf("one customer tells nothing of noise: %d", got)
	}
}

// A ranking that is upside down is not turned around, nor is a half without
// churners an error.
func TestCalibrateOddData(t *testing.T) {
	data := planted(14, 600)
	c := &candidate{kind: "logistic", weights: model.Weights{Linear: 1},
		linear: &model.Linear{Terms: []model.Term{{Feature: "a", Knots: []float64{-3, 3}, Values: []float64{3, -3}}}}}
	c.calibrate(c.margins(&data.Matrix, 1), data, 1)
	if c.calibration.Slope <= 0 || math.IsNaN(c.cvLogLoss) {
		t.Errorf("upside down: %+v, log loss %v", c.calibration, c.cvLogLoss)
	}
	for i := range data.Observations {
		data.Observations[i].Churned = i == 17
	}
	c.calibrate(c.margins(&data.Matrix, 1), data, 1)
	if p := c.calibration.Probability(0); !(p > 0 && p < 0.1) || math.IsNaN(c.cvLogLoss) || math.IsInf(c.cvLogLoss, 0) {
		t.Errorf("one churner: probability %v, log loss %v", p, c.cvLogLoss)
	}
}
