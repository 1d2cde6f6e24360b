package gbdt

import (
	"math"
	"testing"
)

// TestMetrics: expected values by scikit-learn 1.9.1 (log_loss,
// roc_auc_score, average_precision_score), without and with sample_weight.
func TestMetrics(t *testing.T) {
	scores := []float64{-2, -1, -1, 0, 0.5, 0.5, 3, 1.25}
	labels := []float32{0, 0, 1, 1, 0, 1, 1, 0}
	weights := []float32{1, 2, 0.5, 1, 1, 3, 0.25, 1}
	for _, c := range []struct {
		metric  Metric
		weights []float32
		want    float64
	}{
		{LogLoss, nil, 0.6806586209898364}, {AUC, nil, 0.625}, {AveragePrecision, nil, 0.6678571428571428},
		{LogLoss, weights, 0.61678084783156}, {AUC, weights, 0.6631578947368422}, {AveragePrecision, weights, 0.6439097744360902},
	} {
		if got := c.metric.evaluate(scores, labels, c.weights); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s, weights %v: %v, want %v", c.metric, c.weights, got, c.want)
		}
	}
}
