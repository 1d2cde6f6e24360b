package gbdt

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
)

// A Forest is an ordered list of trees over the same features.
//
// Its methods take a row as one value per feature, in the order of
// FeatureNames; a category is given by its code, a whole number from 0, and
// missing is NaN.
type Forest struct {
	// FeatureNames has one name per feature. A name is not empty, has no
	// blanks or control characters, and occurs once.
	FeatureNames []string

	// FeatureInfos says what training saw of each feature: "[min:max]" of a
	// number, "3:0:7" (codes, in any order) of a category, "none" of a
	// feature that was not used. It does not influence any score.
	FeatureInfos []string

	// MonotoneConstraints is nil, or has -1, 0 or 1 per feature. It records
	// how the trees were trained and does not influence any score.
	MonotoneConstraints []int

	// Objective names what was minimised and so how a score is to be read:
	// "binary" means that 1/(1+exp(-Sigmoid*score)) is a probability.
	// Others are kept word for word with their parameters ("cross_entropy",
	// "quantile alpha:0.9"). Empty means unknown.
	Objective string

	// Sigmoid is the steepness of the link of the objective "binary",
	// greater than zero, usually 1. Other objectives have 0.
	Sigmoid float64

	// AverageOutput says that the score is the mean over the trees (a random
	// forest) and not their sum.
	AverageOutput bool

	Trees []Tree

	// Parameters are "name: value" notes on how the forest was trained, in
	// the order in which they are written. They do not influence any score.
	Parameters []string

	// Categories holds, for programs that keep categories as words, the
	// levels of each categorical feature in turn: a JSON array of arrays in
	// which the position of a level is its code. Empty means null.
	// LightGBM's Python package calls it pandas_categorical.
	Categories json.RawMessage
}

// A Tree is a binary decision tree in flat arrays, named as in the LightGBM
// text format. A tree of n leaves has n-1 nodes; node 0 is the root. Children
// are given by number: c >= 0 is node c, c < 0 is leaf ^c. A child node has a
// greater number than its parent.
//
// Leaf arrays have n elements, node arrays n-1. Only in a tree of a single
// leaf may LeafWeight and LeafCount be empty.
type Tree struct {
	SplitFeature []int          // index of the feature a node looks at
	SplitGain    []float64      // what the split gained in training
	Threshold    []float64      // go left if value <= threshold, which may be infinite; of a categorical node, the number of its set
	DecisionType []DecisionType // kind of test and treatment of missing values
	LeftChild    []int
	RightChild   []int

	LeafValue  []float64 // score, shrinkage already applied
	LeafWeight []float64 // sum of Hessians of the training rows in the leaf
	LeafCount  []int     // number of training rows in the leaf

	InternalValue  []float64 // the score if the node were a leaf
	InternalWeight []float64 // like LeafWeight
	InternalCount  []int     // like LeafCount

	// Categorical set k is the bits of
	// CatThreshold[CatBoundaries[k]:CatBoundaries[k+1]], the lowest bit of
	// the first word being code 0. Codes in the set go left. Both are empty
	// in a tree without categorical nodes.
	CatBoundaries []int
	CatThreshold  []uint32

	Shrinkage float64 // learning rate that was applied to the leaf values
}

// DecisionType is the kind of test a node makes: Categorical or not,
// DefaultLeft or not, and one of MissingNone, MissingZero and MissingNaN,
// combined by |. The values are LightGBM's.
type DecisionType uint8

const (
	Categorical DecisionType = 1 << 0 // the feature is a code, tested against a set
	DefaultLeft DecisionType = 1 << 1 // a missing value goes left, else right

	MissingNone DecisionType = 0 << 2 // nothing is missing: NaN counts as 0
	MissingZero DecisionType = 1 << 2 // 0 and NaN are missing
	MissingNaN  DecisionType = 2 << 2 // NaN is missing

	missingMask DecisionType = 3 << 2
)

// maxCount bounds the row counts in a tree: LightGBM keeps them in 32 bits.
const maxCount = math.MaxInt32

// NumLeaves returns the number of leaves.
func (t *Tree) NumLeaves() int { return len(t.LeafValue) }

