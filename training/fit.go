package training

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"churn/features"
	"churn/model"
	"churn/model/baseline"
	"churn/model/gbdt"
)

// Rows that the two golearn learners are given at most, drawn by the seed:
// both copy the table several times. A tree draws fewer still from them, see
// baseline.ForestParams.
const (
	maxLogisticRows = 60_000
	maxForestRows   = 200_000
)

// Small data gets small models: churners in the training part from which a
// rung is tried.
const (
	minLogisticChurners = 100
	minForestChurners   = 200
)

// candidate is one rung of the ladder, fitted.
type candidate struct {
	name        string
	kind        string // rule, prior, logistic, forest, boosting, blend, imported
	linear      *model.Linear
	forest      *gbdt.Forest
	trees       *gbdt.Compiled // forest, made for scoring: see compile
	bag         *model.Bag     // of the forest, nil if it was fitted once
	strength    float64        // C of the logistic
	weights     model.Weights
	calibration model.Calibration
	// calibrations are the kinds tried. cvLogLoss is the log loss of the one
	// chosen, on calibration data, with the calibration fitted on other folds
	// of the customers.
	calibrations []Calibrated
	cvLogLoss    float64
}

// margins scores every row, in log-odds before calibration.
func (c *candidate) margins(m *features.Matrix, workers int) []float64 {
	var columns []int
	if c.linear != nil {
		columns = columnsOf(c.linear, m)
	}
	if err := c.compile(); err != nil {
		// climb and Adopt compile every forest before anything is done with it.
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
			row := m.Row(i)
			if c.linear != nil {
				v := c.linear.Intercept
				for t := range c.linear.Terms {
					v += c.linear.Terms[t].Value(row[columns[t]])
				}
				out[i] += float64(c.weights.Linear * v)
			}
			if trees != nil {
				trees.Load(row)
				out[i] += float64(c.weights.Forest * trees.Margin())
			}
		}
	})
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

// ruleFeatures are the recencies by which the inactivity rule may rank, in
// order of preference.
var ruleFeatures = []string{"act_rec", "eng_rec", "pay_rec"}

// fitRule makes the inactivity rule: the longer the silence, the likelier the
// churn. nil if the feature set has no recency.
func fitRule(m *features.Matrix, workers int) *candidate {
	for _, name := range ruleFeatures {
		j := slices.IndexFunc(m.Features, func(f features.Feature) bool { return f.Name == name })
		if j < 0 {
			continue
		}
		days := m.Features[j].Window.Days()
		if days == 0 {
			days = 365
		}
		// One unit of margin a month; nothing at all is longer than any silence.
		l := &model.Linear{Terms: []model.Term{{Feature: name, Knots: []float64{0, days},
			Values: []float64{0, days / 30}, Missing: (days + 30) / 30}}}
		setMeans(l, m, workers)
		return &candidate{name: "inactivity rule (" + name + ")", kind: "rule", linear: l, weights: model.Weights{Linear: 1}}
	}
	return nil
}

// fitPrior gives everyone the same score: what a wide table without times is
// compared with.
func fitPrior() *candidate {
	return &candidate{name: "base rate", kind: "prior", linear: &model.Linear{Terms: []model.Term{}}, weights: model.Weights{Linear: 1}}
}

// sample draws at most n row numbers, ascending, by the seed.
func sample(rows, n int, seed uint64) []int {
	all := rand.New(rand.NewPCG(seed, uint64(rows))).Perm(rows)
	if rows > n {
		all = all[:n]
	}
	slices.Sort(all)
	return all
}

// fitLogistic fits golearn's logistic regression on normal scores and one-hot
// levels, once per strength of regularisation. The fits come one after the
// other: golearn makes them take turns, and each keeps copies of the rows.
func fitLogistic(ctx context.Context, train *Data, strengths []float64, seed uint64, workers int) ([]*candidate, error) {
	d := newDesign(&train.Matrix, workers)
	if d.columns == 0 {
		return nil, nil
	}
	rows := sample(train.Matrix.Rows(), maxLogisticRows, seed)
	x, y := d.matrix(train, rows, workers)
	var out []*candidate
	for _, c := range strengths {
		l, err := d.fit(ctx, x, y, c, train, workers)
		if err != nil {
			return nil, err
		}
		out = append(out, &candidate{name: fmt.Sprintf("logistic, C=%g (golearn)", c), kind: "logistic",
			linear: l, strength: c, weights: model.Weights{Linear: 1}})
	}
	return out, nil
}

