package gbdt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"churn/model/gbdt/internal/kernel"
)

func mustTrain(t testing.TB, p Params, train, valid *Dataset) (*Forest, *History) {
	t.Helper()
	f, h, err := Train(context.Background(), p, train, valid)
	if err != nil {
		t.Fatal(err)
	}
	return f, h
}

// newRun is a training run that has not begun.
func newRun(t *testing.T, p Params, train, valid *Dataset) *booster {
	t.Helper()
	seen, err := train.check()
	if err != nil {
		t.Fatal(err)
	}
	return newBooster(p, train, valid, seen)
}

// quick are settings for tests.
func quick() Params {
	p := DefaultParams()
	p.Trees, p.Leaves = 20, 15
	return p
}

// growers are the settings every property is tested with.
var growers = []struct {
	name string
	set  func(p *Params)
}{
	{"leaf-wise", func(p *Params) {}},
	{"symmetric", func(p *Params) { p.Grower = Symmetric }},
	{"sampled", func(p *Params) { p.RowFraction, p.ColumnFraction, p.TargetLevels = 0.6, 0.6, 8 }},
	{"monotone", func(p *Params) { p.Monotone = []int8{1, 1, -1, -1, 0, 1, 0, 0, 0, 0} }},
}

// TestSameBytes: workers and vector instructions do not change a bit.
func TestSameBytes(t *testing.T) {
	d := mixed(40_000)(rand.New(rand.NewPCG(5, 6)))
	for _, g := range growers {
		t.Run(g.name, func(t *testing.T) {
			p := quick()
			p.Trees = 5
			g.set(&p)
			want := ""
			for level := kernel.Plain; level <= kernel.Best(); level++ {
				for _, workers := range []int{1, 2, 5} {
					before := kernel.Use(level)
					p.Workers = workers
					f, _ := mustTrain(t, p, d, nil)
					kernel.Use(before)
					if got := text(t, f); want == "" {
						want = got
					} else if got != want {
						t.Errorf("level %v, %d workers: another forest", level, workers)
					}
				}
			}
		})
	}
}

// TestTrainingScores: the scores kept while training are those the forest
// gives, on training rows (unless categories are encoded, which is different
// in training on purpose) and on validation rows.
func TestTrainingScores(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	train, valid := mixed(4000)(r), mixed(1000)(r)
	for _, g := range growers {
		t.Run(g.name, func(t *testing.T) {
			p := quick()
			g.set(&p)
			if p.Grower == Symmetric {
				p.TargetOrders = 0
			}
			p.TargetLevels, p.Workers = 64, 2
			b := newRun(t, p, train, valid)
			defer b.grow.pool.close()
			if err := b.run(context.Background()); err != nil {
				t.Fatal(err)
			}
			f := b.forest()
			for _, s := range []struct {
				d      *Dataset
				scores []float64
			}{{train, b.score}, {valid, b.validScore}} {
				for i, got := range s.scores {
					want := f.Predict(s.d.X[i*len(s.d.Names):][:len(s.d.Names)])
					if math.Abs(got-want) > 1e-12*(1+math.Abs(want)) {
						t.Fatalf("row %d: score %v in training, %v of the forest", i, got, want)
					}
				}
			}
		})
	}
}

// TestLearns: the forest comes near the best possible log loss of a task
// whose probabilities are known.
func TestLearns(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	table := func(n int) (d *Dataset, best float64) {
		d = &Dataset{Names: []string{"a", "b", "c"}}
		for range n {
			a, b, c := r.Float64(), r.Float64(), r.NormFloat64()
			z := 3*math.Sin(6*a) + 2*b - 1
			pr := 1 / (1 + math.Exp(-z))
			y := float32(0)
			if r.Float64() < pr {
				y = 1
				best -= math.Log(pr)
			} else {
				best -= math.Log(1 - pr)
			}
			d.X = append(d.X, float32(a), float32(b), float32(c))
			d.Labels = append(d.Labels, y)
		}
		return d, best / float64(n)
	}
	train, _ := table(20_000)
	valid, best := table(10_000)
	for _, grower := range []Grower{LeafWise, Symmetric} {
		p := DefaultParams()
		p.Grower, p.Trees, p.Patience, p.Leaves, p.MaxDepth = grower, 300, 20, 8, 4
		_, h := mustTrain(t, p, train, valid)
		if got := h.Valid[h.Best-1]; got > best+0.01 {
			t.Errorf("%s: log loss %.4f, best possible %.4f", grower, got, best)
		}
		if h.Best == 300 {
			t.Errorf("%s: did not stop early", grower)
		}
	}
}

