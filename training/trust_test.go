package training

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"churn/event"
	"churn/features"
	"churn/model"
	"churn/training/measure"
)

// rows makes data of so many customers at so many snapshots. row fills in the
// features and tells whether the customer churned.
func rows(seed uint64, customers, snapshots int, names string, row func(r *rand.Rand, who, at int, x []float32) bool) *Data {
	r := rand.New(rand.NewPCG(seed, 1))
	d := &Data{}
	for _, name := range strings.Fields(names) {
		d.Matrix.Features = append(d.Matrix.Features, features.Feature{Name: name})
	}
	for who := range customers {
		for at := range snapshots {
			x := d.Matrix.Grow()
			churned := row(r, who, at, x)
			d.Observations = append(d.Observations, Observation{Customer: fmt.Sprint("c", seed, "-", who), At: day(30 * at), Churned: churned, LeftAt: event.Never})
		}
	}
	return d
}

func checkPlan() *Plan { return &Plan{Replicates: 100, Seed: 1, Workers: 2} }

// signal churns more often where x is high; x is the customer's own, with noise
// of each snapshot.
func signal(own, noise float64) func(r *rand.Rand, who, at int, x []float32) bool {
	return func(r *rand.Rand, who, at int, x []float32) bool {
		base := own * math.Sin(float64(who)*12.9898) // the same at each snapshot
		x[0] = float32(base + noise*r.NormFloat64())
		x[1] = float32(r.NormFloat64())
		return r.Float64() < model.Sigmoid(float64(x[0])-1)
	}
}

// Labels dealt out anew are chance, however much there is to learn; a training
// part with the test in it is not, which a forest that remembers rows shows.
func TestLabelShuffled(t *testing.T) {
	train, test := rows(1, 800, 3, "x noise", signal(0, 2)), rows(2, 400, 2, "x noise", signal(0, 2))
	worst := 0.0
	for seed := range uint64(8) {
		p := checkPlan()
		p.Seed = seed
		s, err := p.labelShuffled(context.Background(), train, test)
		if err != nil || s.NotMeasured != "" || s.Runs != 5 {
			t.Fatalf("%+v, error %v", s, err)
		}
		worst = max(worst, math.Abs(float64(s.AUC.Value)-0.5))
		if list := (&Checks{LabelShuffled: s, TimeShuffled: Shuffled{AUC: measure.Unmeasured(), Seen: measure.Unmeasured()}, Adversarial: Adversarial{AUC: measure.Unmeasured()}}).findings(); list != nil {
			t.Errorf("seed %d: %v", seed, list)
		}
	}
	t.Logf("worst distance from one half: %.4f", worst)
	if worst > 0.15 || worst == 0 {
		t.Errorf("the AUC of chance is %.3f off one half", worst)
	}
	c := Checks{LabelShuffled: Shuffled{AUC: measure.Estimate{Value: 0.7, Low: 0.55, High: 0.85}}, TimeShuffled: Shuffled{AUC: measure.Unmeasured(), Seen: measure.Unmeasured()}, Adversarial: Adversarial{AUC: measure.Unmeasured()}}
	if list := c.findings(); len(list) != 1 || list[0].Severity != "error" || !strings.Contains(list[0].Text, "training sees the test") {
		t.Errorf("%v", list)
	}
	if s, err := checkPlan().labelShuffled(context.Background(), train, test.Rows(func(o *Observation) bool { return !o.Churned })); err != nil || !strings.HasPrefix(s.NotMeasured, "insufficient data: churners 0") || !math.IsNaN(float64(s.AUC.Value)) {
		t.Errorf("%+v, error %v", s, err)
	}
}

