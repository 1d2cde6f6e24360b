package measure

import (
	"encoding/json"
	"math"
	"testing"
)

func scored(t testing.TB, levels, n int) *Sample {
	t.Helper()
	p, y, _ := made(n, levels)
	s, err := NewSample(p, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAreaUnderROCIsAUC(t *testing.T) {
	s := scored(t, 50, 1000) // 51 points: none is left out
	points := s.ROC()
	area := 0.0
	for i := 1; i < len(points); i++ {
		area += float64(points[i].X-points[i-1].X) * float64(points[i].Y+points[i-1].Y) / 2
	}
	if auc := float64(s.Metrics().AUC); !near(area, auc) {
		t.Errorf("area %v, AUC %v", area, auc)
	}
	if len(points) != 51 || points[0].X != 0 || points[0].Y != 0 || points[50].X != 1 || points[50].Y != 1 {
		t.Errorf("%d points from %+v to %+v", len(points), points[0], points[len(points)-1])
	}
}

func TestStepsUnderPrecisionRecallAreAveragePrecision(t *testing.T) {
	s := scored(t, 50, 1000)
	sum, recall := 0.0, 0.0
	for _, p := range s.PrecisionRecall() {
		sum += (float64(p.X) - recall) * float64(p.Y)
		recall = float64(p.X)
	}
	if ap := float64(s.Metrics().AveragePrecision); !near(sum, ap) || recall != 1 {
		t.Errorf("steps %v to recall %v, average precision %v", sum, recall, ap)
	}
}

func TestCurvesAreThinned(t *testing.T) {
	s := scored(t, 0, 5000)
	roc, pr := s.ROC(), s.PrecisionRecall()
	if len(roc) != 200 || len(pr) != 200 {
		t.Fatalf("%d and %d points, want 200", len(roc), len(pr))
	}
	if roc[0].Y != 0 || roc[199].Y != 1 || pr[199].X != 1 || pr[0].Threshold < pr[1].Threshold {
		t.Errorf("ends: %+v %+v %+v %+v", roc[0], roc[199], pr[0], pr[199])
	}
}

func TestCalibrationBins(t *testing.T) {
	bins := scored(t, 0, 1000).Calibration()
	// scikit-learn 1.9.1: calibration_curve, ten quantile bins, the last.
	last := bins[9]
	if len(bins) != 10 || last.Rows != 100 || !near(float64(last.Observed), 0.53) || !near(float64(last.Predicted), 0.859310624860019) {
		t.Errorf("%d bins, last %+v", len(bins), last)
	}
	for i := 1; i < 10; i++ {
		if bins[i].Lowest < bins[i-1].Highest {
			t.Errorf("bin %d %+v begins within bin %d %+v", i, bins[i], i-1, bins[i-1])
		}
	}
}

func TestDecilesShareTies(t *testing.T) {
	// 20 rows: 2 with 0.9, both churn; 18 with 0.1, of which 3 churn. By hand:
	// decile 1 is the two, each other has 2 rows and a ninth of 3 churners.
	score, label := make([]float64, 20), make([]bool, 20)
	for i := range score {
		score[i] = 0.1
	}
	score[4], score[11] = 0.9, 0.9
	for _, i := range []int{4, 11, 0, 1, 2} {
		label[i] = true
	}
	s, err := NewSample(score, label, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := s.Deciles()
	if len(d) != 10 || d[0].Positives != 2 || d[0].Lift != 4 || !near(float64(d[0].CumulativeGain), 0.4) || d[0].LowestScore != 0.9 {
		t.Errorf("decile 1: %+v", d[0])
	}
	for i := 1; i < 10; i++ {
		if !near(float64(d[i].Positives), 1.0/3) || !near(float64(d[i].Rows), 2) || d[i].Decile != i+1 ||
			!near(float64(d[i].CumulativeGain), (2+float64(i)/3)/5) {
			t.Errorf("decile %d: %+v", i+1, d[i])
		}
	}
	if last := d[9]; !near(float64(last.CumulativeLift), 1) {
		t.Errorf("all ten lift %v, want 1", last.CumulativeLift)
	}
}

func TestCurvesOfWhatCannotBeMeasured(t *testing.T) {
	for _, test := range []struct {
		name                       string
		score                      []float64
		label                      []bool
		roc, pr, bins, deciles     int
		firstLift, firstLowestRead float64
	}{
		{"no rows", nil, nil, 0, 0, 0, 0, 0, 0},
		{"nobody churns", []float64{0.1, 0.2}, []bool{false, false}, 0, 0, 10, 10, math.NaN(), 0.2},
		{"all churn", []float64{0.1, 0.2}, []bool{true, true}, 0, 2, 10, 10, 1, 0.2},
		{"not probabilities", []float64{10, 20}, []bool{true, false}, 3, 2, 0, 10, 0, 20},
	} {
		s, err := NewSample(test.score, test.label, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := s.Curves(test.name)
		if len(c.ROC) != test.roc || len(c.PrecisionRecall) != test.pr || len(c.Calibration) != test.bins || len(c.Deciles) != test.deciles {
			t.Errorf("%s: %d, %d, %d, %d points", test.name, len(c.ROC), len(c.PrecisionRecall), len(c.Calibration), len(c.Deciles))
		}
		if len(c.Deciles) > 0 && (!near(float64(c.Deciles[0].Lift), test.firstLift) || float64(c.Deciles[0].LowestScore) != test.firstLowestRead) {
			t.Errorf("%s: first decile %+v", test.name, c.Deciles[0])
		}
		if _, err := json.Marshal(c); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
