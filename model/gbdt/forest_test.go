package gbdt

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// stump is one node over feature 0, left leaf 1, right leaf 2.
func stump(d DecisionType, threshold float64, set ...uint32) Tree {
	t := Tree{
		SplitFeature: []int{0}, SplitGain: []float64{1}, Threshold: []float64{threshold}, DecisionType: []DecisionType{d},
		LeftChild: []int{^0}, RightChild: []int{^1},
		LeafValue: []float64{1, 2}, LeafWeight: []float64{1, 1}, LeafCount: []int{3, 1},
		InternalValue: []float64{0}, InternalWeight: []float64{2}, InternalCount: []int{4}, Shrinkage: 1,
	}
	if len(set) > 0 {
		t.CatBoundaries, t.CatThreshold = []int{0, len(set)}, set
	}
	return t
}

func forestOf(features int, trees ...Tree) *Forest {
	f := &Forest{Objective: "binary", Sigmoid: 1, Trees: trees}
	for i := range features {
		f.FeatureNames = append(f.FeatureNames, string(rune('a'+i)))
		f.FeatureInfos = append(f.FeatureInfos, "none")
	}
	return f
}

// TestDecision: each case by hand from the rules in LightGBM 4.6,
// include/LightGBM/tree.h, NumericalDecision and CategoricalDecision.
func TestDecision(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name string
		tree Tree
		x    float64
		left bool
	}{
		{"below", stump(MissingNaN, 5), 4, true},
		{"equal goes left", stump(MissingNaN, 5), 5, true},
		{"above", stump(MissingNaN, 5), 6, false},
		{"infinite", stump(MissingNaN|DefaultLeft, 1e300), inf, false},
		{"infinite, infinite threshold", stump(MissingNaN, inf), inf, true},
		{"NaN, infinite threshold", stump(MissingNaN, inf), nan, false},
		{"NaN, default right", stump(MissingNaN, 5), nan, false},
		{"NaN, default left", stump(MissingNaN|DefaultLeft, -5), nan, true},
		{"NaN is 0 if nothing is missing", stump(MissingNone, 5), nan, true},
		{"NaN is 0 if nothing is missing, default left", stump(MissingNone|DefaultLeft, -5), nan, false},
		{"zero is no missing value by default", stump(MissingNaN|DefaultLeft, -5), 0, false},
		{"zero is missing", stump(MissingZero|DefaultLeft, -5), 0, true},
		{"nearly zero is missing", stump(MissingZero|DefaultLeft, -5), 1e-36, true},
		{"small is not missing", stump(MissingZero|DefaultLeft, -5), 1e-34, false},
		{"NaN is zero is missing", stump(MissingZero, 5), nan, false},
		{"code in set", stump(Categorical, 0, 0b0110), 2, true},
		{"code not in set", stump(Categorical, 0, 0b0110), 3, false},
		{"code in the second word", stump(Categorical, 0, 0, 1<<3), 35, true},
		{"code beyond the set", stump(Categorical, 0, ^uint32(0)), 32, false},
		{"code of no int32", stump(Categorical, 0, ^uint32(0)), 3e9, false},
		{"infinite code", stump(Categorical, 0, ^uint32(0)), inf, false},
		{"fraction is cut off", stump(Categorical, 0, 0b0100), 2.9, true},
		{"small negative is code 0", stump(Categorical, 0, 0b0001), -0.5, true},
		{"negative code", stump(Categorical, 0, ^uint32(0)), -1, false},
		{"NaN code, whatever the default", stump(Categorical|DefaultLeft|MissingNaN, 0, ^uint32(0)), nan, false},
	} {
		f := forestOf(1, c.tree)
		if err := f.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if left := f.Predict([]float32{float32(c.x)}) == 1; left != c.left {
			t.Errorf("%s: %v goes left is %v, want %v", c.name, c.x, left, c.left)
		}
	}
}