// What is the customer's own survives the shuffling in time, what comes and goes
// does not; a feature that names the customer is remembered.
func TestTimeShuffled(t *testing.T) {
	run := func(name string, names string, row func(r *rand.Rand, who, at int, x []float32) bool) Shuffled {
		t.Helper()
		all := rows(3, 1500, 8, names, row)
		part := func(out bool, from, to int) *Data {
			return all.Rows(func(o *Observation) bool {
				return heldOut(o.Customer, 1, 0.3) == out && o.At >= day(30*from) && o.At < day(30*to)
			})
		}
		s, err := checkPlan().timeShuffled(context.Background(), part(false, 0, 5), part(true, 6, 8), part(false, 6, 8))
		if err != nil || s.NotMeasured != "" {
			t.Fatalf("%s: %+v, error %v", name, s, err)
		}
		t.Logf("%s: %+v", name, s)
		return s
	}
	found := func(s Shuffled) string {
		list := (&Checks{LabelShuffled: Shuffled{AUC: measure.Unmeasured()}, TimeShuffled: s, Adversarial: Adversarial{AUC: measure.Unmeasured()}}).findings()
		if len(list) == 0 {
			return ""
		}
		return list[0].Subject
	}
	if s := run("of the moment", "x noise", signal(0, 2)); s.AUC.High > 0.6 || found(s) != "" {
		t.Errorf("of the moment: %+v", s)
	}
	if s := run("of the customer", "x noise", signal(2, 0.1)); s.AUC.Low < 0.65 || found(s) != "" {
		t.Errorf("of the customer: %+v", s)
	}
	// Each customer has a rate, and a number that says nothing but who it is.
	if s := run("remembered", "id", func(r *rand.Rand, who, at int, x []float32) bool {
		x[0] = float32(who)
		rate := 0.02
		if who/40%2 == 0 && who%2 == 0 {
			rate = 0.6
		}
		if heldOut(fmt.Sprint("c3-", who), 1, 0.3) {
			rate = 0.2
		}
		return r.Float64() < rate
	}); found(s) != "customers" {
		t.Errorf("remembered: %+v, found %q", s, found(s))
	}
	// An attribute filled in afterwards.
	if s := run("filled in", "closed", func(r *rand.Rand, who, at int, x []float32) bool {
		x[0] = float32(who % 2)
		return who%2 == 1 && r.Float64() < 0.95
	}); found(s) != "features" {
		t.Errorf("filled in: %+v, found %q", s, found(s))
	}
	one := rows(4, 300, 1, "x noise", signal(0, 2))
	if s, err := checkPlan().timeShuffled(context.Background(), one, one, nil); err != nil || s.NotMeasured != "every customer has one row" {
		t.Errorf("%+v, error %v", s, err)
	}
}

func TestAdversarial(t *testing.T) {
	at := func(from, to int, shift float64) *Data {
		return rows(uint64(77*from+13), 700, to-from, "x clock y", func(r *rand.Rand, who, at int, x []float32) bool {
			x[0], x[1], x[2] = float32(r.NormFloat64()+shift), float32(from+at), float32(r.NormFloat64())
			return r.IntN(2) == 0
		})
	}
	clock := timeFeatures{columns: []bool{false, true, false}}
	a, err := checkPlan().adversarial(context.Background(), at(0, 3, 0), at(5, 7, 0), clock)
	if err != nil || a.AUC.Low > 0.5 || a.AUC.High < 0.5 || !slices.Equal(a.Excluded, []string{"clock"}) || a.Rows != 700*5 {
		t.Errorf("alike: %+v, error %v", a, err)
	}
	a, err = checkPlan().adversarial(context.Background(), at(0, 3, 0), at(5, 7, 2), clock)
	if err != nil || a.AUC.Low < 0.85 || a.Top[0].Feature != "x" || a.Top[0].Share < 0.5 {
		t.Errorf("shifted: %+v, error %v", a, err)
	}
	c := Checks{LabelShuffled: Shuffled{AUC: measure.Unmeasured()}, TimeShuffled: Shuffled{AUC: measure.Unmeasured(), Seen: measure.Unmeasured()}, Adversarial: a}
	if list := c.findings(); len(list) != 1 || list[0].Severity != "warning" || !strings.Contains(list[0].Text, "mostly by x") {
		t.Errorf("%v", list)
	}
	a, err = checkPlan().adversarial(context.Background(), at(0, 3, 0), at(5, 7, 0), timeFeatures{columns: make([]bool, 3)})
	if err != nil || a.AUC.Value < 0.99 {
		t.Errorf("by the clock: %+v, error %v", a, err)
	}
}

