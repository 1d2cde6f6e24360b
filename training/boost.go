package training

import (
	"context"
	"fmt"
	"math"
	"slices"

	"churn/features"
	"churn/model"
	"churn/model/gbdt"
)

// minBoostingChurners is how many churners boosting needs to be tried.
const minBoostingChurners = 200

// boostings are the kinds of trees tried. Trees are small and slow learners:
// LightGBM's defaults fit the noise of tables of a few thousand rows.
var boostings = []struct {
	name string
	set  func(p *gbdt.Params)
}{
	{"symmetric trees", func(p *gbdt.Params) { p.Grower, p.MaxDepth = gbdt.Symmetric, 4 }},
	{"leaf-wise trees", func(p *gbdt.Params) { p.Leaves = 12 }},
}

// boostingParams are the settings for a table of so many rows.
func boostingParams(rows int) gbdt.Params {
	p := gbdt.DefaultParams()
	p.Trees, p.Patience, p.LearningRate = 2000, 60, 0.05
	p.MinRows, p.L2, p.ColumnFraction, p.RowFraction = 40, 5, 0.5, 0.8
	p.CatSmooth, p.CatL2 = 20, 20
	if rows < 10_000 {
		p.LearningRate, p.MinRows = 0.03, 30
	}
	return p
}

// folds is the number of parts of the customers. Each part in turn is left out
// and says when to stop boosting on the others; the forests that come of it are
// a bag, and its mean is the model. No rows are lost by it, there is no number
// of trees to guess for a fit to all of them, and where the members disagree a
// score is uncertain.
const folds = 5

// fitBoosting boosts each kind of trees.
func fitBoosting(ctx context.Context, train *Data, seed uint64, workers int) ([]*candidate, error) {
	forests := make([]*gbdt.Forest, len(boostings)*folds)
	errs := make([]error, len(forests))
	parallel(workers, len(forests), func(task int) {
		kind, fold := task/folds, task%folds
		in := func(customer string) bool { return foldOf(customer, seed) != fold }
		p := boostingParams(len(train.Observations))
		boostings[kind].set(&p)
		p.Seed, p.Workers = seed, 1
		forests[task], _, errs[task] = gbdt.Train(ctx, p, dataset(train, in),
			dataset(train, func(customer string) bool { return !in(customer) }))
	})
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("boosting: %w", err)
		}
	}
	var out []*candidate
	for kind, b := range boostings {
		forest, bag := bagOf(forests[kind*folds : (kind+1)*folds])
		out = append(out, &candidate{name: fmt.Sprintf("boosting, %d %s", len(forest.Trees), b.name), kind: "boosting",
			forest: forest, bag: bag, weights: model.Weights{Forest: 1}})
	}
	return out, nil
}

// bagOf joins forests into one whose margin is the mean of theirs.
func bagOf(members []*gbdt.Forest) (*gbdt.Forest, *model.Bag) {
	bag := &model.Bag{Members: len(members), Width: model.JackknifeWidth(len(members))}
	out := *members[0]
	out.Trees = nil
	share := 1 / float64(len(members))
	for _, m := range members {
		bag.Trees = append(bag.Trees, len(m.Trees))
		for _, t := range m.Trees {
			t.LeafValue, t.InternalValue = scaled(t.LeafValue, share), scaled(t.InternalValue, share)
			t.Shrinkage *= share
			out.Trees = append(out.Trees, t)
		}
	}
	return &out, bag
}

func scaled(values []float64, by float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = v * by
	}
	return out
}

// foldSeeds is added to the seed so that no fold is a group of customers that
// was held out for something else.
const foldSeeds = 1 << 32

// foldOf deals customers out to folds.
func foldOf(customer string, seed uint64) int {
	for fold := range folds - 1 {
		// Of those not yet dealt, one in so many as there are folds left.
		if heldOut(customer, seed+foldSeeds+uint64(fold), 1/float64(folds-fold)) {
			return fold
		}
	}
	return folds - 1
}

// dataset is the rows of the customers that keep names, as boosting wants
// them. Texts that are not listed, code -1, become missing: trees treat both
// alike.
func dataset(d *Data, keep func(customer string) bool) *gbdt.Dataset {
	out := &gbdt.Dataset{}
	for j := range d.Matrix.Features {
		f := &d.Matrix.Features[j]
		out.Names = append(out.Names, f.Name)
		out.Categorical = append(out.Categorical, f.Kind == features.Category)
	}
	for i := range d.Observations {
		if !keep(d.Observations[i].Customer) {
			continue
		}
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
	out.X = slices.Clip(out.X)
	return out
}
