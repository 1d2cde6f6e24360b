package training

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"churn/features"
	"churn/model/gbdt"
)

// translate makes the forest one of our features: names and order, the codes
// of levels, and what stands for a missing value. Leaves and their counts stay
// as they are, and so do tests of numbers that may be NaN: a row here falls
// into the leaf that its like fell into there.
func (f *Foreign) translate(ours []features.Feature, codings []*coding) (*gbdt.Forest, error) {
	old := f.Forest
	out := &gbdt.Forest{Objective: old.Objective, Sigmoid: old.Sigmoid, AverageOutput: old.AverageOutput,
		FeatureNames: make([]string, len(ours)), FeatureInfos: make([]string, len(ours)),
		Parameters: slices.Clone(old.Parameters)}
	if old.MonotoneConstraints != nil {
		out.MonotoneConstraints = make([]int, len(ours))
	}
	for i, c := range codings {
		if c == nil {
			continue
		}
		out.FeatureNames[c.to], out.FeatureInfos[c.to] = ours[c.to].Name, old.FeatureInfos[i]
		if c.codes != nil {
			var codes []string
			for k := range c.codes {
				codes = append(codes, strconv.Itoa(k))
			}
			out.FeatureInfos[c.to] = strings.Join(codes, ":")
		} else if old.MonotoneConstraints != nil {
			out.MonotoneConstraints[c.to] = old.MonotoneConstraints[i]
		}
	}
	if f.From == "LightGBM" { // the reader of XGBoost's says it itself
		out.Parameters = append(out.Parameters, "imported_from: LightGBM")
	}
	out.Parameters = append(out.Parameters, "imported_sha256: "+f.Fingerprint)
	for i := range old.Trees {
		t, err := translateTree(&old.Trees[i], codings)
		if err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
		out.Trees = append(out.Trees, *t)
	}
	return out, out.Validate()
}

// translateTree translates one tree. Everything about leaves is shared with
// the old one.
func translateTree(old *gbdt.Tree, codings []*coding) (*gbdt.Tree, error) {
	t := *old
	t.SplitFeature, t.Threshold, t.DecisionType = slices.Clone(old.SplitFeature), slices.Clone(old.Threshold), slices.Clone(old.DecisionType)
	t.LeftChild, t.RightChild = slices.Clone(old.LeftChild), slices.Clone(old.RightChild)
	t.CatBoundaries, t.CatThreshold = nil, nil
	for n, feature := range old.SplitFeature {
		c := codings[feature]
		t.SplitFeature[n] = c.to
		missingLeft := goesLeft(old, n, c.missing)
		if c.codes == nil {
			kind, err := numberTest(old.DecisionType[n], c.missing, missingLeft)
			if err != nil {
				return nil, err
			}
			t.DecisionType[n] = kind
			continue
		}
		// Any test of codes, of a set or of their order, becomes one of a set of
		// ours. What is missing or not listed is in no set; if it has to go left,
		// the sides change places.
		if missingLeft {
			t.LeftChild[n], t.RightChild[n] = t.RightChild[n], t.LeftChild[n]
		}
		set := make([]uint32, (len(c.codes)+31)/32)
		for k, code := range c.codes {
			if goesLeft(old, n, code) != missingLeft {
				set[k/32] |= 1 << (k % 32)
			}
		}
		if t.CatBoundaries == nil {
			t.CatBoundaries = []int{0}
		}
		t.Threshold[n], t.DecisionType[n] = float64(len(t.CatBoundaries)-1), gbdt.Categorical
		t.CatThreshold = append(t.CatThreshold, set...)
		t.CatBoundaries = append(t.CatBoundaries, len(t.CatThreshold))
	}
	return &t, nil
}

// numberTest is the kind of a test of a number for which missing stood where
// NaN does here.
func numberTest(kind gbdt.DecisionType, missing float32, left bool) (gbdt.DecisionType, error) {
	if math.IsNaN(float64(missing)) {
		return kind, nil
	}
	if kind&(gbdt.MissingZero|gbdt.MissingNaN) == gbdt.MissingZero {
		if left == (kind&gbdt.DefaultLeft != 0) {
			return kind, nil // NaN goes with 0, and so did missing
		}
		return 0, fmt.Errorf("the model was trained with zero_as_missing, and the mapping has missing: %g: one of both", missing)
	}
	kind = gbdt.MissingNaN
	if left {
		kind |= gbdt.DefaultLeft
	}
	return kind, nil
}

// goesLeft asks node n of a tree about a value, by a tree of that node alone.
func goesLeft(t *gbdt.Tree, n int, x float32) bool {
	one := gbdt.Tree{SplitFeature: []int{0}, Threshold: t.Threshold[n : n+1], DecisionType: t.DecisionType[n : n+1],
		LeftChild: []int{^0}, RightChild: []int{^1}, CatBoundaries: t.CatBoundaries, CatThreshold: t.CatThreshold}
	return one.Leaf([]float32{x}) == 0
}
