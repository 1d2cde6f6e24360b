package training

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"churn/features"
	"churn/model"
	"churn/model/gbdt"
	"churn/training/measure"
)

// ablator fits one learner to some of the columns and measures it on the test.
type ablator struct {
	plan         *Plan
	pt           parts
	seeds        int
	boot         measure.Bootstrap
	params       gbdt.Params
	train        *gbdt.Dataset
	permutations [][]int
	// Of the test rows.
	customers []string
	labels    []bool
}

func newAblator(p *Plan, pt parts, seeds int) *ablator {
	a := &ablator{plan: p, pt: pt, seeds: seeds, boot: measure.Bootstrap{Replicates: p.Replicates, Level: ablationLevel, Seed: p.Seed},
		params: ablationLearner.params(len(pt.train.Observations)), train: dataset(pt.train, everyRow(pt.train)),
		permutations: permutations(pt.test, p.Seed, seeds), customers: pt.test.Customers(), labels: pt.test.Labels()}
	a.params.Ignore = constants(&pt.train.Matrix)
	return a
}

// ablationLearner is the same for all fits: what a better one adds is not asked.
var ablationLearner = usual(gbdt.Symmetric, 4)

func everyRow(d *Data) []int { return sample(len(d.Observations), len(d.Observations), 0) }

// constants tells which columns have one value only. A draw of nothing but them
// would be a tree of one leaf.
func constants(m *features.Matrix) []bool {
	out := slices.Repeat([]bool{true}, len(m.Features))
	for i := range m.Rows() {
		for j, v := range m.Row(i) {
			first := m.Data[j]
			out[j] = out[j] && (v == first || v != v && first != first)
		}
	}
	return out
}

// permutations gives, for each seed, the row whose values a row gets: one of the
// same snapshot.
func permutations(d *Data, seed uint64, seeds int) [][]int {
	rows := make([]int, len(d.Observations)) // snapshot by snapshot
	for i := range rows {
		rows[i] = i
	}
	slices.SortStableFunc(rows, func(a, b int) int { return cmp.Compare(d.Observations[a].At, d.Observations[b].At) })
	out := make([][]int, seeds)
	for k := range out {
		out[k] = make([]int, len(rows))
		r := rand.New(rand.NewPCG(seed, uint64(k)))
		for from, to := 0, 0; from < len(rows); from = to {
			for to < len(rows) && d.Observations[rows[to]].At == d.Observations[rows[from]].At {
				to++
			}
			for i, j := range r.Perm(to - from) {
				out[k][rows[from+i]] = rows[from+j]
			}
		}
	}
	return out
}

// tune finds the number of trees for all columns, by early stopping on the
// calibration part. It is that of every fit.
func (a *ablator) tune(ctx context.Context) error {
	p := a.params
	p.Seed, p.Workers = a.plan.Seed, a.plan.Workers
	forest, _, err := gbdt.Train(ctx, p, a.train, dataset(a.pt.calibration, everyRow(a.pt.calibration)))
	if err != nil {
		return fmt.Errorf("boosting: %w", err)
	}
	a.params.Trees, a.params.Patience, a.params.Workers = len(forest.Trees), 0, 1
	return nil
}

// fitted are the models on one choice of columns, one for each seed, and their
// scores of the test.
type fitted struct {
	models []*candidate
	scores []*measure.Sample
}

// fit fits and calibrates on the columns that keep names. The draws of rows and
// columns are the same whichever these are.
func (a *ablator) fit(ctx context.Context, keep func(column int) bool) (*fitted, error) {
	p := a.params
	p.Ignore = slices.Clone(p.Ignore)
	for j := range p.Ignore {
		p.Ignore[j] = p.Ignore[j] || !keep(j)
	}
	f := &fitted{}
	for k := range a.seeds {
		p.Seed = a.plan.Seed + uint64(k)
		forest, _, err := gbdt.Train(ctx, p, a.train, nil)
		if err != nil {
			return nil, fmt.Errorf("boosting: %w", err)
		}
		c := &candidate{name: ablationLearner.group(), kind: "boosting", forest: forest, weights: model.Weights{Forest: 1}}
		if err := c.compile(); err != nil {
			return nil, err
		}
		// Platt's, of two numbers: a choice among kinds would differ by noise.
		c.calibration = model.FitPlatt(c.margins(&a.pt.calibration.Matrix, 1), a.pt.calibration.Labels())
		s, err := a.score(c, &a.pt.test.Matrix)
		if err != nil {
			return nil, err
		}
		f.models, f.scores = append(f.models, c), append(f.scores, s)
	}
	return f, nil
}

func (a *ablator) score(c *candidate, m *features.Matrix) (*measure.Sample, error) {
	return measure.NewSample(probabilities(&c.calibration, c.margins(m, 1)), a.labels, nil)
}

