package training

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"churn/features"
	"churn/training/measure"
)

// segmented is rows of a set with two attributes and a tenure: plan b is scored
// by chance, the others by the outcome; few customers have plan c.
func segmented(t *testing.T) (*features.Set, *Data, []float64) {
	t.Helper()
	set, err := features.Parse([]byte(`version: 1
attributes:
- {name: plan, type: category, levels: [a, b, c]}
- {name: city, type: category, levels: [l0, l1, l2, l3, l4, l5, l6, l7, l8]}
- {name: seats, type: number}
features:
- {name: since, from: customer, agg: tenure}
`))
	if err != nil {
		t.Fatal(err)
	}
	e, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(6, 6))
	d := &Data{Matrix: features.Matrix{Features: e.Features()}}
	var score []float64
	tenures := []float32{0, 89.9, 90, 365, 365.1, nan32}
	for i := range 1200 {
		plan := float32(i % 2)
		if i%100 == 0 {
			plan = 2
		}
		if i%100 == 50 {
			plan = nan32
		}
		copy(d.Matrix.Grow(), []float32{plan, float32(r.IntN(9)), 1, tenures[r.IntN(len(tenures))]})
		o := Observation{Customer: fmt.Sprint(i / 2), Churned: r.IntN(4) == 0}
		if o.Churned {
			o.Reason = []string{"price", "price", "moved", ""}[r.IntN(4)]
		}
		d.Observations = append(d.Observations, o)
		p := 0.2 + 0.2*r.Float64()
		if plan != 1 && o.Churned {
			p += 0.5
		}
		score = append(score, p)
	}
	return set, d, score
}

func TestSegments(t *testing.T) {
	set, d, score := segmented(t)
	groups, err := groupings(nil, set, &d.Matrix)
	if err != nil {
		t.Fatal(err)
	}
	picked := make([]float64, len(score))
	for i, p := range score {
		if p > 0.6 {
			picked[i] = 1
		}
	}
	boot := measure.Bootstrap{Replicates: 60, Level: 0.95, Seed: 1}
	list, err := segments(groups, score, d, picked, boot)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Segment{}
	var names []string
	for _, s := range list {
		names = append(names, s.By+": "+s.Level)
		byName[s.By+": "+s.Level] = s
	}
	// city has nine levels: too many to be looked at without being asked for.
	if got, want := strings.Join(names, ", "), "plan: a, plan: b, plan: c, plan: missing, tenure: below 90 days, tenure: 90 to 365 days, tenure: above 365 days, "+
		"churn kind: price, churn kind: not told, churn kind: moved"; got != want && got != strings.Replace(want, "churn kind: not told, churn kind: moved", "churn kind: moved, churn kind: not told", 1) {
		t.Errorf("segments %s", got)
	}
	// Each by its definition, counted and measured again.
	for name, in := range map[string]func(i int) bool{
		"plan: a":                func(i int) bool { return d.Matrix.Row(i)[0] == 0 },
		"plan: b":                func(i int) bool { return d.Matrix.Row(i)[0] == 1 },
		"tenure: below 90 days":  func(i int) bool { return d.Matrix.Row(i)[3] < 90 },
		"tenure: 90 to 365 days": func(i int) bool { v := d.Matrix.Row(i)[3]; return v >= 90 && v <= 365 },
		"tenure: above 365 days": func(i int) bool { return d.Matrix.Row(i)[3] > 365 },
		"churn kind: price":      func(i int) bool { o := d.Observations[i]; return !o.Churned || o.Reason == "price" },
		"churn kind: not told":   func(i int) bool { o := d.Observations[i]; return !o.Churned || o.Reason == "" },
		"plan: missing":          func(i int) bool { v := d.Matrix.Row(i)[0]; return v != v },
		"plan: c":                func(i int) bool { return d.Matrix.Row(i)[0] == 2 },
	} {
		var p []float64
		var y []bool
		churners, found := 0, 0.0
		for i := range score {
			if !in(i) {
				continue
			}
			p, y = append(p, score[i]), append(y, d.Observations[i].Churned)
			if d.Observations[i].Churned {
				churners++
				found += picked[i]
			}
		}
		s := byName[name]
		if s.Rows != len(p) || s.Churners != churners {
			t.Errorf("%s: %d rows, %d churners; want %d, %d", name, s.Rows, s.Churners, len(p), churners)
		}
		if churners < minGroup {
			if !strings.HasPrefix(s.NotMeasured, "insufficient data") || !math.IsNaN(float64(s.AUC.Value)) || !math.IsNaN(float64(s.Recall.Value)) {
				t.Errorf("%s: %+v", name, s)
			}
			continue
		}
		m, err := measure.Scores(p, y, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.AUC.Value != m.AUC || !near(float64(s.Recall.Value), found/float64(churners)) || !(s.AUC.Low <= s.AUC.Value && s.AUC.Value <= s.AUC.High) {
			t.Errorf("%s: %+v, want AUC %v", name, s, m.AUC)
		}
		expected := 0.0
		for _, v := range p {
			expected += v / float64(len(p))
		}
		if kind := strings.HasPrefix(name, "churn kind"); !kind && !near(float64(s.Bias.Value), expected-float64(churners)/float64(len(p))) || kind != math.IsNaN(float64(s.Bias.Value)) {
			t.Errorf("%s: %+v, %v expected", name, s.Bias, expected)
		}
		if kind := strings.HasPrefix(name, "churn kind"); kind != math.IsNaN(float64(s.LogLoss.Value)) || !kind && s.LogLoss.Value != m.LogLoss {
			t.Errorf("%s: log loss %v, want %v", name, s.LogLoss.Value, m.LogLoss)
		}
	}
	if a, b := byName["plan: a"].AUC, byName["plan: b"].AUC; !(a.Low > 0.95) || b.Value < 0.4 || b.Value > 0.6 {
		t.Errorf("plan a %+v, plan b %+v", a, b)
	}
	// What is asked for is looked at, and nothing else of the attributes.
	groups, err = groupings([]string{"city"}, set, &d.Matrix)
	if err != nil || len(groups) != 2 || groups[0].by != "city" || groups[1].by != "tenure" {
		t.Errorf("%d groupings, error %v", len(groups), err)
	}
	for _, name := range []string{"seats", "town"} {
		if _, err := groupings([]string{name}, set, &d.Matrix); err == nil || !strings.Contains(err.Error(), `no attribute "`+name+`" that is a category; there are plan, city`) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// With more kinds than are shown the rare ones are one.
func TestRareKindsOfChurn(t *testing.T) {
	d := &Data{}
	for i := range 12 {
		for range 20 - i {
			d.Observations = append(d.Observations, Observation{Churned: true, Reason: fmt.Sprintf("r%02d", i)})
		}
	}
	kinds := churnKinds(d)
	if len(kinds) != maxSegmentLevels || kinds[0].name != "r00" || kinds[7].name != "5 other kinds" || !slices.Equal(kinds[7].texts, []string{"r07", "r08", "r09", "r10", "r11"}) {
		t.Errorf("%+v", kinds)
	}
}
