package model

import (
	"slices"
	"testing"

	"churn/event"
)

// A model does not differ from itself; each change is named.
func TestDiff(t *testing.T) {
	a := blendModel(t)
	if d := Diff(a, a); d != nil {
		t.Errorf("a model differs from itself: %+v", d)
	}
	b := *a
	b.Manifest.Kind, b.Manifest.Seed = "boosting", 99
	b.Manifest.Definition.Horizon += event.Day
	b.Manifest.Metrics = map[string]float64{"auc": 0.5}
	b.Manifest.Gate = Gate{Reasons: []string{"too bad"}}
	b.Calibration.Kind = "isotonic"
	b.Linear = nil
	var what []string
	for _, d := range Diff(a, &b) {
		what = append(what, d.What)
		if d.A == d.B {
			t.Errorf("%+v is no difference", d)
		}
	}
	for _, want := range []string{"kind", "churn", "seed", "linear terms", "calibration", "gate"} {
		if !slices.Contains(what, want) {
			t.Errorf("%s is not named: %v", want, what)
		}
	}
}
