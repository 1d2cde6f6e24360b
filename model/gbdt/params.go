package gbdt

import (
	"errors"
	"fmt"
	"math"
)

// Grower names a way to grow a tree.
type Grower string

const (
	// LeafWise splits the leaf whose best split gains most, until Leaves is
	// reached (Shi 2007; LightGBM).
	LeafWise Grower = "leaf-wise"

	// Symmetric asks the same question in every leaf of a level (oblivious
	// trees; CatBoost). The trees have at most MaxDepth different questions,
	// so everything about one is a table of 2^MaxDepth cells: exact Shapley
	// values become a look-up. A leaf too small to be split stays a leaf.
	Symmetric Grower = "symmetric"
)

// Metric names what early stopping watches on the validation rows.
type Metric string

const (
	LogLoss          Metric = "logloss"
	AUC              Metric = "auc"
	AveragePrecision Metric = "average_precision"
)

// Params are the settings of [Train]. Start from [DefaultParams]: the zero
// value of a field is that value and not the default.
type Params struct {
	// The trees.
	Trees        int     // how many, at most; 100
	LearningRate float64 // factor on every leaf value; 0.1
	Grower       Grower  // LeafWise
	Leaves       int     // leaves of a tree, at most (LeafWise); 31
	MaxDepth     int     // questions from root to leaf, at most; 0: no limit (Symmetric: 6, and at most 10)

	// What a leaf must have, and what its value is shrunk by.
	MinRows    float64 // rows, estimated from Hessians as LightGBM does; 20
	MinHessian float64 // sum of Hessians; 0.001
	MinGain    float64 // loss reduction (times 2) a split must exceed; 0
	L1, L2     float64 // penalties on leaf values; 0, 0

	// What a tree sees. Rows are drawn anew every tree, without replacement.
	RowFraction    float64 // of the rows, (0, 1]; 1
	ColumnFraction float64 // of the features, (0, 1]; 1

	// Features.
	Bins     int    // bins of a feature, at most, 4 to 255; 255
	MinInBin int    // rows of the binning sample in a bin, at least; 3
	Monotone []int8 // nil, or per feature 1: score must not fall as it grows, -1: must not rise, 0: free
	Ignore   []bool // nil, or per feature whether no tree may ask for it; draws of the others stay as they are

	// Categories, as in LightGBM.
	OneHotLevels int     // up to so many levels, missing counted as one, a split takes one from the rest; 4
	CatSmooth    float64 // rows of Hessian added to a level where levels are put in order; 10
	CatL2        float64 // added to L2 in splits by a set of levels; 10
	CatMaxLevels int     // levels on the smaller side of a set, at most; 32
	CatMinRows   float64 // rows by which a set must grow between two tries; 100
	TargetLevels int     // features of more levels also get ordered target statistics (CatBoost); 64
	TargetPrior  float64 // weight of the mean label in a target statistic, in rows; 5
	TargetOrders int     // random orders of the rows target statistics are computed in, 0 turns them off; 2

	// Early stopping; needs validation rows.
	Patience int    // trees without improvement after which to stop; 0: never
	Metric   Metric // LogLoss

	// The run. None of these changes a bit of the forest.
	Seed        uint64         // of sampling and rounding; 1
	Workers     int            // goroutines; 0: GOMAXPROCS
	MemoryLimit int64          // bytes Train may allocate; 0: what the machine has available, -1: no limit
	Progress    func(Progress) // called after every tree; may be nil
	Checkpoint  string         // file to save the state in and to resume from; empty: none
	SaveEvery   int            // trees between two checkpoints; 50
}

// DefaultParams are LightGBM's defaults: known to everybody, good from about
// 100,000 rows, too eager for small tables.
func DefaultParams() Params {
	return Params{
		Trees: 100, LearningRate: 0.1, Grower: LeafWise, Leaves: 31,
		MinRows: 20, MinHessian: 1e-3,
		RowFraction: 1, ColumnFraction: 1,
		Bins: 255, MinInBin: 3,
		OneHotLevels: 4, CatSmooth: 10, CatL2: 10, CatMaxLevels: 32, CatMinRows: 100,
		TargetLevels: 64, TargetPrior: 5, TargetOrders: 2,
		Metric: LogLoss,
		Seed:   1, SaveEvery: 50,
	}
}

// Progress is what is known after a tree.
type Progress struct {
	Tree  int     // trees done
	Trees int     // Params.Trees
	Train float64 // log loss of the training rows before this tree
	Valid float64 // metric on the validation rows after this tree; NaN without
	Best  int     // tree after which Valid was best so far; 0 without validation
}

// maxLeaves keeps leaf numbers, and the histograms of all leaves, sane.
const maxLeaves = 1 << 14

