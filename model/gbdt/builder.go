package gbdt

import (
	"math"
)

var inf = math.Inf(1)

// missingAlone is the threshold of a split of missing values from all others,
// as the text format, which has no infinities, writes it.
const missingAlone = 1e300

// A builder puts a Tree together, split by split.
type builder struct {
	tree Tree
	of   []int // per leaf, its parent
}

// newBuilder makes room for a tree of so many leaves.
func newBuilder(leaves int) builder {
	b := builder{of: make([]int, 1, leaves)}
	b.of[0] = -1
	b.tree = Tree{
		SplitFeature: make([]int, 0, leaves-1), SplitGain: make([]float64, 0, leaves-1),
		Threshold: make([]float64, 0, leaves-1), DecisionType: make([]DecisionType, 0, leaves-1),
		LeftChild: make([]int, 0, leaves-1), RightChild: make([]int, 0, leaves-1),
	}
	return b
}

// split makes leaf a node whose left side is leaf again and whose right side
// is a new leaf. gainUnits is the number of units of gain to one of the loss.
func (b *builder) split(leaf int, t *table, s *split, gainUnits float64) {
	tree := &b.tree
	node, right := len(tree.SplitFeature), len(b.of)
	if parent := b.of[leaf]; parent >= 0 {
		if tree.LeftChild[parent] == ^leaf {
			tree.LeftChild[parent] = node
		} else {
			tree.RightChild[parent] = node
		}
	}
	feat := &t.features[s.feature]
	tree.SplitFeature = append(tree.SplitFeature, feat.source)
	tree.SplitGain = append(tree.SplitGain, s.gain/gainUnits)
	tree.LeftChild = append(tree.LeftChild, ^leaf)
	tree.RightChild = append(tree.RightChild, ^right)
	b.of[leaf] = node
	b.of = append(b.of, node)

	decision := MissingNaN
	threshold := 0.0
	switch feat.kind {
	case numeric:
		if s.missing {
			decision |= DefaultLeft
		}
		threshold = missingAlone
		if s.bin < len(feat.bounds) {
			threshold = float64(feat.bounds[s.bin])
		}
	case categorical:
		var codes []int
		for bin := 1; bin < feat.bins; bin++ {
			if s.left[bin] {
				codes = append(codes, feat.codes[bin])
			}
		}
		decision |= Categorical
		threshold = tree.addSet(codes)
	case encoded:
		low := !feat.restIsLow(s.bin)
		var codes []int
		for code, v := range feat.code.values {
			if v <= feat.bounds[s.bin] == low {
				codes = append(codes, code)
			}
		}
		decision |= Categorical
		threshold = tree.addSet(codes)
	}
	tree.DecisionType = append(tree.DecisionType, decision)
	tree.Threshold = append(tree.Threshold, threshold)
}

// addSet adds a set of codes and returns its number.
func (t *Tree) addSet(codes []int) float64 {
	if len(t.CatBoundaries) == 0 {
		t.CatBoundaries = []int{0}
	}
	first := len(t.CatThreshold)
	for _, code := range codes {
		for len(t.CatThreshold) <= first+code/32 {
			t.CatThreshold = append(t.CatThreshold, 0)
		}
		t.CatThreshold[first+code/32] |= 1 << (code % 32)
	}
	t.CatBoundaries = append(t.CatBoundaries, len(t.CatThreshold))
	return float64(len(t.CatBoundaries) - 2)
}

// A leafSum is what the value of a leaf is computed from.
type leafSum struct {
	g, h float64
	rows int
}

// finish fills in values, weights and counts from the sums of the leaves.
func (b *builder) finish(p *Params, leaves []leaf, sums []leafSum) Tree {
	t := b.tree
	t.Shrinkage = p.LearningRate
	value := func(s leafSum, l2, low, high float64) float64 {
		if s.h+l2 <= 0 {
			return 0
		}
		return p.LearningRate * min(max(-soft(s.g, p.L1)/(s.h+l2), low), high)
	}
	if len(leaves) == 1 {
		sums[0].g = 0 // the base score is best but for rounding
	}
	for i, s := range sums {
		t.LeafValue = append(t.LeafValue, value(s, leaves[i].l2, leaves[i].low, leaves[i].high))
		t.LeafWeight = append(t.LeafWeight, s.h)
		t.LeafCount = append(t.LeafCount, s.rows)
	}
	nodes := make([]leafSum, len(t.SplitFeature))
	sum := func(child int) leafSum {
		if child < 0 {
			return sums[^child]
		}
		return nodes[child]
	}
	for i := len(nodes) - 1; i >= 0; i-- { // children come after parents
		a, b := sum(t.LeftChild[i]), sum(t.RightChild[i])
		nodes[i] = leafSum{a.g + b.g, a.h + b.h, a.rows + b.rows}
	}
	for _, s := range nodes {
		t.InternalValue = append(t.InternalValue, value(s, p.L2, -inf, inf))
		t.InternalWeight = append(t.InternalWeight, s.h)
		t.InternalCount = append(t.InternalCount, s.rows)
	}
	return t
}

// add adds a constant to every value of t: the score before the first tree.
func (t *Tree) add(base float64) {
	for i := range t.LeafValue {
		t.LeafValue[i] += base
	}
	for i := range t.InternalValue {
		t.InternalValue[i] += base
	}
	t.Shrinkage = 1
}
