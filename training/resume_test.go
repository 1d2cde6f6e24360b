package training

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"churn/model"
)

// A training that was stopped goes on from the fits that were finished, and
// gives the same bytes as one that was not; damaged files are fitted again.
func TestResume(t *testing.T) {
	table := telco(t)
	plan := Plan{Definition: model.Definition{Kind: "label", Label: "churn=Yes"}, Seed: 1, Replicates: 20, Workers: 2, Rungs: []string{"logistic", "boosting"}}
	m, _, err := TrainTable(t.Context(), table, plan)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := fileOf(m)
	if err != nil {
		t.Fatal(err)
	}
	plan.Resume = filepath.Join(t.TempDir(), "fits")
	ctx, cancel := context.WithCancel(t.Context())
	plan.Progress = func(stage string, done, total int) {
		if stage == "fitting models" && done == 8 {
			cancel()
		}
	}
	if _, _, err := TrainTable(ctx, table, plan); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	files, err := filepath.Glob(filepath.Join(plan.Resume, "*.fit"))
	if err != nil || len(files) < 8 || len(files) > 10 {
		t.Fatalf("%d fits kept, error %v", len(files), err)
	}
	// One cut short, one with another byte.
	if err := os.Truncate(files[0], 100); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(files[1], b, 0o644); err != nil {
		t.Fatal(err)
	}
	plan.Progress = nil
	m, _, err = TrainTable(t.Context(), table, plan)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := fileOf(m); err != nil || string(again) != string(whole) {
		t.Errorf("the resumed model differs: %d and %d bytes, error %v", len(again), len(whole), err)
	}
	// All fits are there now: nothing is fitted, and the same comes out.
	d := planted(1, 500)
	l := newLadder(planOf(t), d)
	l.plan.Resume = plan.Resume
	s := setting{kind: "logistic", group: "logistic", name: "x"}
	if _, done, err := l.resumed(s, 0); done || err != nil {
		t.Errorf("other rows resume: %v, %v", done, err)
	}
	if err := l.remember(s, 0, member{linear: &model.Linear{Intercept: 0.1}}); err != nil {
		t.Fatal(err)
	}
	if back, done, err := l.resumed(s, 0); !done || err != nil || back.linear.Intercept != 0.1 {
		t.Errorf("%+v, %v, %v", back, done, err)
	}
	for _, other := range []func(){func() { s.name = "y" }, func() { s.name = "x"; l.plan.Seed++ }, func() {
		l.plan.Seed--
		d.Observations[0].Churned = !d.Observations[0].Churned
		l = newLadder(l.plan, d)
	}} {
		other()
		if _, done, _ := l.resumed(s, 0); done {
			t.Error("a fit of something else is taken")
		}
	}
	if _, done, _ := l.resumed(s, 1); done {
		t.Error("a fit of another fold is taken")
	}
}
