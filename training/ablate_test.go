package training

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"churn/event"
	"churn/features"
	"churn/model"
	"churn/model/gbdt"
	"churn/training/measure"
)

// ablationTable has two numbers that say something of churn, one of them twice,
// and others that do not, in families.
func ablationTable(t *testing.T, rows int) (*Table, Plan) {
	t.Helper()
	r := rand.New(rand.NewPCG(71, 72))
	out := &Table{Columns: []string{"known", "copy", "new_1", "new_2", "noise_1", "noise_2", "noise_3", "fixed", "fixed_missing"}}
	for i := range rows {
		known, first, second := r.NormFloat64(), r.NormFloat64(), r.NormFloat64()
		row := []float64{known, known + 0.05*r.NormFloat64(), first, second, r.NormFloat64(), r.NormFloat64(), r.NormFloat64(), 7}
		var texts []string
		for _, v := range row {
			texts = append(texts, fmt.Sprint(v))
		}
		texts = append(texts, "")
		out.Rows = append(out.Rows, texts)
		out.IDs = append(out.IDs, fmt.Sprint("c", i))
		out.Labels = append(out.Labels, r.Float64() < 1/(1+math.Exp(1-known-0.8*first-0.4*second*second)))
	}
	set := &features.Set{Version: 1}
	for _, name := range out.Columns {
		family, _, _ := strings.Cut(name, "_")
		set.Columns = append(set.Columns, features.Column{Name: name, Type: "number", Family: family})
	}
	return out, Plan{Definition: model.Definition{Kind: "label", Label: "Churn=Yes"}, Features: set, Seed: 3, Replicates: 200}
}

func ablated(t *testing.T, p Plan, table *Table, a AblationPlan) (*Ablation, map[string]*Group) {
	t.Helper()
	out, err := AblateTable(context.Background(), table, p, a)
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string]*Group{}
	for i := range out.Groups {
		groups[out.Groups[i].Name] = &out.Groups[i]
	}
	return out, groups
}

// What was planted is found: news adds, noise and a copy do not, and of a family
// and its copy leaving out one shows nothing.
func TestAblation(t *testing.T) {
	table, p := ablationTable(t, 3000)
	out, g := ablated(t, p, table, AblationPlan{Core: []string{"known"}})
	if len(g) != 5 || g["noise"].Features != 3 || g["new"].Features != 2 || !g["known"].InCore || g["new"].InCore || out.Groups[4].Name != "fixed" {
		t.Fatalf("groups %+v", out.Groups)
	}
	for name, want := range map[string]string{"known": Adds, "new": Adds, "fixed": Constant} {
		if got := g[name].Verdict; got != want {
			t.Errorf("%s: %s, want %s: %+v", name, got, want, g[name])
		}
	}
	for _, name := range []string{"copy", "noise"} {
		if v := g[name].Verdict; v == Adds || v == AddsAndHarms {
			t.Errorf("%s: %s: %+v", name, v, g[name])
		}
	}
	news := g["new"]
	if !(news.OnCore.LogLoss.Low > 0.02 && news.LeftOut.LogLoss.Low > 0.02 && news.Permuted.LogLoss.Low > 0.02) || !(news.OnCore.AUC.Low > 0.02) {
		t.Errorf("new: %+v", news)
	}
	// The copy hides the original, but not from the core, nor from permutation.
	known := g["known"]
	if !(known.OnCore.LogLoss.Low > 0.02) || known.LeftOut.LogLoss.Value > 0.1*known.OnCore.LogLoss.Value || !(known.Permuted.LogLoss.Low > 0.005) {
		t.Errorf("known: %+v", known)
	}
	if fixed := g["fixed"]; fixed.OnCore != (Gain{}) || fixed.LeftOut != (Gain{}) || fixed.Permuted != (Gain{}) || fixed.Constant != 2 {
		t.Errorf("fixed: %+v", fixed)
	}
	if d := out.OnlyCore.LogLoss.Value - out.All.LogLoss.Value; d < 0.02 || out.OnlyCore.Features != 1 || out.All.Features != 9 {
		t.Errorf("all %+v, core %+v", out.All, out.OnlyCore)
	}
}