// validate returns an error naming the first field that makes no sense.
func (p *Params) validate(features int) error {
	between := func(name string, v, lo, hi float64) error {
		if !(v >= lo && v <= hi) {
			return fmt.Errorf("parameter %s is %v, want %v to %v", name, v, lo, hi)
		}
		return nil
	}
	if p.Grower != LeafWise && p.Grower != Symmetric {
		return fmt.Errorf("parameter Grower is %q, want %q or %q", p.Grower, LeafWise, Symmetric)
	}
	if p.Metric != LogLoss && p.Metric != AUC && p.Metric != AveragePrecision {
		return fmt.Errorf("parameter Metric is %q, want %q, %q or %q", p.Metric, LogLoss, AUC, AveragePrecision)
	}
	maxDepth := 64.0
	if p.Grower == Symmetric {
		maxDepth = 10
		if p.constrained() {
			return errors.New("parameter Monotone needs the leaf-wise Grower")
		}
	}
	const huge = math.MaxFloat32
	if err := errors.Join(
		between("Trees", float64(p.Trees), 1, 1e6),
		between("LearningRate", p.LearningRate, 1e-6, 10),
		between("Leaves", float64(p.Leaves), 2, maxLeaves),
		between("MaxDepth", float64(p.MaxDepth), 0, maxDepth),
		between("MinRows", p.MinRows, 0, huge),
		between("MinHessian", p.MinHessian, 0, huge),
		between("MinGain", p.MinGain, 0, huge),
		between("L1", p.L1, 0, huge),
		between("L2", p.L2, 0, huge),
		between("RowFraction", p.RowFraction, 1e-6, 1),
		between("ColumnFraction", p.ColumnFraction, 1e-6, 1),
		between("Bins", float64(p.Bins), 4, 255),
		between("MinInBin", float64(p.MinInBin), 1, huge),
		between("OneHotLevels", float64(p.OneHotLevels), 0, 254),
		between("CatSmooth", p.CatSmooth, 0, huge),
		between("CatL2", p.CatL2, 0, huge),
		between("CatMaxLevels", float64(p.CatMaxLevels), 1, 254),
		between("CatMinRows", p.CatMinRows, 0, huge),
		between("TargetLevels", float64(p.TargetLevels), 2, huge),
		between("TargetPrior", p.TargetPrior, 1e-6, huge),
		between("TargetOrders", float64(p.TargetOrders), 0, 16),
		between("Patience", float64(p.Patience), 0, 1e6),
		between("Workers", float64(p.Workers), 0, 1024),
		between("SaveEvery", float64(p.SaveEvery), 1, 1e6),
	); err != nil {
		return err
	}
	if len(p.Monotone) != 0 && len(p.Monotone) != features {
		return fmt.Errorf("parameter Monotone has %d values for %d features", len(p.Monotone), features)
	}
	if len(p.Ignore) != 0 && len(p.Ignore) != features {
		return fmt.Errorf("parameter Ignore has %d values for %d features", len(p.Ignore), features)
	}
	for i, m := range p.Monotone {
		if m < -1 || m > 1 {
			return fmt.Errorf("parameter Monotone[%d] is %d, want -1, 0 or 1", i, m)
		}
	}
	return nil
}

// ignores reports whether no tree may ask for feature f.
func (p *Params) ignores(f int) bool { return len(p.Ignore) != 0 && p.Ignore[f] }

// notes are the parameters as a forest keeps them: those that LightGBM has, by
// its names. It warns of any other when it loads the file.
func (p *Params) notes() []string {
	note := func(name string, value any) string { return fmt.Sprintf("%s: %v", name, value) }
	metric := p.Metric
	if metric == LogLoss {
		metric = "binary_logloss"
	}
	return []string{
		note("objective", "binary"), note("boosting", "gbdt"),
		note("num_iterations", p.Trees), note("learning_rate", p.LearningRate),
		note("num_leaves", p.Leaves), note("max_depth", p.MaxDepth),
		note("min_data_in_leaf", p.MinRows), note("min_sum_hessian_in_leaf", p.MinHessian),
		note("min_gain_to_split", p.MinGain), note("lambda_l1", p.L1), note("lambda_l2", p.L2),
		note("bagging_fraction", p.RowFraction), note("feature_fraction", p.ColumnFraction),
		note("max_bin", p.Bins), note("min_data_in_bin", p.MinInBin),
		note("max_cat_to_onehot", p.OneHotLevels), note("cat_smooth", p.CatSmooth), note("cat_l2", p.CatL2),
		note("max_cat_threshold", p.CatMaxLevels), note("min_data_per_group", p.CatMinRows),
		note("early_stopping_round", p.Patience), note("metric", metric), note("seed", p.Seed),
	}
}

// mostLeaves is the greatest number of leaves a tree can have.
func (p *Params) mostLeaves() int {
	if p.Grower == Symmetric {
		return 1 << p.depth()
	}
	return p.Leaves
}
