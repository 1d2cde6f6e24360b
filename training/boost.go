package training

import (
	"context"
	"fmt"
	"math"
	"slices"

	"churn/features"
	"churn/model/gbdt"
)

// maxBoostingRows is how many rows a member is fitted to at most, and
// maxStopRows how many say when to stop, drawn by the seed. Members draw
// different ones, so that the bag sees more of them.
const (
	maxBoostingRows = 400_000
	maxStopRows     = 100_000
)

// boosting is a setting that competes.
type boosting struct {
	grower gbdt.Grower
	size   int     // depth of symmetric trees, leaves of others
	share  float64 // of the columns that a tree sees
}

func (b boosting) group() string {
	if b.grower == gbdt.Symmetric {
		return "symmetric trees"
	}
	return "leaf-wise trees"
}

func (b boosting) String() string {
	size := fmt.Sprintf("%d leaves", b.size)
	if b.grower == gbdt.Symmetric {
		size = fmt.Sprintf("depth %d", b.size)
	}
	return fmt.Sprintf("boosting, %s, %s, %.0f%% of the columns", b.group(), size, 100*b.share)
}

// boostings are the settings that compete on so many rows, in order of
// importance for each group: with little time, the first do.
func boostings(rows int) []boosting {
	s, l := gbdt.Symmetric, gbdt.LeafWise
	switch {
	case rows < 10_000:
		return []boosting{{s, 4, .5}, {s, 3, .5}, {s, 6, .5}, {s, 4, .25},
			{l, 8, .5}, {l, 4, .5}, {l, 16, .5}, {l, 31, .5}, {l, 8, .25}}
	case rows < 100_000:
		return []boosting{{s, 4, .5}, {s, 6, .5}, {s, 3, .5},
			{l, 12, .5}, {l, 24, .5}, {l, 6, .5}}
	default:
		return []boosting{{s, 6, .5}, {l, 31, .5}}
	}
}

// params are the settings on a table of so many rows. Trees are small and slow
// learners: LightGBM's defaults fit the noise of tables of a few thousand rows.
func (b boosting) params(rows int) gbdt.Params {
	p := gbdt.DefaultParams()
	p.Trees, p.Patience = 2000, 60
	p.MinRows, p.L2, p.ColumnFraction, p.RowFraction = 40, 5, b.share, 0.8
	p.CatSmooth, p.CatL2 = 20, 20
	switch {
	case rows < 10_000:
		p.LearningRate, p.MinRows = 0.03, 30
	case rows < 100_000:
		p.LearningRate = 0.05
	default:
		p.LearningRate, p.MinRows, p.CatSmooth, p.CatL2 = 0.1, 100, 10, 10
	}
	p.Grower, p.Leaves = b.grower, b.size
	if b.grower == gbdt.Symmetric {
		p.Leaves, p.MaxDepth = 31, b.size
	}
	return p
}

// cost of a member in nominal seconds of one processor, after measurements of
// make bench-train: some nanoseconds for a row, a column and a level of a tree.
func (b boosting) cost(rows, columns int) float64 {
	rows = min(rows, maxBoostingRows)
	levels := float64(b.size)
	if b.grower == gbdt.LeafWise {
		levels = math.Log2(float64(b.size))
	}
	trees := 60 + 8/b.params(rows).LearningRate
	return 4e-10*float64(rows)*float64(columns)*b.share*levels*trees + 0.01
}

// boosted are the learners of some settings.
func (l *ladder) boosted(settings []boosting) []learner {
	var out []learner
	for _, b := range settings {
		out = append(out, learner{kind: "boosting", group: b.group(), name: b.String(),
			cost: b.cost(len(l.y), len(l.train.Matrix.Features)),
			fit: func(ctx context.Context, fold int) (member, error) {
				forest, err := l.boost(ctx, b.params(len(l.y)), fold)
				return member{forest: forest}, err
			}})
	}
	return out
}

// boost fits one forest. The customers of the fold say when to stop: when the
// log loss on them has not fallen for so many trees.
func (l *ladder) boost(ctx context.Context, p gbdt.Params, fold int) (*gbdt.Forest, error) {
	stop := l.rows[fold]
	if len(stop) > maxStopRows {
		stop = pick(stop, maxStopRows, l.plan.Seed)
	}
	p.Seed, p.Workers = l.plan.Seed, l.inner()
	forest, _, err := gbdt.Train(ctx, p, dataset(l.train, l.without(fold, maxBoostingRows)), dataset(l.train, stop))
	if err != nil {
		return nil, fmt.Errorf("boosting: %w", err)
	}
	return forest, nil
}

// dataset is some rows, as boosting wants them. Texts that are not listed, code
// -1, become missing: trees treat both alike.
func dataset(d *Data, rows []int) *gbdt.Dataset {
	out := &gbdt.Dataset{X: make([]float32, 0, len(rows)*len(d.Matrix.Features)), Labels: make([]float32, 0, len(rows))}
	for j := range d.Matrix.Features {
		f := &d.Matrix.Features[j]
		out.Names = append(out.Names, f.Name)
		out.Categorical = append(out.Categorical, f.Kind == features.Category)
	}
	for _, i := range rows {
		at := len(out.X)
		out.X = append(out.X, d.Matrix.Row(i)...)
		for j, v := range out.X[at:] {
			if out.Categorical[j] && v < 0 {
				out.X[at+j] = float32(math.NaN())
			}
		}
		label := float32(0)
		if d.Observations[i].Churned {
			label = 1
		}
		out.Labels = append(out.Labels, label)
	}
	return out
}

// learners are what the size of the data allows, those to try first in front.
func (l *ladder) learners(base *candidate) ([]learner, error) {
	p := l.plan
	churners := l.train.Positives()
	var out []learner
	if p.tries("logistic") && (churners >= minLogisticChurners || base.kind == "prior") {
		some := strengths
		if churners < minLogisticChurners {
			some = strengths[:1] // small data, small model
		}
		out = append(out, l.logistics(some)...)
	}
	if p.tries("forest") && churners >= minForestChurners {
		out = append(out, l.forests()...)
	}
	if p.tries("boosting") && churners >= minBoostingChurners {
		out = append(out, l.boosted(boostings(len(l.y)))...)
	}
	return slices.Clip(out), nil
}
