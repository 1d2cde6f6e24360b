package training

import (
	"context"
	"slices"
	"testing"

	"churn/event"
	"churn/event/sim"
	"churn/features"
	"churn/model"
	"churn/training/measure"
)

// worldSource serves a simulated world as histories.
type worldSource struct {
	timelines []*event.Timeline
	scores    map[string]map[event.Time]sim.Score
}

func newWorldSource(t testing.TB, w sim.World) *worldSource {
	t.Helper()
	s := &worldSource{scores: map[string]map[event.Time]sim.Score{}}
	err := w.Timelines(func(tl *event.Timeline, scores []sim.Score) bool {
		s.timelines = append(s.timelines, tl)
		m := map[event.Time]sim.Score{}
		for _, sc := range scores {
			m[sc.AsOf] = sc
		}
		s.scores[tl.Customer.ID] = m
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *worldSource) Timelines(ctx context.Context, fn func(*event.Timeline) error) error {
	for _, tl := range s.timelines {
		if err := fn(tl); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *worldSource) Fingerprint(context.Context) (string, error) { return "simulated", nil }

// worldPlan is the plan of the project file that churn simulate writes.
func worldPlan(w *sim.World) Plan {
	set := features.Default()
	for _, a := range w.Attributes {
		set.Attributes = append(set.Attributes, features.Column{Name: a.Name, Type: "category"})
	}
	set.Attributes = append(set.Attributes, features.Column{Name: w.RateName, Type: "number"})
	if w.Leak {
		set.Attributes = append(set.Attributes, features.Column{Name: "account_closed", Type: "category"})
	}
	return Plan{Definition: model.Definition{Kind: "contract", Gap: w.Gap, Horizon: w.Horizon},
		Features: set, Through: w.End, Seed: 1, Replicates: 50}
}

// With 20,000 simulated customers the chosen model's AUC is within 0.02 of the
// best possible score's, on the same rows.
func TestNearBayes(t *testing.T) {
	if testing.Short() {
		t.Skip("trains on 20,000 customers")
	}
	w := sim.DefaultWorld()
	// The best score is wanted at the snapshots of the plan.
	p := worldPlan(&w)
	w.Snapshots = Snapshots(&p.Definition, w.End, 30*event.Day, 12)
	src := newWorldSource(t, w)
	m, r, err := Train(context.Background(), src, p)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Gate.Passed {
		t.Errorf("the gate refuses an honest world: %v", r.Gate.Reasons)
	}
	s, err := m.Compile()
	if err != nil {
		t.Fatal(err)
	}
	o := &Observer{Definition: p.Definition, Snapshots: r.Split.Test, Through: p.Through, HeldOut: 0.25, Seed: p.Seed}
	var ours, best []float64
	var y []bool
	for _, tl := range src.timelines {
		o.Observe(tl, Counts{}, func(ob Observation) {
			if !ob.HeldOut {
				return
			}
			sc, ok := src.scores[ob.Customer][ob.At]
			if !ok {
				t.Fatalf("no best score for %s at %s", ob.Customer, ob.At)
			}
			ours = append(ours, s.Score(s.Row(tl, ob.At), nil).Probability)
			best = append(best, sc.Conditional())
			y = append(y, ob.Churned)
		})
	}
	a, b := auc(ours, y), auc(best, y)
	for _, rung := range r.Leaderboard {
		t.Logf("%-40s calibration log loss %.5f test AUC %.4f log loss %.5f %v", rung.Name, rung.CalibrationLogLoss, rung.Test.AUC, rung.Test.LogLoss, rung.Chosen)
	}
	t.Logf("AUC %.4f, best possible %.4f on %d rows", a, b, len(y))
	if a < b-0.02 {
		t.Errorf("AUC %.4f is more than 0.02 below the best possible %.4f", a, b)
	}
}

// trainVariant trains the given rungs on 4,000 customers of a variant.
func trainVariant(t *testing.T, variant string, rungs ...string) *Report {
	t.Helper()
	w, err := sim.DefaultWorld().Variant(variant)
	if err != nil {
		t.Fatal(err)
	}
	w.Customers = 4000
	p := worldPlan(&w)
	p.Rungs = rungs
	_, r, err := Train(context.Background(), newWorldSource(t, w), p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A planted leak is caught: the report names the back-filled cancel_page and
// the attribute that knows the outcome, and the gate refuses the model.
func TestPlantedLeak(t *testing.T) {
	r := trainVariant(t, "leak", "logistic")
	if r.Gate.Passed {
		t.Error("the gate lets a leaking model pass")
	}
	for _, want := range []string{"eng_cancel_page_n_90", "account_closed"} {
		found := false
		for _, f := range r.Findings {
			found = found || f.Severity == "error" && f.Subject == want
		}
		if !found {
			t.Errorf("%s is not named; findings: %+v", want, r.Findings)
		}
	}
}

// A world without a signal gives no better than chance, and the gate refuses.
func TestNoSignalWorld(t *testing.T) {
	r := trainVariant(t, "no-signal", "logistic", "boosting")
	if !slices.ContainsFunc(r.Leaderboard, func(rung Rung) bool { return rung.Kind == "boosting" }) {
		t.Error("boosting was not tried")
	}
	if r.Gate.Passed {
		t.Errorf("the gate lets noise pass: %+v", r.Model.Estimates.AUC)
	}
	if a := r.Model.Estimates.AUC; a.Low > 0.5 || a.High < 0.5 {
		t.Errorf("AUC %v [%v, %v] on noise", a.Value, a.Low, a.High)
	}
	for _, f := range r.Findings {
		if f.Severity == "error" {
			t.Errorf("noise is called a leak: %s", f.Text)
		}
	}
	// Nothing else is found in noise either.
	for name, e := range map[string]measure.Estimate{"labels shuffled": r.Checks.LabelShuffled.AUC, "labels shuffled in time": r.Checks.TimeShuffled.AUC} {
		if e.Low > 0.5 || e.High < 0.5 || e.Value < 0.4 || e.Value > 0.6 {
			t.Errorf("%s: AUC %+v on noise", name, e)
		}
	}
	// A tenth of 58 churners is 5.8 by chance, give or take 2.4: three times that.
	if a := r.AtCapacity; a.Lift.Low > 1 || a.Lift.Value > 2.25 || len(a.Notice) == 0 {
		t.Errorf("lift %+v at capacity on noise, notice %+v", a.Lift, a.Notice)
	}
	if l := r.Checks.LearningCurve; l.NotMeasured != "" || l.MoreWouldHelp == "yes" && r.Checks.LearningCurve.Points[2].AUC.Low > 0.5 {
		t.Errorf("learning curve on noise: %+v", l)
	}
	for _, s := range r.Segments {
		if s.NotMeasured == "" && (s.AUC.Value > 0.7 || s.AUC.Value < 0.3) {
			t.Errorf("%s %s: AUC %+v on noise", s.By, s.Level, s.AUC)
		}
	}
}