// The figures are those of fits made one by one.
func TestAblationByHand(t *testing.T) {
	table, p := ablationTable(t, 1500)
	out, g := ablated(t, p, table, AblationPlan{Core: []string{"known", "copy"}, Seeds: 2})
	if err := p.defaults(); err != nil {
		t.Fatal(err)
	}
	_, pt, _, err := p.table(table)
	if err != nil {
		t.Fatal(err)
	}
	pt = pt.apart(p.Seed)
	loss := func(ignore ...int) (sum float64) {
		for k := range 2 {
			params := usual(gbdt.Symmetric, 4).params(len(pt.train.Observations))
			params.Trees, params.Patience, params.Seed = out.Trees, 0, p.Seed+uint64(k)
			params.Ignore = make([]bool, len(table.Columns))
			params.Ignore[7], params.Ignore[8] = true, true // have one value
			for _, j := range ignore {
				params.Ignore[j] = true
			}
			forest, _, err := gbdt.Train(context.Background(), params, dataset(pt.train, everyRow(pt.train)), nil)
			if err != nil {
				t.Fatal(err)
			}
			margins := func(d *Data) (out []float64) {
				for i := range d.Observations {
					out = append(out, forest.Predict(d.Matrix.Row(i)))
				}
				return out
			}
			c := model.FitPlatt(margins(pt.calibration), pt.calibration.Labels())
			m, err := measure.Scores(probabilities(&c, margins(pt.test)), pt.test.Labels(), nil)
			if err != nil {
				t.Fatal(err)
			}
			sum += float64(m.LogLoss) / 2
		}
		return sum
	}
	for _, c := range []struct {
		what string
		got  measure.Float
		want float64
	}{
		{"all", out.All.LogLoss.Value, loss()},
		{"core", out.OnlyCore.LogLoss.Value, loss(2, 3, 4, 5, 6)},
		{"new on the core", g["new"].OnCore.LogLoss.Value, loss(2, 3, 4, 5, 6) - loss(4, 5, 6)},
		{"new left out", g["new"].LeftOut.LogLoss.Value, loss(2, 3) - loss()},
		{"copy on the rest of the core", g["copy"].OnCore.LogLoss.Value, loss(1, 2, 3, 4, 5, 6) - loss(2, 3, 4, 5, 6)},
	} {
		if math.Abs(float64(c.got)-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

// The same bytes whatever the processors and workers.
func TestAblationIsDeterministic(t *testing.T) {
	table, p := ablationTable(t, 800)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	want := ""
	for _, n := range []int{1, 4} {
		runtime.GOMAXPROCS(n)
		p.Workers = n
		out, _ := ablated(t, p, table, AblationPlan{})
		b, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = string(b)
		} else if string(b) != want {
			t.Errorf("%d workers give other bytes than 1", n)
		}
		if len(out.Core) != 0 || out.OnlyCore.AUC.Value != 0.5 {
			t.Errorf("without any of the families of the core: %v, %+v", out.Core, out.OnlyCore)
		}
	}
}

func TestAblationRefuses(t *testing.T) {
	table, p := ablationTable(t, 800)
	for _, c := range []struct {
		plan AblationPlan
		want string
	}{
		{AblationPlan{Core: []string{"known", "old"}}, `no family "old"; there are known, copy, new, noise, fixed`},
		{AblationPlan{Seeds: -1}, "-1 seeds"},
	} {
		if _, err := AblateTable(context.Background(), table, p, c.plan); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.plan, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := AblateTable(ctx, table, p, AblationPlan{}); err == nil {
		t.Error("cancelled, and no error")
	}
}

// Rows get values of rows of their own snapshot, each once.
func TestPermutations(t *testing.T) {
	d := &Data{}
	for i := range 100 {
		d.Observations = append(d.Observations, Observation{At: event.Time(i * 7 % 3)})
	}
	all := permutations(d, 5, 2)
	if fmt.Sprint(all[0]) == fmt.Sprint(all[1]) {
		t.Error("two seeds, one permutation")
	}
	for _, p := range all {
		seen, moved := map[int]bool{}, 0
		for to, from := range p {
			if d.Observations[to].At != d.Observations[from].At || seen[from] {
				t.Fatalf("row %d gets the values of row %d", to, from)
			}
			seen[from] = true
			if to != from {
				moved++
			}
		}
		if moved < 80 { // one of each snapshot stays, on average
			t.Errorf("%d of 100 rows moved", moved)
		}
	}
}

// Every column of a row goes to the declaration whose name it has.
func TestDeclared(t *testing.T) {
	set := features.Default()
	set.Attributes = []features.Column{{Name: "plan", Type: "category"}, {Name: "seats", Type: "number"}}
	census := features.NewCensus(set)
	for i, kind := range []string{"login", "session", "login", "visit"} {
		census.Add(event.NewTimeline(event.Customer{ID: fmt.Sprint(i), Attributes: map[string]string{"plan": kind}},
			[]event.Event{{ID: fmt.Sprint(i), Customer: fmt.Sprint(i), Type: event.Engagement, Kind: kind, At: 5, Recorded: 5}}), 10)
	}
	e, err := set.Lock(census).Compile()
	if err != nil {
		t.Fatal(err)
	}
	names := declared(e)
	if len(names) != len(e.Features()) {
		t.Fatalf("%d names for %d columns", len(names), len(e.Features()))
	}
	levels := 0
	for i, f := range e.Features() {
		pattern := regexp.QuoteMeta(names[i])
		pattern = strings.ReplaceAll(pattern, `\{w\}`, `[0-9.]+`)
		pattern = strings.ReplaceAll(pattern, `\{by\}`, `(login|session|visit)`)
		if !regexp.MustCompile("^" + pattern + "$").MatchString(f.Name) {
			t.Errorf("column %s is said to be of %s", f.Name, names[i])
		}
		if strings.Contains(names[i], "{by}") {
			levels++
		}
	}
	if levels == 0 {
		t.Error("no feature by level")
	}
	families, byFeature := groupsOf(e, false, make([]bool, len(names))), groupsOf(e, true, make([]bool, len(names)))
	for _, groups := range [][]Group{families, byFeature} {
		n := 0
		for _, g := range groups {
			n += g.Features
		}
		if n != len(names) {
			t.Errorf("%d columns in groups, of %d", n, len(names))
		}
	}
	declarations := 2 // of the attributes
	for _, d := range e.Set().Features {
		if d.By == "" || len(d.Levels) > 0 { // no attribute changes here
			declarations++
		}
	}
	if len(byFeature) != declarations || len(families) >= len(byFeature) {
		t.Errorf("%d families, %d declarations", len(families), len(byFeature))
	}
}