// TestMonotone: with a constraint the score never goes against it.
func TestMonotone(t *testing.T) {
	d := mixed(4000)(rand.New(rand.NewPCG(11, 12)))
	p := quick()
	p.Monotone = []int8{-1, 1, -1, 0, 0, 0, 0, 0, 0, 0} // the first against the truth
	p.Trees = 50
	f, _ := mustTrain(t, p, d, nil)
	width := len(d.Names)
	for i := range 200 {
		row := slices.Clone(d.X[i*width : (i+1)*width])
		for feature, sign := range p.Monotone {
			if sign == 0 {
				continue
			}
			was := math.Inf(-int(sign))
			saved := row[feature]
			for x := float32(-4); x <= 8; x += 0.25 {
				row[feature] = x
				s := f.Predict(row)
				if sign > 0 && s < was || sign < 0 && s > was {
					t.Fatalf("row %d: score goes from %v to %v as feature %d grows to %v, constraint %d", i, was, s, feature, x, sign)
				}
				was = s
			}
			row[feature] = saved
		}
	}
}

// TestEarlyStop: the forest is cut to the tree at which the metric was best,
// and is the one that many trees give.
func TestEarlyStop(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	train, valid := mixed(1000)(r), mixed(1000)(r)
	for _, m := range []Metric{LogLoss, AUC, AveragePrecision} {
		p := quick()
		p.Trees, p.Patience, p.Metric, p.LearningRate = 500, 10, m, 0.3
		f, h := mustTrain(t, p, train, valid)
		if len(h.Valid) >= 500 || len(h.Valid) != h.Best+10 {
			t.Fatalf("%s: %d trees grown, best %d", m, len(h.Valid), h.Best)
		}
		for i, v := range h.Valid {
			if i+1 != h.Best && m.better(v, h.Valid[h.Best-1]) {
				t.Errorf("%s: tree %d has %v, best tree %d has %v", m, i+1, v, h.Best, h.Valid[h.Best-1])
			}
		}
		p.Patience, p.Trees = 0, h.Best
		all, _ := mustTrain(t, p, train, nil)
		for i := range all.Trees {
			if !slices.Equal(all.Trees[i].LeafValue, f.Trees[i].LeafValue) {
				t.Fatalf("%s: tree %d differs from that of a run of %d trees", m, i, h.Best)
			}
		}
	}
}

// TestResume: a run that is cut off and taken up again gives the same bytes.
func TestResume(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	train, valid := mixed(2000)(r), mixed(500)(r)
	for _, g := range growers {
		t.Run(g.name, func(t *testing.T) {
			p := quick()
			g.set(&p)
			p.Patience = 10
			want, wantHistory := mustTrain(t, p, train, valid)
			p.Checkpoint = filepath.Join(t.TempDir(), "state")
			p.SaveEvery = 3
			for _, stop := range []int{1, 7, 12} {
				ctx, cancel := context.WithCancel(context.Background())
				p.Progress = func(pr Progress) {
					if pr.Tree == stop {
						cancel()
					}
				}
				if _, _, err := Train(ctx, p, train, valid); !errors.Is(err, context.Canceled) {
					t.Fatalf("cancelled after %d trees: error %v", stop, err)
				}
			}
			p.Progress = nil
			for range 2 { // the second time there is nothing left to do
				got, history := mustTrain(t, p, train, valid)
				if text(t, got) != text(t, want) || !slices.Equal(history.Valid, wantHistory.Valid) {
					t.Error("another forest after being cut off")
				}
			}
			p.L2++
			if _, _, err := Train(context.Background(), p, train, valid); err == nil || !strings.Contains(err.Error(), "other parameters") {
				t.Errorf("checkpoint of other parameters: error %v", err)
			}
			p.L2--
			p.Ignore = make([]bool, len(train.Names))
			p.Ignore[2] = true
			if _, _, err := Train(context.Background(), p, train, valid); err == nil || !strings.Contains(err.Error(), "other parameters") {
				t.Errorf("checkpoint without features ignored: error %v", err)
			}
			p.Ignore = nil
			state, _ := os.ReadFile(p.Checkpoint)
			for _, damaged := range [][]byte{nil, state[:len(state)/2], append(bytes.Clone(state), 0)} {
				if err := os.WriteFile(p.Checkpoint, damaged, 0o600); err != nil {
					t.Fatal(err)
				}
				if _, _, err := Train(context.Background(), p, train, valid); err == nil || !strings.Contains(err.Error(), "damaged") {
					t.Errorf("damaged checkpoint: error %v", err)
				}
			}
		})
	}
}

