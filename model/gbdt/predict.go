package gbdt

import "math"

// zeroThreshold is LightGBM's kZeroThreshold: what counts as zero where zero
// means missing. It is a float32 constant there.
const zeroThreshold = float64(float32(1e-35))

// Predict returns the raw score of row: the sum of the leaf values it falls
// into, in the order of the trees, or their mean if f.AverageOutput.
// Every value is converted to float64 exactly, and the sum is the one
// LightGBM computes, bit for bit.
//
// LightGBM's own predict(raw_score=True) returns the sum even for a forest
// that averages, and divides only on the way to the probability; here the
// raw score always is what goes into the link function. It also takes the
// numbers of a dense table from -1e-35 to 1e-35 for 0 before any tree sees
// them, but not those of a sparse one; here every tree sees the number itself.
// LightGBM puts thresholds at these two numbers and none between them, so it
// shows at -1e-35 only.
//
// Predict panics if row does not have one value per feature.
func (f *Forest) Predict(row []float32) float64 {
	row = row[:len(f.FeatureNames):len(f.FeatureNames)]
	sum := 0.0
	for i := range f.Trees {
		t := &f.Trees[i]
		sum += t.LeafValue[t.Leaf(row)]
	}
	if f.AverageOutput && len(f.Trees) > 0 {
		sum /= float64(len(f.Trees))
	}
	return sum
}

// Leaf returns the number of the leaf that row falls into.
func (t *Tree) Leaf(row []float32) int {
	if len(t.LeftChild) == 0 {
		return 0
	}
	at := 0
	for at >= 0 {
		if t.goesLeft(at, row) {
			at = t.LeftChild[at]
		} else {
			at = t.RightChild[at]
		}
	}
	return ^at
}

// goesLeft is the test of one node; it follows Tree::NumericalDecision and
// Tree::CategoricalDecision of LightGBM 4.6 (include/LightGBM/tree.h).
func (t *Tree) goesLeft(node int, row []float32) bool {
	x := float64(row[t.SplitFeature[node]])
	d := t.DecisionType[node]
	if d&Categorical != 0 {
		return t.inSet(int(t.Threshold[node]), x)
	}
	missing := d & missingMask
	if math.IsNaN(x) && missing != MissingNaN {
		x = 0
	}
	if missing == MissingZero && math.Abs(x) <= zeroThreshold || missing == MissingNaN && math.IsNaN(x) {
		return d&DefaultLeft != 0
	}
	return x <= t.Threshold[node]
}

// inSet reports whether categorical set k holds the code x. Fractions are cut
// off. NaN, negative codes and codes beyond the set are not in it.
func (t *Tree) inSet(k int, x float64) bool {
	if !(x > -1 && x <= math.MaxInt32) {
		return false
	}
	code := int(x)
	words := t.CatThreshold[t.CatBoundaries[k]:t.CatBoundaries[k+1]]
	return code/32 < len(words) && words[code/32]>>(code%32)&1 == 1
}
