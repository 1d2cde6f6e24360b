package training

import (
	"fmt"
	"slices"

	"churn/features"
	"churn/model"
	"churn/model/gbdt"
)

// candidate is one rung of the ladder, fitted.
type candidate struct {
	name        string
	kind        string    // rule, prior, logistic, forest, boosting, blend, imported
	group       string    // of learners, of which it was the best; see blends
	settings    []setting // what was fitted, of a blend several
	shares      []float64 // weights of these in a blend
	chosen      bool      // of the rungs
	again       bool      // what was chosen, fitted to all that is known before the test
	linear      *model.Linear
	forest      *gbdt.Forest
	trees       *gbdt.Compiled // forest, made for scoring: see compile
	bag         *model.Bag     // of what was fitted without each fold; nil for rules and what was trained elsewhere
	weights     model.Weights
	calibration model.Calibration
	// out are margins of the training rows, each by the member that never saw
	// the row's customer. nil where there was no training.
	out []float64
	// calibrations are the kinds tried. losses are those of the calibration rows
	// under the one chosen, with the calibration fitted on other folds of the
	// customers, and cvLogLoss is their mean.
	calibrations []Calibrated
	losses       []float64
	cvLogLoss    float64
	seconds      float64 // of fitting, all processors together; says nothing of the model
}

// margins scores every row, in log-odds before calibration.
func (c *candidate) margins(m *features.Matrix, workers int) []float64 {
	var columns []int
	if c.linear != nil {
		columns = columnsOf(c.linear, m)
	}
	if err := c.compile(); err != nil {
		// Whoever makes a candidate compiles it before anything is done with it.
		panic("training: a forest that was compiled before cannot be: " + err.Error())
	}
	out := make([]float64, m.Rows())
	const chunk = 4096
	parallel(workers, (m.Rows()+chunk-1)/chunk, func(k int) {
		var trees *gbdt.Workspace
		if c.trees != nil {
			trees = c.trees.NewWorkspace()
		}
		for i := k * chunk; i < min((k+1)*chunk, m.Rows()); i++ {
			out[i] = c.margin(m.Row(i), columns, trees)
		}
	})
	return out
}

// margin scores a row. Columns are those of the linear part, trees is nil or
// from the compiled forest.
func (c *candidate) margin(row []float32, columns []int, trees *gbdt.Workspace) float64 {
	out := 0.0
	if c.linear != nil {
		v := c.linear.Intercept
		for t := range c.linear.Terms {
			v += c.linear.Terms[t].Value(row[columns[t]])
		}
		out += float64(c.weights.Linear * v)
	}
	if trees != nil {
		trees.Load(row)
		out += float64(c.weights.Forest * trees.Margin())
	}
	return out
}

// compile makes the forest ready for scoring, once. It is to be called before
// a candidate is used.
func (c *candidate) compile() (err error) {
	if c.forest != nil && c.trees == nil {
		if c.trees, err = c.forest.Compile(); err != nil {
			return fmt.Errorf("%s cannot be scored: %w", c.name, err)
		}
	}
	return nil
}

// probabilities applies a calibration.
func probabilities(c *model.Calibration, margins []float64) []float64 {
	p := make([]float64, len(margins))
	for i, m := range margins {
		p[i] = c.Probability(m)
	}
	return p
}

// meanOf joins linear models of one design into their mean, which keeps them as
// its members.
func meanOf(members []*model.Linear, m *features.Matrix, workers int) *model.Linear {
	out := &model.Linear{Terms: make([]model.Term, len(members[0].Terms))}
	share := 1 / float64(len(members))
	for i := range out.Terms {
		t := members[0].Terms[i] // knots are those of the design
		t.Values, t.Levels, t.Other, t.Missing = make([]float64, len(t.Values)), slices.Clone(t.Levels), 0, 0
		clear(t.Levels)
		out.Terms[i] = t
	}
	for _, l := range members {
		out.Intercept += float64(share * l.Intercept)
		for i := range out.Terms {
			t, from := &out.Terms[i], &l.Terms[i]
			for k, v := range from.Values {
				t.Values[k] += float64(share * v)
			}
			for k, v := range from.Levels {
				t.Levels[k] += float64(share * v)
			}
			t.Other += float64(share * from.Other)
			t.Missing += float64(share * from.Missing)
		}
		out.Members = append(out.Members, model.Member{Intercept: l.Intercept, Terms: l.Terms})
	}
	setMeans(out, m, workers)
	return out
}

// bagOf joins forests into one whose margin is the mean of theirs.
func bagOf(members []*gbdt.Forest) (*gbdt.Forest, *model.Bag) {
	bag := newBag(len(members))
	out := *members[0]
	out.Trees = nil
	share := 1 / float64(len(members))
	for _, m := range members {
		bag.Trees = append(bag.Trees, len(m.Trees))
		out.Trees = append(out.Trees, scaledTrees(m.Trees, share)...)
	}
	return &out, bag
}

func newBag(members int) *model.Bag {
	return &model.Bag{Members: members, Width: model.JackknifeWidth(members)}
}

// scaledTrees are copies whose leaves hold a share of what they held.
func scaledTrees(trees []gbdt.Tree, share float64) []gbdt.Tree {
	out := make([]gbdt.Tree, len(trees))
	for i, t := range trees {
		t.LeafValue, t.InternalValue = scaled(t.LeafValue, share), scaled(t.InternalValue, share)
		t.Shrinkage *= share
		out[i] = t
	}
	return out
}

func scaled(values []float64, by float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = v * by
	}
	return out
}
