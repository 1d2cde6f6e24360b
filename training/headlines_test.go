package training

import (
	"math"
	"strings"
	"testing"

	"churn/training/measure"
)

func TestHeadlines(t *testing.T) {
	e := func(v, low, high float64) measure.Estimate {
		return measure.Estimate{Value: measure.Float(v), Low: measure.Float(low), High: measure.Float(high)}
	}
	r := &Report{
		AtCapacity: &AtCapacity{Capacity: Capacity{Share: 0.1}, Recall: e(0.41, 0.34, 0.483), Notice: []Notice{{Days: 7, Recall: e(1, 1, 1)}, {Days: 14, Recall: e(0.329, 0.264, 0.412)}}},
		Profit:     &Profit{Model: e(7.194, 5.63, 8.82), Difference: e(1.5, 1.01, 1.96), Share: 0.461, Threshold: 0.039},
		Champion:   &Comparison{Version: "20180101-aa05e35653f8", Rows: 1589, Difference: &measure.Estimates{LogLoss: e(-0.002, -0.004, 0.001), AUC: e(0.01, -0.01, 0.02)}, Note: "a note"},
		Checks:     &Checks{LabelShuffled: Shuffled{AUC: e(0.487, 0.4, 0.6)}, Adversarial: Adversarial{AUC: measure.Unmeasured()}, LearningCurve: LearningCurve{MoreWouldHelp: "unclear"}},
	}
	want := `capacity   the riskiest 10 % of the customers hold 41.0 % [34.0, 48.3] of the churners; 14 days before they left 32.9 % [26.4, 41.2]
profit     7.19 [5.63, 8.82] a row of contacting the 46.1 % at risk above 0.039; 1.5 [1.01, 1.96] more than by the rule
champion   20180101-aa05e35653f8: log loss -0.0020 [-0.0040, +0.0010], AUC +0.0100 [-0.0100, +0.0200] to it on 1589 rows; a note
checks     AUC with labels shuffled 0.487, of telling the test from training not measured; twice the customers would help: unclear
`
	_, got, _ := strings.Cut(r.Head(), "lift in top decile")
	_, got, _ = strings.Cut(got, "\n")
	if got, _, _ = strings.Cut(got, "gate"); got != want {
		t.Errorf("head:\n%s\nwant:\n%s", got, want)
	}
	r = &Report{Profit: &Profit{NotMeasured: "no payments"}, Champion: &Comparison{NotCompared: "its definition is another"}}
	if got := r.Head(); !strings.Contains(got, "profit     not measured: no payments\n") || !strings.Contains(got, "champion   not compared: its definition is another\n") || strings.Contains(got, "capacity") {
		t.Errorf("head:\n%s", got)
	}
	r = &Report{Profit: &Profit{Threshold: measure.Float(math.Inf(1))}}
	if got := r.Head(); !strings.Contains(got, "a contact pays at no risk\n") {
		t.Errorf("head:\n%s", got)
	}
}