// fitMembers fits the logistic of a candidate again without each fold of the
// customers, in the same design.
func (c *candidate) fitMembers(ctx context.Context, train *Data, seed uint64, workers int) error {
	d := newDesign(&train.Matrix, workers)
	linear := *c.linear
	linear.Members = nil
	for fold := range folds {
		var rows []int
		for _, r := range sample(train.Matrix.Rows(), maxLogisticRows, seed) {
			if foldOf(train.Observations[r].Customer, seed) != fold {
				rows = append(rows, r)
			}
		}
		x, y := d.matrix(train, rows, workers)
		l, err := d.fit(ctx, x, y, c.strength, train, workers)
		if err != nil {
			return err
		}
		linear.Members = append(linear.Members, model.Member{Intercept: l.Intercept, Terms: l.Terms})
	}
	c.linear = &linear
	return nil
}

// matrix writes the columns of some rows.
func (d *design) matrix(data *Data, rows []int, workers int) (baseline.Matrix, []bool) {
	x := baseline.Matrix{Rows: len(rows), Cols: d.columns, Data: make([]float64, len(rows)*d.columns)}
	y := make([]bool, len(rows))
	const chunk = 512
	parallel(workers, (len(rows)+chunk-1)/chunk, func(k int) {
		for i := k * chunk; i < min((k+1)*chunk, len(rows)); i++ {
			d.row(x.Data[i*d.columns:(i+1)*d.columns], data.Matrix.Row(rows[i]))
			y[i] = data.Observations[rows[i]].Churned
		}
	})
	return x, y
}

// fit fits one logistic regression.
func (d *design) fit(ctx context.Context, x baseline.Matrix, y []bool, c float64, train *Data, workers int) (*model.Linear, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := baseline.DefaultLogisticParams()
	p.C, p.Tolerance = c, 1e-4
	fit, err := baseline.FitLogistic(x, y, p)
	if err != nil {
		return nil, fmt.Errorf("logistic: %w", err)
	}
	return d.linear(fit.Weights, fit.Intercept, &train.Matrix, workers), nil
}

// blends are the shares of the trees that are tried beside the logistic.
var blends = []float64{0.3, 0.5, 0.7}

// blend mixes a logistic with a forest or boosting in log-odds. Both margins
// are in log-odds already: the forest was calibrated before.
func blend(linear, trees *candidate) []*candidate {
	var out []*candidate
	for _, share := range blends {
		out = append(out, &candidate{name: fmt.Sprintf("blend, %g %s", share, trees.kind), kind: "blend",
			linear: linear.linear, strength: linear.strength, forest: trees.forest, trees: trees.trees, bag: trees.bag,
			weights: model.Weights{Linear: 1 - share, Forest: share}})
	}
	return out
}

// missingBelow stands in for a missing number in golearn's trees, which have
// none: below every value, so that the exported tree sends missing to the left.
const missingBelow = -math.MaxFloat32

// forestParams try more columns a node than is usual: with many features that
// say nothing, the square root of all of them often holds none that does. They
// draw more rows a tree too: on the simulated world of TestNearBayes, 24,000
// rows to a depth of 10 gave a blend 0.008 more AUC than 8,192 to a depth of 8;
// on other draws of the same world the gain was 0.001 or none, for four times
// the time to fit.
func forestParams(features int) baseline.ForestParams {
	p := baseline.DefaultForestParams()
	p.Trees, p.MaxDepth, p.MinLeaf, p.MaxRows = 60, 10, 30, 24_000
	if features > 16 { // else the square root is more
		p.Features = (features + 3) / 4
	}
	return p
}

// fitForest fits golearn's random forest on the features themselves, category
// codes included, and exports it.
func fitForest(ctx context.Context, train *Data, seed uint64, workers int) (*candidate, error) {
	rows := sample(train.Matrix.Rows(), maxForestRows, seed)
	n := len(train.Matrix.Features)
	x := baseline.Matrix{Rows: len(rows), Cols: n, Data: make([]float64, len(rows)*n)}
	y := make([]bool, len(rows))
	p := forestParams(n)
	p.Seed, p.Workers = seed, workers
	for i, r := range rows {
		for j, v := range train.Matrix.Row(r) {
			if x.Data[i*n+j] = float64(v); math.IsNaN(float64(v)) {
				x.Data[i*n+j] = missingBelow
			}
		}
		y[i] = train.Observations[r].Churned
	}
	fit, err := baseline.FitForest(ctx, x, y, p)
	if err != nil {
		return nil, fmt.Errorf("forest: %w", err)
	}
	return &candidate{name: fmt.Sprintf("random forest, %d trees (golearn)", len(fit.Trees)), kind: "forest",
		forest: exportForest(fit, &train.Matrix), weights: model.Weights{Forest: 1}}, nil
}

// exportForest turns votes into our own trees in LightGBM's random-forest
// mode: the score is the mean over the trees of the leaves' share of churners,
// which calibration later takes to log-odds.
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
