package training

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"churn/model"
	"churn/model/gbdt"
)

// fixed is a learner whose members give every row the same margin.
func fixed(group, name string, margin float64, fitted *[]string, mu *sync.Mutex) learner {
	return learner{setting: setting{kind: "logistic", group: group, name: name}, fit: func(_ context.Context, fold int) (member, error) {
		mu.Lock()
		defer mu.Unlock()
		*fitted = append(*fitted, fmt.Sprint(name, fold))
		return member{linear: &model.Linear{Intercept: margin}}, nil
	}}
}

// Five, three, two and one of a group are fitted without the folds in turn; a
// group of one waits for the end. A tie goes to the first.
func TestSearchHalves(t *testing.T) {
	d := planted(1, 2000)
	l := newLadder(planOf(t), d)
	rate := float64(d.Positives()) / 2000
	best := math.Log(rate / (1 - rate))
	var fitted []string
	var mu sync.Mutex
	var learners []learner
	for k, off := range []float64{0.9, 0.3, 0, 0, 0.6} {
		learners = append(learners, fixed("many", string(rune('a'+k)), best+off, &fitted, &mu))
	}
	learners = append(learners, fixed("one", "z", 0, &fitted, &mu))
	alive, tried, err := l.search(t.Context(), learners)
	if err != nil {
		t.Fatal(err)
	}
	if len(alive) != 2 || alive[0].name != "c" || alive[1].name != "z" {
		t.Fatalf("kept %d, first %s", len(alive), alive[0].name)
	}
	slices.Sort(fitted)
	if got := strings.Join(fitted, " "); got != "a0 b0 b1 c0 c1 c2 c3 c4 d0 d1 d2 e0 z0 z1 z2 z3 z4" {
		t.Errorf("fitted %s", got)
	}
	for i, want := range []int{1, 2, 5, 3, 1, 5} {
		if tried[i].Folds != want || tried[i].Kept != (want == 5) {
			t.Errorf("%+v, want %d folds", tried[i], want)
		}
	}
	// The log loss of a constant, over the customers of the folds.
	sum, n := 0.0, 0
	for i := range d.Observations {
		if foldOf(d.Observations[i].Customer, 1) == 0 {
			p := model.Sigmoid(best + 0.9)
			if !d.Observations[i].Churned {
				p = 1 - p
			}
			sum -= math.Log(p)
			n++
		}
	}
	if got := float64(tried[0].LogLoss); math.Abs(got-sum/float64(n)) > 1e-12 {
		t.Errorf("log loss %v, want %v", got, sum/float64(n))
	}
	failing := []learner{{fit: func(context.Context, int) (member, error) { return member{}, errors.New("broken") }}}
	if _, _, err := l.search(t.Context(), failing); err == nil || err.Error() != "broken" {
		t.Errorf("error %v", err)
	}
}

// usualLearners are those of the names.
func usualLearners(l *ladder, names ...string) (out []learner) {
	for _, s := range l.plan.settings(sizeOf(l.train, fitPrior())) {
		if slices.Contains(names, s.name) {
			out = append(out, l.learner(s))
		}
	}
	return out
}

// Every training row has the margin of the member that never saw its customer:
// the same member, fitted on the others alone, gives it again.
func TestOutOfFold(t *testing.T) {
	d := planted(2, 3000)
	l := newLadder(planOf(t), d)
	learners := usualLearners(l, "logistic, C=0.001 (golearn)", "random forest (golearn)", usual(gbdt.Symmetric, 4).String())
	trials, _, err := l.search(t.Context(), learners)
	if err != nil {
		t.Fatal(err)
	}
	for _, trial := range trials {
		whole := l.candidate(trial)
		if err := whole.compile(); err != nil {
			t.Fatal(err)
		}
		// The model is the mean of its members.
		margins := make([]float64, 3000)
		for k, m := range trial.members {
			c := &candidate{linear: m.linear, forest: m.forest, weights: model.Weights{Linear: 1, Forest: 1}}
			for i, v := range c.margins(&d.Matrix, 2) {
				margins[i] += v / folds
				if fold := foldOf(d.Observations[i].Customer, 1); fold == k && v != trial.out[i] {
					t.Fatalf("%s, row %d: out of fold %v, member %d says %v", trial.name, i, trial.out[i], k, v)
				}
			}
		}
		for i, v := range whole.margins(&d.Matrix, 2) {
			if math.Abs(v-margins[i]) > 1e-9 {
				t.Fatalf("%s, row %d: %v, the mean of the members is %v", trial.name, i, v, margins[i])
			}
		}
		// What the customers of a fold did does not reach their own margins,
		// but for when boosting stops and for the forest's Platt map.
		if trial.kind == "logistic" {
			other := &Data{Matrix: d.Matrix, Observations: slices.Clone(d.Observations)}
			for i := range other.Observations {
				if l.fold[i] == 0 {
					other.Observations[i].Churned = !other.Observations[i].Churned
				}
			}
			m := newLadder(planOf(t), other)
			again, _, err := m.search(t.Context(), usualLearners(m, trial.name))
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range l.rows[0] {
				if again[0].out[i] != trial.out[i] {
					t.Fatalf("row %d: %v, with other outcomes of its fold %v", i, trial.out[i], again[0].out[i])
				}
			}
		}
	}
}

// hidden is the data without a feature.
func hidden(d *Data, feature int) *Data {
	out := &Data{Matrix: d.Matrix, Observations: d.Observations}
	out.Matrix.Data = slices.Clone(d.Matrix.Data)
	for i := range d.Observations {
		out.Matrix.Row(i)[feature] = nan32
	}
	return out
}