// TestBadInput: what cannot be trained on is an error that says what and where.
func TestBadInput(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name, want string
		spoil      func(d *Dataset, p *Params)
	}{
		{"NaN label", "row 2: label is NaN", func(d *Dataset, p *Params) { d.Labels[2] = nan }},
		{"other label", "row 3: label is 2", func(d *Dataset, p *Params) { d.Labels[3] = 2 }},
		{"one class", "no row has label 1", func(d *Dataset, p *Params) { clear(d.Labels) }},
		{"no rows", "no rows", func(d *Dataset, p *Params) { d.Labels, d.X = nil, nil }},
		{"no features", "no features", func(d *Dataset, p *Params) { d.Names, d.X = nil, nil }},
		{"short table", "X has 499", func(d *Dataset, p *Params) { d.X = d.X[:499] }},
		{"infinite", `row 1, feature "even": value is +Inf`, func(d *Dataset, p *Params) { d.X[10] = float32(math.Inf(1)) }},
		{"fraction as code", `row 0, feature "colour": category 1.5`, func(d *Dataset, p *Params) { d.X[6] = 1.5 }},
		{"negative code", `row 0, feature "colour": category -1`, func(d *Dataset, p *Params) { d.X[6] = -1 }},
		{"negative weight", "row 4: weight is -1", func(d *Dataset, p *Params) { d.Weights = make([]float32, 50); d.Weights[4] = -1 }},
		{"short mask", "Ignore has 3 values", func(d *Dataset, p *Params) { p.Ignore = make([]bool, 3) }},
		{"NaN weight", "row 4: weight is NaN", func(d *Dataset, p *Params) { d.Weights = make([]float32, 50); d.Weights[4] = nan }},
		{"no weight", "all weights are 0", func(d *Dataset, p *Params) { d.Weights = make([]float32, 50) }},
		{"weights", "3 weights for 50 rows", func(d *Dataset, p *Params) { d.Weights = make([]float32, 3) }},
		{"categorical", "Categorical has 2 values", func(d *Dataset, p *Params) { d.Categorical = d.Categorical[:2] }},
		{"name", "feature 1", func(d *Dataset, p *Params) { d.Names = slices.Clone(d.Names); d.Names[1] = "a b" }},
		{"trees", "Trees is 0", func(d *Dataset, p *Params) { p.Trees = 0 }},
		{"rate", "LearningRate is NaN", func(d *Dataset, p *Params) { p.LearningRate = math.NaN() }},
		{"grower", "Grower is", func(d *Dataset, p *Params) { p.Grower = "random" }},
		{"patience", "needs validation rows", func(d *Dataset, p *Params) { p.Patience = 3 }},
		{"monotone", "Monotone has 1 values", func(d *Dataset, p *Params) { p.Monotone = []int8{1} }},
		{"memory", "raise MemoryLimit", func(d *Dataset, p *Params) { p.MemoryLimit = 1000 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := mixed(50)(rand.New(rand.NewPCG(17, 18)))
			p := quick()
			c.spoil(d, &p)
			f, _, err := Train(context.Background(), p, d, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("forest %v, error %v; want an error with %q", f != nil, err, c.want)
			}
		})
	}
}

// TestWarnings: what can be trained on but looks odd is said.
func TestWarnings(t *testing.T) {
	d := mixed(200)(rand.New(rand.NewPCG(19, 20)))
	_, h := mustTrain(t, quick(), d, nil)
	want := []string{`feature "constant" has the same value in every row`, `feature "empty" has the same value in every row`}
	if !slices.Equal(h.Warnings, want) {
		t.Errorf("warnings %q, want %q", h.Warnings, want)
	}
	p := quick()
	p.MinRows = 1000
	f, h := mustTrain(t, p, d, nil)
	if len(f.Trees) != 1 || len(h.Warnings) != 3 {
		t.Errorf("%d trees, warnings %q; want a single leaf and a warning", len(f.Trees), h.Warnings)
	}
	mean := 0.0
	for _, y := range d.Labels {
		mean += float64(y) / 200
	}
	if got := f.Predict(d.X[:10]); math.Abs(got-math.Log(mean/(1-mean))) > 1e-12 {
		t.Errorf("a forest that learnt nothing scores %v, want the log-odds of %v", got, mean)
	}
}

func TestAvailableMemory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stat")
	if err := os.WriteFile(file, []byte("anon 5\nfile 70\nfile_mapped 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"file": 70, "anon": 5, "none": 0} {
		if got := field(file, name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	if err := os.WriteFile(file, []byte("max\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := field(file, ""); got != 0 {
		t.Errorf("max is %d, want 0", got)
	}
	if runtime.GOOS == "linux" && availableMemory() < 1<<20 {
		t.Errorf("%d bytes available", availableMemory())
	}
}

// TestMemory: what is allocated is at most what was estimated, and not less
// than half of it. What a run allocates at any time is at most what it
// allocates in all.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("runs with -short have the race detector, which makes the compiler allocate more")
	}
	r := rand.New(rand.NewPCG(33, 34))
	const rows, features = 100_000, 40
	d := &Dataset{X: make([]float32, rows*features), Labels: make([]float32, rows)}
	for f := range features {
		d.Names = append(d.Names, fmt.Sprintf("f%d", f))
	}
	for i := range d.X {
		d.X[i] = r.Float32()
	}
	for i := range d.Labels {
		d.Labels[i] = float32(r.IntN(2))
	}
	for _, g := range []Grower{LeafWise, Symmetric} {
		p := quick()
		p.Grower, p.Trees, p.Workers = g, 2, 2
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		mustTrain(t, p, d, nil)
		runtime.ReadMemStats(&after)
		estimate, took := p.Memory(rows, features), int64(after.TotalAlloc-before.TotalAlloc)
		if took > estimate || took < estimate/2 {
			t.Errorf("%s: estimated %d MB, allocated %d MB", g, estimate>>20, took>>20)
		}
	}
}