// permuted scores the test with columns of other rows.
func (a *ablator) permuted(f *fitted, columns []int) (*fitted, error) {
	test := &a.pt.test.Matrix
	out := &fitted{}
	for k, c := range f.models {
		m := &features.Matrix{Features: test.Features, Data: slices.Clone(test.Data)}
		for i, from := range a.permutations[k] {
			for _, j := range columns {
				m.Row(i)[j] = test.Row(from)[j]
			}
		}
		s, err := a.score(c, m)
		if err != nil {
			return nil, err
		}
		out.scores = append(out.scores, s)
	}
	return out, nil
}

// measure fills in what all groups add.
func (a *ablator) measure(ctx context.Context, out *Ablation, inCore []bool) error {
	a.plan.Progress("choosing the number of trees", 0, 0)
	if err := a.tune(ctx); err != nil {
		return err
	}
	out.Learner, out.Trees = ablationLearner.group(), a.params.Trees
	core := func(j int) bool { return inCore[j] }
	bases := [2]*fitted{}
	var errs [2]error
	a.plan.Progress("fitting models", 0, 0)
	parallel(a.plan.Workers, 2, func(i int) {
		bases[i], errs[i] = a.fit(ctx, []func(int) bool{func(int) bool { return true }, core}[i])
	})
	err := cmp.Or(errs[0], errs[1])
	if err == nil {
		out.All, err = a.quality(bases[0], len(inCore))
	}
	if err == nil {
		out.OnlyCore, err = a.quality(bases[1], count(inCore))
	}
	if err != nil {
		return err
	}
	return a.groups(ctx, out.Groups, bases[0], bases[1], inCore)
}

func count(set []bool) (n int) {
	for _, in := range set {
		if in {
			n++
		}
	}
	return n
}

func (a *ablator) quality(f *fitted, columns int) (Quality, error) {
	e, err := a.boot.MeanIntervals(f.scores, a.customers)
	return Quality{columns, e.LogLoss, e.AUC}, err
}

// groups measures each of them in three ways, in parallel.
func (a *ablator) groups(ctx context.Context, groups []Group, all, core *fitted, inCore []bool) error {
	var tasks []func() error
	for i := range groups {
		g := &groups[i]
		of := make([]bool, len(inCore))
		for _, j := range g.columns {
			of[j] = true
			if a.params.Ignore[j] {
				g.Constant++
			}
		}
		if g.Constant == g.Features {
			continue // which no fit is told of: all differences are 0
		}
		tasks = append(tasks, func() error {
			less, err := a.fit(ctx, func(j int) bool { return !of[j] })
			return a.gain(&g.LeftOut, all, less, err)
		}, func() error {
			other, err := a.fit(ctx, func(j int) bool { return inCore[j] != of[j] })
			if g.InCore {
				return a.gain(&g.OnCore, core, other, err)
			}
			return a.gain(&g.OnCore, other, core, err)
		}, func() error {
			other, err := a.permuted(all, g.columns)
			return a.gain(&g.Permuted, all, other, err)
		})
	}
	errs := make([]error, len(tasks))
	var mu sync.Mutex
	done := 0
	parallel(a.plan.Workers, len(tasks), func(i int) {
		if errs[i] = tasks[i](); errs[i] != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		done++
		a.plan.Progress("fitting models", done, len(tasks))
	})
	if err := cmp.Or(errs...); err != nil {
		return err
	}
	for i := range groups {
		groups[i].judge()
	}
	return nil
}

// gain compares fits with and without a group, if there was no error.
func (a *ablator) gain(to *Gain, with, without *fitted, err error) error {
	if err != nil {
		return err
	}
	loss, err := a.boot.MeanDifference(without.scores, with.scores, a.customers)
	if err != nil {
		return err
	}
	more := loss.AUC // 0-x, as -0 would be told from 0
	*to = Gain{LogLoss: loss.LogLoss, AUC: measure.Estimate{Value: 0 - more.Value, Low: 0 - more.High, High: 0 - more.Low}}
	return nil
}

// judge goes by the intervals of the fits. Permuted rows do not count: there
// are no such customers.
func (g *Group) judge() {
	above, below := false, false
	for _, e := range []measure.Estimate{g.OnCore.LogLoss, g.LeftOut.LogLoss} {
		above = above || e.Low > 0
		below = below || e.High < 0
	}
	switch {
	case g.Constant == g.Features:
		g.Verdict = Constant
	case above && below:
		g.Verdict = AddsAndHarms
	case above:
		g.Verdict = Adds
	case below:
		g.Verdict = Harms
	default:
		g.Verdict = NotShown
	}
}