// A blend is the weighted sum of its parts, and so is each of its members; no
// nearby weights have less log loss.
func TestBlend(t *testing.T) {
	d := planted(6, 6000)
	rungs := climbed(t, d, "logistic", "boosting")
	if len(rungs) != 4 { // with the base rate
		t.Fatalf("%d rungs", len(rungs))
	}
	parts := rungs[1:3]
	c := blend(parts, d.Labels())
	if c == nil {
		t.Fatal("no blend")
	}
	if err := c.compile(); err != nil {
		t.Fatal(err)
	}
	fit := func(w []float64, offset float64) float64 {
		loss := 0.0
		for i, y := range d.Labels() {
			loss += logLossOf(offset+w[0]*parts[0].out[i]+w[1]*parts[1].out[i], y)
		}
		return loss
	}
	w, offset := model.FitLogistic(d.Labels(), parts[0].out, parts[1].out)
	if c.weights.Linear != w[0] || c.weights.Forest != 1 {
		t.Errorf("weights %+v, want %v", c.weights, w)
	}
	least := fit(w, offset)
	for _, step := range [][]float64{{0.05, 0}, {-0.05, 0}, {0, 0.05}, {0, -0.05}} {
		if l := fit([]float64{w[0] + step[0], w[1] + step[1]}, offset); l < least-1e-3 { // targets are smoothed
			t.Errorf("weights %v have log loss %v, with %v added %v", w, least, step, l)
		}
	}
	a, b := parts[0].margins(&d.Matrix, 1), parts[1].margins(&d.Matrix, 1)
	for i, got := range c.margins(&d.Matrix, 2) {
		if want := w[0]*a[i] + w[1]*b[i]; math.Abs(got-want) > 1e-9 {
			t.Fatalf("row %d: %v, want %v", i, got, want)
		}
		if want := w[0]*parts[0].out[i] + w[1]*parts[1].out[i]; math.Abs(c.out[i]-want) > 1e-9 {
			t.Fatalf("row %d out of fold: %v, want %v", i, c.out[i], want)
		}
	}
	// Two kinds of trees, each of which was shown what the other was not: members
	// keep theirs together.
	trees := []*candidate{climbed(t, hidden(d, 0), "boosting")[1], climbed(t, hidden(d, 3), "boosting")[2]}
	both := blend(trees, d.Labels())
	if both == nil {
		t.Fatal("no blend of both kinds of trees")
	}
	if err := both.compile(); err != nil {
		t.Fatal(err)
	}
	w, _ = model.FitLogistic(d.Labels(), trees[0].out, trees[1].out)
	a, b = trees[0].margins(&d.Matrix, 1), trees[1].margins(&d.Matrix, 1)
	for i, got := range both.margins(&d.Matrix, 2) {
		if want := w[0]*a[i] + w[1]*b[i]; math.Abs(got-want) > 1e-9 {
			t.Fatalf("row %d: %v, want %v", i, got, want)
		}
	}
	at := 0
	for k := range folds {
		if n := trees[0].bag.Trees[k] + trees[1].bag.Trees[k]; both.bag.Trees[k] != n {
			t.Errorf("member %d has %d trees, want %d", k, both.bag.Trees[k], n)
		}
		at += both.bag.Trees[k]
	}
	if at != len(both.forest.Trees) {
		t.Errorf("%d trees, members have %d", len(both.forest.Trees), at)
	}
	// A part that says nothing gets no weight, and there is no blend.
	nothing := &candidate{linear: &model.Linear{}, bag: newBag(folds), out: make([]float64, 6000)}
	if blend([]*candidate{rungs[2], nothing}, d.Labels()) != nil {
		t.Error("a blend with a part that says nothing")
	}
}

// Ranks by hand.
func TestRFMRule(t *testing.T) {
	d := planted(3, 10)
	for j, name := range []string{"act_rec", "pay_n_365", "pay_amt_365"} {
		d.Matrix.Features[j].Name = name
	}
	for i := range 10 {
		row := d.Matrix.Row(i)
		row[0], row[1], row[2] = float32(i), float32(i), 7
	}
	if c := fitRFM(&d.Matrix, 1); c != nil {
		t.Errorf("a rule of a column with one value: %+v", c.linear)
	}
	for i := range 10 {
		d.Matrix.Row(i)[2] = float32(10 * i)
	}
	c := fitRFM(&d.Matrix, 1)
	if c == nil || c.name != "RFM rule (act_rec, pay_n_365, pay_amt_365)" {
		t.Fatalf("%+v", c)
	}
	// The middles of the fifths of 0 to 9 are 0.9, 2.7, 4.5, 6.3 and 8.1. A
	// recency of 4.5 days is rank 3, a frequency of 0.9 rank 5, 81 paid rank 1.
	d.Matrix.Row(0)[0], d.Matrix.Row(0)[1], d.Matrix.Row(0)[2] = 4.5, 0.9, 81
	d.Matrix.Row(1)[0], d.Matrix.Row(1)[1], d.Matrix.Row(1)[2] = 1.8, nan32, 81
	got := c.margins(&d.Matrix, 1)
	if math.Abs(got[0]-9) > 1e-6 || math.Abs(got[1]-(1.5+5+1)) > 1e-6 {
		t.Errorf("margins %v and %v, want 9 and 7.5", got[0], got[1])
	}
}