// Validate returns an error if f is not a forest: arrays of wrong length, a
// node or leaf that is reached never or twice, a feature or set out of range,
// a number that is NaN or (thresholds apart) infinite, a name the text format
// cannot hold.
// Every other method requires a valid forest.
func (f *Forest) Validate() error {
	if err := f.validateHeader(); err != nil {
		return err
	}
	for i := range f.Trees {
		if err := f.Trees[i].validate(len(f.FeatureNames)); err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
	}
	return nil
}

func (f *Forest) validateHeader() error {
	n := len(f.FeatureNames)
	if n == 0 {
		return errors.New("forest has no features")
	}
	seen := make(map[string]bool, n)
	for i, name := range f.FeatureNames {
		if !isWord(name) {
			return fmt.Errorf("feature %d: name %q is empty or has white space or control characters", i, name)
		}
		if seen[name] {
			return fmt.Errorf("feature %d: name %q is taken", i, name)
		}
		seen[name] = true
	}
	if len(f.FeatureInfos) != n {
		return fmt.Errorf("%d feature infos for %d features", len(f.FeatureInfos), n)
	}
	for i, info := range f.FeatureInfos {
		if !isWord(info) || strings.Contains(info, "=") {
			return fmt.Errorf("feature %d: info %q is empty or has white space, control characters or =", i, info)
		}
	}
	if len(f.MonotoneConstraints) != 0 && len(f.MonotoneConstraints) != n {
		return fmt.Errorf("%d monotone constraints for %d features", len(f.MonotoneConstraints), n)
	}
	for i, c := range f.MonotoneConstraints {
		if c < -1 || c > 1 {
			return fmt.Errorf("feature %d: monotone constraint %d is not -1, 0 or 1", i, c)
		}
	}
	if f.Objective == "binary" && !(f.Sigmoid > 0 && f.Sigmoid <= math.MaxFloat64) {
		return fmt.Errorf("sigmoid %v of objective binary is not greater than zero and finite", f.Sigmoid)
	}
	if f.Objective != "binary" && f.Sigmoid != 0 {
		return fmt.Errorf("sigmoid %v without objective binary", f.Sigmoid)
	}
	if !isLine(f.Objective) || strings.Contains(f.Objective, "=") ||
		f.Objective != strings.Join(strings.Fields(f.Objective), " ") ||
		strings.HasPrefix(f.Objective, "binary ") {
		return fmt.Errorf("objective %q is not words separated by single spaces", f.Objective)
	}
	for i, p := range f.Parameters {
		if !isLine(p) {
			return fmt.Errorf("parameter %d: %q has control characters", i, p)
		}
	}
	if len(f.Categories) > 0 && (!json.Valid(f.Categories) || !isLine(string(f.Categories))) {
		return errors.New("categories are not JSON on one line")
	}
	return nil
}

// isWord reports whether s is printable and not empty, without blanks. Other
// white space, such as the non-breaking space, is a letter like any other to
// LightGBM.
func isWord(s string) bool {
	return s != "" && isLine(s) && !strings.Contains(s, " ")
}

