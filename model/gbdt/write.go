package gbdt

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// WriteText writes f in the LightGBM text format, version v4. The same forest
// always gives the same bytes, and a file that [ReadText] read comes out
// again byte for byte if this function or LightGBM 4.6 or 4.7 wrote it with
// one output per row. Two things are not kept: label_index, which is always
// written as 0, and feature_importances, which always count the splits in the
// trees of the file (LightGBM can be asked for sums of gains, or for some of
// the trees, and then counts others).
//
// Thresholds, leaf values and leaf weights are written with 17 digits, so
// nothing is lost; SplitGain, InternalValue, InternalWeight and Shrinkage,
// which influence no score, with six, as LightGBM does.
//
// The error is that of [Forest.Validate] or of w.
func (f *Forest) WriteText(w io.Writer) error {
	if err := f.Validate(); err != nil {
		return fmt.Errorf("writing forest: %w", err)
	}
	// Trees first: the header states the size of each.
	var trees, sizes []byte
	for i := range f.Trees {
		start := len(trees)
		trees = f.Trees[i].appendText(trees, i)
		if i > 0 {
			sizes = append(sizes, ' ')
		}
		sizes = strconv.AppendInt(sizes, int64(len(trees)-start), 10)
	}

	var b bytes.Buffer
	b.WriteString("tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n")
	fmt.Fprintf(&b, "max_feature_idx=%d\n", len(f.FeatureNames)-1)
	switch {
	case f.Objective == "binary":
		fmt.Fprintf(&b, "objective=binary sigmoid:%s\n", strconv.FormatFloat(f.Sigmoid, 'g', -1, 64))
	case f.Objective != "":
		fmt.Fprintf(&b, "objective=%s\n", f.Objective)
	}
	if f.AverageOutput {
		b.WriteString("average_output\n")
	}
	fmt.Fprintf(&b, "feature_names=%s\n", strings.Join(f.FeatureNames, " "))
	if len(f.MonotoneConstraints) > 0 {
		b.Write(appendInts(nil, "monotone_constraints", f.MonotoneConstraints))
	}
	fmt.Fprintf(&b, "feature_infos=%s\n", strings.Join(f.FeatureInfos, " "))
	fmt.Fprintf(&b, "tree_sizes=%s\n\n", sizes)
	b.Write(trees)
	b.WriteString("end of trees\n\nfeature_importances:\n")
	for _, s := range f.splitCounts() {
		fmt.Fprintf(&b, "%s=%d\n", f.FeatureNames[s.feature], s.count)
	}
	b.WriteString("\nparameters:\n")
	for _, p := range f.Parameters {
		fmt.Fprintf(&b, "[%s]\n", p)
	}
	b.WriteString("\nend of parameters\n\npandas_categorical:")
	if len(f.Categories) == 0 {
		b.WriteString("null")
	}
	b.Write(f.Categories)
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

type splitCount struct{ feature, count int }

// splitCounts returns how many nodes look at each feature, most first. As in
// LightGBM, splits that gained nothing do not count, and features of no split
// are left out.
func (f *Forest) splitCounts() []splitCount {
	counts := make([]splitCount, len(f.FeatureNames))
	for i := range counts {
		counts[i].feature = i
	}
	for i := range f.Trees {
		t := &f.Trees[i]
		for node, feature := range t.SplitFeature {
			if t.SplitGain[node] > 0 {
				counts[feature].count++
			}
		}
	}
	slices.SortStableFunc(counts, func(a, b splitCount) int { return b.count - a.count })
	end := slices.IndexFunc(counts, func(s splitCount) bool { return s.count == 0 })
	if end >= 0 {
		counts = counts[:end]
	}
	return counts
}

// appendText appends the block of a tree, from "Tree=" to the two empty lines
// that end it.
func (t *Tree) appendText(b []byte, number int) []byte {
	types := make([]int, len(t.DecisionType))
	for i, d := range t.DecisionType {
		types[i] = int(d)
	}
	b = appendInts(b, "Tree", []int{number})
	b = appendInts(b, "num_leaves", []int{t.NumLeaves()})
	b = appendInts(b, "num_cat", []int{t.numSets()})
	b = appendInts(b, "split_feature", t.SplitFeature)
	b = appendFloats(b, "split_gain", t.SplitGain, 6)
	b = appendFloats(b, "threshold", t.Threshold, 17)
	b = appendInts(b, "decision_type", types)
	b = appendInts(b, "left_child", t.LeftChild)
	b = appendInts(b, "right_child", t.RightChild)
	b = appendFloats(b, "leaf_value", t.LeafValue, 17)
	b = appendFloats(b, "leaf_weight", t.LeafWeight, 17)
	b = appendInts(b, "leaf_count", t.LeafCount)
	b = appendFloats(b, "internal_value", t.InternalValue, 6)
	b = appendFloats(b, "internal_weight", t.InternalWeight, 6)
	b = appendInts(b, "internal_count", t.InternalCount)
	if t.numSets() > 0 {
		b = appendInts(b, "cat_boundaries", t.CatBoundaries)
		b = appendInts(b, "cat_threshold", t.CatThreshold)
	}
	b = appendInts(b, "is_linear", []int{0})
	b = appendFloats(b, "shrinkage", []float64{t.Shrinkage}, 6)
	return append(b, "\n\n"...)
}

// appendInts appends a line "key=1 2 3".
func appendInts[T int | uint32](b []byte, key string, values []T) []byte {
	b = append(append(b, key...), '=')
	for i, v := range values {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, int64(v), 10)
	}
	return append(b, '\n')
}

// appendFloats appends a line "key=0.5 1e-05 inf", as C's %.<digits>g prints.
func appendFloats(b []byte, key string, values []float64, digits int) []byte {
	b = append(append(b, key...), '=')
	for i, v := range values {
		if i > 0 {
			b = append(b, ' ')
		}
		switch {
		case math.IsInf(v, 1): // of which Go prints +Inf
			b = append(b, "inf"...)
		case math.IsInf(v, -1):
			b = append(b, "-inf"...)
		default:
			b = strconv.AppendFloat(b, v, 'g', digits, 64)
		}
	}
	return append(b, '\n')
}
