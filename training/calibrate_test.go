package training

import (
	"context"
	"math"
	"testing"

	"churn/model"
)

// Calibration is fitted on later data; on still other data the mean
// probability is near the rate, for each kind of candidate.
func TestCalibrate(t *testing.T) {
	train, later, test := planted(10, 4000), planted(11, 4000), planted(12, 8000)
	fits, err := fitLogistic(context.Background(), train, []float64{0.01}, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	forest, err := fitForest(context.Background(), train, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	all := append(fits, forest, fitPrior())
	for _, c := range all {
		c.calibrate(later, 1, 2)
	}
	mixed := blend(fits[0], forest)
	for _, c := range mixed {
		c.calibrate(later, 1, 2)
	}
	for _, c := range append(all, mixed...) {
		m, err := Measure(probabilities(&c.calibration, c.margins(&test.Matrix, 2)), test.Labels(), nil)
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

// Few churners get the two parameters of Platt's map, not free steps.
func TestCalibrateFewChurners(t *testing.T) {
	data := planted(13, 400)
	c := &candidate{kind: "logistic", weights: model.Weights{Linear: 1},
		linear: &model.Linear{Terms: []model.Term{{Feature: "a", Knots: []float64{-3, 3}, Values: []float64{-3, 3}}}}}
	c.calibrate(data, 1, 1)
	if n := data.Positives(); n >= minIsotonicChurners || c.calibration.Kind != "platt" {
		t.Errorf("%d churners, calibration %s", n, c.calibration.Kind)
	}
}

// A ranking that is upside down is not turned around, nor is a half without
// churners an error.
func TestCalibrateOddData(t *testing.T) {
	data := planted(14, 600)
	c := &candidate{kind: "logistic", weights: model.Weights{Linear: 1},
		linear: &model.Linear{Terms: []model.Term{{Feature: "a", Knots: []float64{-3, 3}, Values: []float64{3, -3}}}}}
	c.calibrate(data, 1, 1)
	if c.calibration.Slope <= 0 || math.IsNaN(c.cvLogLoss) {
		t.Errorf("upside down: %+v, log loss %v", c.calibration, c.cvLogLoss)
	}
	for i := range data.Observations {
		data.Observations[i].Churned = i == 17
	}
	c.calibrate(data, 1, 1)
	if p := c.calibration.Probability(0); !(p > 0 && p < 0.1) || math.IsNaN(c.cvLogLoss) || math.IsInf(c.cvLogLoss, 0) {
		t.Errorf("one churner: probability %v, log loss %v", p, c.cvLogLoss)
	}
}