// isLine reports whether s has no control characters.
func isLine(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func (t *Tree) validate(features int) error {
	leaves := len(t.LeafValue)
	if leaves == 0 {
		return errors.New("tree has no leaves")
	}
	for _, a := range []struct {
		name      string
		got, want int
	}{
		{"split_feature", len(t.SplitFeature), leaves - 1},
		{"split_gain", len(t.SplitGain), leaves - 1},
		{"threshold", len(t.Threshold), leaves - 1},
		{"decision_type", len(t.DecisionType), leaves - 1},
		{"left_child", len(t.LeftChild), leaves - 1},
		{"right_child", len(t.RightChild), leaves - 1},
		{"internal_value", len(t.InternalValue), leaves - 1},
		{"internal_weight", len(t.InternalWeight), leaves - 1},
		{"internal_count", len(t.InternalCount), leaves - 1},
		{"leaf_weight", len(t.LeafWeight), leaves},
		{"leaf_count", len(t.LeafCount), leaves},
	} {
		if a.got != a.want && !(leaves == 1 && a.got == 0) {
			return fmt.Errorf("%s has %d values, want %d for %d leaves", a.name, a.got, a.want, leaves)
		}
	}
	for _, a := range []struct {
		name   string
		values []float64
	}{
		{"split_gain", t.SplitGain}, {"threshold", t.Threshold},
		{"leaf_value", t.LeafValue}, {"leaf_weight", t.LeafWeight},
		{"internal_value", t.InternalValue}, {"internal_weight", t.InternalWeight},
		{"shrinkage", []float64{t.Shrinkage}},
	} {
		for i, v := range a.values {
			// A threshold of +Inf asks whether the value is missing.
			if math.IsNaN(v) || math.IsInf(v, 0) && a.name != "threshold" {
				return fmt.Errorf("%s[%d] is %v, want a finite number", a.name, i, v)
			}
		}
	}
	for _, a := range []struct {
		name   string
		values []int
	}{{"leaf_count", t.LeafCount}, {"internal_count", t.InternalCount}} {
		for i, v := range a.values {
			if v < 0 || v > maxCount {
				return fmt.Errorf("%s[%d] is %d, want 0 to %d", a.name, i, v, maxCount)
			}
		}
	}
	if err := t.validateSets(); err != nil {
		return err
	}
	for i, feature := range t.SplitFeature {
		if feature < 0 || feature >= features {
			return fmt.Errorf("split_feature[%d] is %d, but there are %d features", i, feature, features)
		}
		d := t.DecisionType[i]
		if d > Categorical|DefaultLeft|missingMask || d&missingMask == missingMask {
			return fmt.Errorf("decision_type[%d] is %d, which has no meaning", i, d)
		}
		if d&Categorical == 0 {
			continue
		}
		if k := t.Threshold[i]; k < 0 || k >= float64(t.numSets()) || k != math.Trunc(k) {
			return fmt.Errorf("threshold[%d] is %v, want the number of one of %d categorical sets", i, k, t.numSets())
		}
	}
	return t.validateShape()
}

func (t *Tree) numSets() int { return max(0, len(t.CatBoundaries)-1) }

func (t *Tree) validateSets() error {
	b := t.CatBoundaries
	if len(b) == 0 {
		if len(t.CatThreshold) != 0 {
			return errors.New("cat_threshold without cat_boundaries")
		}
		return nil
	}
	if len(b) == 1 || b[0] != 0 || b[len(b)-1] != len(t.CatThreshold) {
		return fmt.Errorf("cat_boundaries do not run from 0 to the %d words of cat_threshold", len(t.CatThreshold))
	}
	for k := 1; k < len(b); k++ {
		// Bounding by the last one keeps every set inside the words even if
		// the boundaries go up and down.
		if b[k] < b[k-1] || b[k] > len(t.CatThreshold) {
			return fmt.Errorf("cat_boundaries[%d] is %d, after %d", k, b[k], b[k-1])
		}
	}
	return nil
}

// validateShape checks that the children make a tree: every node but the root
// and every leaf has exactly one parent, and the parent's number is smaller.
// There are 2(n-1) children and as many to be reached, so it is enough that
// none is reached twice.
func (t *Tree) validateShape() error {
	nodes := len(t.LeftChild)
	node, leaf := make([]bool, nodes), make([]bool, nodes+1)
	for i := range nodes {
		for _, c := range [2]int{t.LeftChild[i], t.RightChild[i]} {
			switch {
			case c >= 0 && (c <= i || c >= nodes):
				return fmt.Errorf("node %d has child %d, want a node from %d to %d or a leaf", i, c, i+1, nodes-1)
			case c >= 0 && node[c]:
				return fmt.Errorf("node %d has two parents", c)
			case c >= 0:
				node[c] = true
			case ^c > nodes:
				return fmt.Errorf("node %d has leaf %d as child, but there are %d leaves", i, ^c, nodes+1)
			case leaf[^c]:
				return fmt.Errorf("leaf %d has two parents", ^c)
			default:
				leaf[^c] = true
			}
		}
	}
	return nil
}

// depth returns the greatest number of tests from root to leaf.
func (t *Tree) depth() int {
	deepest := 0
	at := make([]int, len(t.LeftChild))
	for i := range at { // parents come before children
		for _, c := range [2]int{t.LeftChild[i], t.RightChild[i]} {
			if c >= 0 {
				at[c] = at[i] + 1
			}
		}
		deepest = max(deepest, at[i]+1)
	}
	return deepest
}
