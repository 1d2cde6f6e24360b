package training

import (
	"context"
	"fmt"
	"slices"

	"churn/model"
	"churn/model/gbdt"
	"churn/training/measure"
)

// The checks of trust fit small forests of their own, whatever rung has won:
// they compare fits with each other, and must not take longer than the training.
// Rows beyond the most are left out by whole customers.
const (
	probeRows = 20_000
	probeSeed = 1 << 33 // added to the seed, so that no draw is one of training's
)

// few keeps at most about so many rows, by whole customers.
func (d *Data) few(rows int, seed uint64) *Data {
	if len(d.Observations) <= rows {
		return d
	}
	share := float64(rows) / float64(len(d.Observations))
	return d.Rows(func(o *Observation) bool { return heldOut(o.Customer, seed+probeSeed, share) })
}

// labelled is the same rows with other labels.
func (d *Data) labelled(y []bool) *Data {
	out := &Data{Matrix: d.Matrix, Observations: slices.Clone(d.Observations)}
	for i := range out.Observations {
		out.Observations[i].Churned = y[i]
	}
	return out
}

// probe fits a small forest. With stop, a fifth of the customers says when to
// stop, as when boosting is fitted in earnest; else there are 50 trees. ignore
// are features that may not be asked for, or nil.
func probe(ctx context.Context, d *Data, stop bool, ignore []bool, seed uint64) (*candidate, error) {
	p := gbdt.DefaultParams()
	p.Grower, p.MaxDepth, p.Trees, p.LearningRate = gbdt.Symmetric, 4, 50, 0.1
	p.MinRows, p.L2, p.ColumnFraction, p.RowFraction = 30, 5, 0.5, 0.8
	p.CatSmooth, p.CatL2 = 20, 20
	p.Ignore, p.Seed, p.Workers = ignore, seed, 1
	rows := everyRow(d)
	var valid *gbdt.Dataset
	if stop && fewOf(d) == "" {
		p.Trees, p.Patience = 300, 20
		stops := func(i int) bool { return foldOf(d.Observations[i].Customer, seed) == 0 }
		valid = dataset(d, slices.DeleteFunc(slices.Clone(rows), func(i int) bool { return !stops(i) }))
		rows = slices.DeleteFunc(rows, stops)
	}
	forest, _, err := gbdt.Train(ctx, p, dataset(d, rows), valid)
	if err != nil {
		return nil, fmt.Errorf("checks: %w", err)
	}
	c := &candidate{name: "probe", kind: "boosting", forest: forest, weights: model.Weights{Forest: 1}}
	return c, c.compile()
}

// sample scores rows by a probe.
func (c *candidate) sample(d *Data, workers int) (*measure.Sample, error) {
	score := c.margins(&d.Matrix, workers)
	for i, m := range score {
		score[i] = model.Sigmoid(m)
	}
	return measure.NewSample(score, d.Labels(), nil)
}
