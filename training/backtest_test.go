package training

import (
	"math"
	"strings"
	"testing"

	"churn/event"
	"churn/training/measure"
)

// The last month of a backtest has the test's last snapshot and the chosen
// settings, fitted to the same rows: the figures are those of the report,
// measured on that snapshot alone. Earlier months see nothing later.
func TestBacktest(t *testing.T) {
	if testing.Short() {
		t.Skip("trains on 1,700 customers")
	}
	s := smallModel(t)
	p := s.plan
	p.Workers, p.Backtest = 2, 3
	p.Rungs = []string{"logistic"}
	m, r, err := Train(t.Context(), s.src, p)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Backtest) != 3 || !strings.Contains(r.Head(), "\nbacktest   ") || !strings.Contains(string(m.ReportHTML), "How it would have done before") {
		t.Fatalf("%+v", r.Backtest)
	}
	for i, month := range r.Backtest {
		if want := r.Split.Test[1].Add(-event.Duration(2-i) * 30 * event.Day); month.Snapshot != want {
			t.Errorf("month %d at %s, want %s", i, month.Snapshot, want)
		}
		if month.Model == nil || month.Churners == 0 || month.Difference == nil {
			t.Errorf("month %d: %+v", i, month)
		}
	}
	scorer, err := m.Compile()
	if err != nil {
		t.Fatal(err)
	}
	o := &Observer{Definition: p.Definition, Snapshots: r.Split.Test[1:], Through: p.Through, HeldOut: 0.25, Seed: p.Seed}
	var scores []float64
	var y []bool
	for _, tl := range s.src.timelines {
		o.Observe(tl, Counts{}, func(ob Observation) {
			if ob.HeldOut {
				scores, y = append(scores, scorer.Score(scorer.Row(tl, ob.At), nil).Probability), append(y, ob.Churned)
			}
		})
	}
	want, err := measure.Scores(scores, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := r.Backtest[2]
	if !near(float64(last.Model.AUC.Value), float64(want.AUC)) || !near(float64(last.Model.LogLoss.Value), float64(want.LogLoss)) || last.Rows != len(y) {
		t.Errorf("the last month has AUC %v and log loss %v on %d rows, the model %v and %v on %d", last.Model.AUC.Value, last.Model.LogLoss.Value, last.Rows, want.AUC, want.LogLoss, len(y))
	}
	if _, _, err := TrainTable(t.Context(), telco(t), Plan{Definition: r.Definition, Backtest: 1}); err == nil || !strings.Contains(err.Error(), "needs histories") {
		t.Errorf("a wide table is tested back: %v", err)
	}
}

func near(a, b float64) bool {
	return math.Abs(a-b) <= 1e-12 || math.IsNaN(a) && math.IsNaN(b)
}