func TestLearningCurve(t *testing.T) {
	// Twenty features that each add a little need many rows.
	hard := func(r *rand.Rand, _, _ int, x []float32) bool {
		sum := -1.0
		for j := range x {
			x[j] = float32(r.NormFloat64())
			sum += 0.5 * float64(x[j])
		}
		return r.Float64() < model.Sigmoid(sum)
	}
	names := strings.Join(strings.Split("abcdefghijklmnopqrst", ""), " ")
	l, err := checkPlan().learningCurve(context.Background(), rows(1, 1200, 1, names, hard), rows(2, 3000, 1, names, hard))
	if err != nil || l.MoreWouldHelp != "yes" || len(l.Points) != 3 || l.Points[2].Customers != 1200 || l.Points[0].LogLoss.Value < l.Points[2].LogLoss.Value {
		t.Errorf("%+v, error %v", l, err)
	}
	none := func(r *rand.Rand, _, _ int, x []float32) bool { x[0] = float32(r.NormFloat64()); return r.IntN(2) == 0 }
	if l, err = checkPlan().learningCurve(context.Background(), rows(1, 4000, 1, "x", none), rows(2, 2000, 1, "x", none)); err != nil || l.MoreWouldHelp != "no" {
		t.Errorf("nothing to learn: %+v, error %v", l, err)
	}
	for _, test := range []struct {
		doubling measure.Estimate
		want     string
	}{
		{measure.Estimate{Value: -0.02, Low: -0.03, High: -0.01}, "yes"}, {measure.Estimate{Value: -0.02, Low: -0.05, High: 0.01}, "unclear"}, {measure.Estimate{Value: -0.001, Low: -0.003, High: 0.002}, "no"},
		{measure.Estimate{Value: -0.001, Low: -0.0015, High: -0.0005}, "no"}, {measure.Estimate{Value: 0.02, Low: 0.01, High: 0.03}, "unclear"},
	} {
		c := LearningCurve{Doubling: test.doubling, Points: []LearningPoint{{Customers: 50}, {Customers: 100, LogLoss: measure.Estimate{Value: 0.4, Low: 0.3, High: 0.5}}}}
		if c.conclude(); c.MoreWouldHelp != test.want || !strings.HasPrefix(c.Text, "twice the customers would help: "+test.want+"; from 50 to 100 customers") {
			t.Errorf("%+v: %s", test.doubling, c.Text)
		}
	}
}

// Features that are time itself, by hand: data begin on day 0, training on day
// 100.
func TestTimeFeatures(t *testing.T) {
	set, err := features.Parse([]byte(`version: 1
attributes:
- {name: plan, type: category, levels: [a]}
- {name: renews, type: date}
features:
- {name: "eng_n_{w}", from: engagement, agg: count, windows: [30d, 100d, 101d]}
- {name: "pay_n_{w}", from: payments, agg: count, windows: [365d]}
- {name: ratio_long, expr: "ratio(eng_n_101, eng_n_30)"}
- {name: ratio_all, expr: "ratio(ratio_long, eng_n_30)"}
- {name: ratio_short, expr: "ratio(eng_n_100, eng_n_30)"}
- {name: since, from: customer, agg: tenure}
- {name: month, from: calendar, agg: month}
`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := timeFeaturesOf(set, map[string]event.Time{"engagement": day(0)}, day(100))
	if err != nil {
		t.Fatal(err)
	}
	e, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for j, f := range e.Features() {
		if got.columns[j] {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	// There were no payments: their window reaches beyond nothing.
	if want := []string{"cus_renews", "eng_n_101", "month", "ratio_all", "ratio_long", "since"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
}
