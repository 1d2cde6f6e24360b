package training

import (
	"context"
	"fmt"
	"math"

	"churn/features"
	"churn/model"
	"churn/model/baseline"
	"churn/model/gbdt"
)

// maxForestRows is how many rows golearn's forest is given at most, drawn by
// the seed: it copies the table several times. A tree draws fewer still, see
// baseline.ForestParams.
const maxForestRows = 200_000

// missingBelow stands in for a missing number in golearn's trees, which have
// none: below every value, so that the exported tree sends missing to the left.
const missingBelow = -math.MaxFloat32

// forestParams try more columns a node than is usual: with many features that
// say nothing, the square root of all of them often holds none that does.
func forestParams(features int) baseline.ForestParams {
	p := baseline.DefaultForestParams()
	p.Trees, p.MaxDepth, p.MinLeaf, p.MaxRows = 60, 10, 30, 8192
	if features > 16 { // else the square root is more
		p.Features = (features + 3) / 4
	}
	return p
}

// forestCost of a member in nominal seconds of one processor.
func forestCost(rows, columns int) float64 {
	p := forestParams(columns)
	return 2.3e-7*float64(p.Trees/folds)*float64(min(rows, p.MaxRows))*float64(columns) + 0.01
}

// fitForest fits golearn's random forest without a fold, on the features
// themselves, category codes included, and exports it: a fifth of the trees that
// the model will have. Their votes are taken to log-odds by a Platt map on the
// customers of the fold.
func (l *ladder) fitForest(ctx context.Context, fold int) (*gbdt.Forest, error) {
	rows := l.without(fold, maxForestRows)
	m := &l.train.Matrix
	n := len(m.Features)
	p := forestParams(n)
	x := baseline.Matrix{Rows: len(rows), Cols: n, Data: make([]float64, len(rows)*n)}
	y := make([]bool, len(rows))
	for i, r := range rows {
		for j, v := range m.Row(r) {
			if x.Data[i*n+j] = float64(v); math.IsNaN(float64(v)) {
				x.Data[i*n+j] = missingBelow
			}
		}
		y[i] = l.y[r]
	}
	p.Trees = (p.Trees + folds - 1) / folds
	p.Seed, p.Workers = l.plan.Seed+uint64(fold), l.inner()
	fit, err := baseline.FitForest(ctx, x, y, p)
	if err != nil {
		return nil, fmt.Errorf("forest: %w", err)
	}
	forest := exportForest(fit, m)
	var votes []float64
	var churned []bool
	for _, i := range l.rows[fold] {
		votes, churned = append(votes, forest.Predict(m.Row(i))), append(churned, l.y[i])
	}
	toLogOdds(forest, model.FitPlatt(votes, churned))
	return forest, nil
}

// exportForest turns votes into our own trees in LightGBM's random-forest
// mode: the score is the mean over the trees of the leaves' share of churners.
func exportForest(f *baseline.Forest, m *features.Matrix) *gbdt.Forest {
	out := &gbdt.Forest{Objective: "binary", Sigmoid: 1, AverageOutput: true}
	for j := range m.Features {
		out.FeatureNames = append(out.FeatureNames, m.Features[j].Name)
		out.FeatureInfos = append(out.FeatureInfos, infoOf(m, j))
	}
	for i := range f.Trees {
		out.Trees = append(out.Trees, exportTree(f, f.Trees[i].Nodes))
	}
	return out
}

// infoOf is the range of a feature in training, as LightGBM notes it.
func infoOf(m *features.Matrix, j int) string {
	lo, hi := math.Inf(1), math.Inf(-1)
	for i := range m.Rows() {
		if v := float64(m.Row(i)[j]); !math.IsNaN(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	if lo >= hi {
		return "none"
	}
	return fmt.Sprintf("[%g:%g]", lo, hi)
}

// exportTree renumbers nodes in preorder into inner nodes and leaves.
func exportTree(f *baseline.Forest, nodes []baseline.Node) gbdt.Tree {
	t := gbdt.Tree{Shrinkage: 1}
	// place holds the number of each node: k for inner node k, ^k for leaf k.
	place := make([]int, len(nodes))
	inner := 0
	for i, n := range nodes {
		if n.Leaf() {
			place[i] = ^len(t.LeafValue)
			t.LeafValue = append(t.LeafValue, f.Share(n))
			t.LeafCount = append(t.LeafCount, n.Votes[0]+n.Votes[1])
			t.LeafWeight = append(t.LeafWeight, float64(n.Votes[0]+n.Votes[1]))
			continue
		}
		place[i] = inner
		inner++
	}
	for _, n := range nodes {
		if n.Leaf() {
			continue
		}
		count := n.Votes[0] + n.Votes[1]
		t.SplitFeature = append(t.SplitFeature, n.Feature)
		t.SplitGain = append(t.SplitGain, 1) // golearn does not tell; importance counts splits
		t.Threshold = append(t.Threshold, n.Threshold)
		t.DecisionType = append(t.DecisionType, gbdt.DefaultLeft|gbdt.MissingNaN)
		t.LeftChild = append(t.LeftChild, place[n.Left])
		t.RightChild = append(t.RightChild, place[n.Right])
		t.InternalValue = append(t.InternalValue, f.Share(n))
		t.InternalWeight = append(t.InternalWeight, float64(count))
		t.InternalCount = append(t.InternalCount, count)
	}
	return t
}

// toLogOdds folds a Platt map into the leaves of a forest of votes, so that a
// forest's margin is in log-odds like every other: the mean vote s becomes
// a·s + b, leaf by leaf, which keeps contributions additive. The forest is a sum
// of trees from then on.
func toLogOdds(f *gbdt.Forest, p model.Calibration) {
	share := 1 / float64(len(f.Trees))
	f.AverageOutput = false
	for i := range f.Trees {
		t := &f.Trees[i]
		for _, values := range [][]float64{t.LeafValue, t.InternalValue} {
			for k, v := range values {
				values[k] = float64(share * (float64(p.Slope*v) + p.Offset))
			}
		}
	}
}