func TestPredictSumAndMean(t *testing.T) {
	f := forestOf(1, stump(MissingNaN, 0), stump(MissingNaN, 5), Tree{LeafValue: []float64{10}})
	row := []float32{3}
	if got := f.Predict(row); got != 2+1+10 {
		t.Errorf("sum is %v, want 13", got)
	}
	f.AverageOutput = true
	if got := f.Predict(row); got != 13.0/3 {
		t.Errorf("mean is %v, want 13/3", got)
	}
	if got := forestOf(1).Predict(row); got != 0 {
		t.Errorf("no trees give %v, want 0", got)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		want  string // part of the error
		spoil func(*Forest)
	}{
		{"no features", func(f *Forest) { f.FeatureNames = nil }},
		{"white space", func(f *Forest) { f.FeatureNames[0] = "a b" }},
		{"white space", func(f *Forest) { f.FeatureNames[0] = "a\n" }},
		{"is taken", func(f *Forest) { f.FeatureNames[1] = f.FeatureNames[0] }},
		{"feature infos", func(f *Forest) { f.FeatureInfos = nil }},
		{"monotone", func(f *Forest) { f.MonotoneConstraints = []int{0, 2} }},
		{"sigmoid", func(f *Forest) { f.Sigmoid = 0 }},
		{"sigmoid", func(f *Forest) { f.Objective = "cross_entropy" }},
		{"objective", func(f *Forest) { f.Objective, f.Sigmoid = "a=b", 0 }},
		{"parameter 0", func(f *Forest) { f.Parameters = []string{"a\nb"} }},
		{"JSON", func(f *Forest) { f.Categories = []byte("[") }},
		{"no leaves", func(f *Forest) { f.Trees[0] = Tree{} }},
		{"threshold has 0 values", func(f *Forest) { f.Trees[0].Threshold = nil }},
		{"leaf_count has 0 values", func(f *Forest) { f.Trees[0].LeafCount = nil }},
		{"leaf_value[1] is NaN", func(f *Forest) { f.Trees[0].LeafValue[1] = math.NaN() }},
		{"threshold[0] is NaN", func(f *Forest) { f.Trees[0].Threshold[0] = math.NaN() }},
		{"split_gain[0] is +Inf", func(f *Forest) { f.Trees[0].SplitGain[0] = math.Inf(1) }},
		{"leaf_count[0] is -1", func(f *Forest) { f.Trees[0].LeafCount[0] = -1 }},
		{"split_feature[0] is 2", func(f *Forest) { f.Trees[0].SplitFeature[0] = 2 }},
		{"decision_type[0] is 12", func(f *Forest) { f.Trees[0].DecisionType[0] = missingMask }},
		{"decision_type[0] is 16", func(f *Forest) { f.Trees[0].DecisionType[0] = 16 }},
		{"categorical sets", func(f *Forest) { f.Trees[0].DecisionType[0] = Categorical }},
		{"cat_threshold without", func(f *Forest) { f.Trees[0].CatThreshold = []uint32{1} }},
		{"do not run", func(f *Forest) { f.Trees[0].CatBoundaries = []int{0, 5} }},
		{"cat_boundaries[2]", func(f *Forest) {
			f.Trees[0].CatBoundaries, f.Trees[0].CatThreshold = []int{0, 2, 1, 2}, []uint32{1, 1}
		}},
		{"cat_boundaries[1]", func(f *Forest) {
			f.Trees[0].CatBoundaries, f.Trees[0].CatThreshold = []int{0, 9, 2}, []uint32{1, 1}
		}},
		{"has child 0", func(f *Forest) { f.Trees[0].LeftChild[0] = 0 }},
		{"has child 7", func(f *Forest) { f.Trees[0].LeftChild[0] = 7 }},
		{"leaf 2 as child", func(f *Forest) { f.Trees[0].LeftChild[0] = ^2 }},
		{"leaf 1 has two parents", func(f *Forest) { f.Trees[0].LeftChild[0] = ^1 }},
	} {
		f := forestOf(2, stump(MissingNaN, 5))
		if err := f.Validate(); err != nil {
			t.Fatal(err)
		}
		c.spoil(f)
		if err := f.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

func TestDepth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		tree := randomTree(r, 3, 1+r.IntN(12))
		var down func(c int) int
		down = func(c int) int {
			if c < 0 || len(tree.LeftChild) == 0 {
				return 0
			}
			return 1 + max(down(tree.LeftChild[c]), down(tree.RightChild[c]))
		}
		if got, want := tree.depth(), down(0); got != want {
			t.Errorf("depth %d, want %d", got, want)
		}
	}
}
