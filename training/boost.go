package training

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

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

// boosting is how trees are grown.
type boosting struct {
	grower  gbdt.Grower
	size    int     // depth of symmetric trees, leaves of others
	share   float64 // of the columns that a tree sees
	rate    float64 // learning rate, times that usual for so many rows
	l2      float64
	minRows float64 // of a leaf, times that usual for so many rows
}

// usual are trees of a size with the other settings as they are first tried.
func usual(g gbdt.Grower, size int) boosting { return boosting{g, size, 0.5, 1, 5, 1} }

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
	out := fmt.Sprintf("boosting, %s, %s", b.group(), size)
	u := usual(b.grower, b.size)
	for _, other := range []struct {
		name      string
		own, with float64
	}{{"columns", b.share, u.share}, {"rate", b.rate, u.rate}, {"L2", b.l2, u.l2}, {"rows of a leaf", b.minRows, u.minRows}} {
		if other.own != other.with {
			out += fmt.Sprintf(", %s %g", other.name, other.own)
		}
	}
	return out
}

// boostings are the settings that compete on so many rows, in order of
// importance for each group: with little time, the first do.
func boostings(rows int) []boosting {
	s, l := gbdt.Symmetric, gbdt.LeafWise
	few := func(b boosting) boosting { b.share = 0.25; return b }
	// Where what decides is a few sharp rules, small leaves without a penalty find
	// them: on noise they lose the search.
	sharp := func(b boosting) boosting { b.l2, b.minRows = 0, 0.2; return b }
	sharpest := func(b boosting) boosting { b.share, b.l2, b.minRows = 1, 0, 0.1; return b }
	switch {
	case rows < 10_000:
		return []boosting{usual(s, 4), usual(s, 3), sharp(usual(s, 6)), usual(s, 6), few(usual(s, 4)),
			sharpest(usual(s, 6)), sharp(usual(s, 4)), sharp(usual(s, 8)),
			usual(l, 8), usual(l, 4), sharp(usual(l, 16)), usual(l, 16), few(usual(l, 8)), usual(l, 31), sharp(usual(l, 31))}
	case rows < 100_000:
		return []boosting{usual(s, 4), usual(s, 6), usual(s, 3), few(usual(s, 4)), sharp(usual(s, 6)), sharpest(usual(s, 6)),
			usual(l, 12), usual(l, 24), usual(l, 6), few(usual(l, 12)), sharp(usual(l, 24))}
	default:
		slow := func(b boosting) boosting { b.share, b.rate = 0.25, 0.5; return b }
		return []boosting{usual(s, 6), slow(usual(s, 6)), usual(l, 31), slow(usual(l, 16))}
	}
}

// more draws a setting beside those.
func more(r *rand.Rand, grower gbdt.Grower) boosting {
	sizes := []int{4, 6, 8, 12, 16, 24, 31, 48, 63}
	if grower == gbdt.Symmetric {
		sizes = []int{2, 3, 4, 5, 6, 7, 8}
	}
	return boosting{grower, sizes[r.IntN(len(sizes))], []float64{0.15, 0.25, 0.35, 0.5, 0.75, 1}[r.IntN(6)],
		[]float64{0.5, 1, 2}[r.IntN(3)], []float64{0, 1, 5, 20}[r.IntN(4)], []float64{0.25, 0.5, 1, 2}[r.IntN(4)]}
}

// params are the settings on a table of so many rows. Trees are small and slow
// learners: LightGBM's defaults fit the noise of tables of a few thousand rows.
func (b boosting) params(rows int) gbdt.Params {
	p := gbdt.DefaultParams()
	p.Trees, p.Patience = 2000, 60
	p.MinRows, p.L2, p.ColumnFraction, p.RowFraction = 40, b.l2, b.share, 0.8
	p.CatSmooth, p.CatL2 = 20, 20
	switch {
	case rows < 10_000:
		p.LearningRate, p.MinRows = 0.03, 30
	case rows < 100_000:
		p.LearningRate = 0.05
	default:
		p.LearningRate, p.MinRows, p.CatSmooth, p.CatL2 = 0.1, 100, 10, 10
	}
	p.LearningRate, p.MinRows = p.LearningRate*b.rate, p.MinRows*b.minRows
	p.Grower, p.Leaves = b.grower, b.size
	if b.grower == gbdt.Symmetric {
		p.Leaves, p.MaxDepth = 31, b.size
	}
	return p
}

// cost of a member in nominal seconds of one processor: some nanoseconds for a
// row, a column and a level of a tree, as measured on the tables of
// make bench-train.
func (b boosting) cost(rows, columns int) float64 {
	levels := float64(b.size)
	if b.grower == gbdt.LeafWise {
		levels = math.Log2(float64(b.size))
	}
	trees := 60 + 8/b.params(rows).LearningRate
	return 9e-10*float64(min(rows, maxBoostingRows))*float64(columns)*b.share*levels*trees + 0.03
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
