package gbdt

import (
	"errors"
	"fmt"
	"math"
)

// An xgboostTree is a tree as it is in a file: one value per node, whether it
// is a leaf or not, in no order except that node 0 is the root. Nodes that
// pruning cut off are still there, but nobody's child.
type xgboostTree struct {
	left, right []int32 // children, -1 of a leaf
	feature     []int32
	condition   []float32 // go left if value < condition; of a leaf, its value
	defaultLeft []int32   // 1: a missing value goes left
	categorical []int32   // 1: go left if the code is not in the node's set
	gain        []float32
	cover       []float32 // sum of Hessians

	// The set of node setNode[k] is setSize[k] of the codes, from setStart[k].
	setNode  []int32
	setStart []int64
	setSize  []int64
	codes    []int32

	nodes      int
	deleted    int
	leafVector int // outputs per leaf

	set []int32 // number of a node's set in the order of the file, -1: none
}

var errVectorLeaf = errors.New("trees with several outputs in a leaf are not supported")

// readTree reads the tree with the given number.
func (m *xgboostModel) readTree(number int) (*Tree, error) {
	t := &xgboostTree{}
	err := m.object(members{
		"left_children":       &t.left,
		"right_children":      &t.right,
		"split_indices":       &t.feature,
		"split_conditions":    &t.condition,
		"default_left":        &t.defaultLeft,
		"split_type":          &t.categorical,
		"loss_changes":        &t.gain,
		"sum_hessian":         &t.cover,
		"categories_nodes":    &t.setNode,
		"categories_segments": &t.setStart,
		"categories_sizes":    &t.setSize,
		"categories":          &t.codes,
		"parents":             nil, // follow from the children
		"base_weights":        nil, // lack the learning rate
		"leaf_weights":        func() error { return errVectorLeaf },
		"id": func() error {
			id, err := m.integer()
			if err == nil && id != int64(number) {
				err = fmt.Errorf("found %d, want %d", id, number)
			}
			return err
		},
		"tree_param": func() error {
			return m.object(members{
				"num_nodes":        &t.nodes,
				"num_deleted":      &t.deleted,
				"size_leaf_vector": &t.leafVector,
				"num_feature":      nil, // that of the model counts
			})
		},
	})
	if err != nil {
		return nil, err
	}
	if t.leafVector > 1 {
		return nil, errVectorLeaf
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	b := &xgboostBuilder{from: t, model: m, missing: map[int32]bool{}}
	if err := b.addSets(); err != nil {
		return nil, err
	}
	if _, err := b.add(0, 1, 1, 0); err != nil {
		return nil, err
	}
	b.tree.Shrinkage = 1
	return &b.tree, nil
}

// check returns an error if the arrays do not have one value per node, if a
// node that is not cut off does not have exactly one parent, or if a set is
// not where it should be.
func (t *xgboostTree) check() error {
	n := t.nodes
	if n == 0 {
		return errors.New("tree has no nodes")
	}
	for _, a := range []struct {
		name string
		have int
	}{
		{"left_children", len(t.left)}, {"right_children", len(t.right)},
		{"split_indices", len(t.feature)}, {"split_conditions", len(t.condition)},
		{"default_left", len(t.defaultLeft)}, {"split_type", len(t.categorical)},
		{"loss_changes", len(t.gain)}, {"sum_hessian", len(t.cover)},
	} {
		if a.have != n {
			return fmt.Errorf("%s has %d values for %d nodes", a.name, a.have, n)
		}
	}
	parents := 0
	child := make([]bool, n)
	for i := range n {
		l, r := t.left[i], t.right[i]
		if l == -1 && r == -1 {
			continue
		}
		parents++
		for _, c := range [2]int32{l, r} {
			if c <= 0 || int(c) >= n {
				return fmt.Errorf("node %d has child %d, want 1 to %d", i, c, n-1)
			}
			if child[c] {
				return fmt.Errorf("node %d has two parents", c)
			}
			child[c] = true
		}
		if v := t.categorical[i]; v != 0 && v != 1 {
			return fmt.Errorf("split_type[%d] is %d, want 0 or 1", i, v)
		}
		if v := t.defaultLeft[i]; v != 0 && v != 1 {
			return fmt.Errorf("default_left[%d] is %d, want 0 or 1", i, v)
		}
	}
	// Every parent has two children, and nothing is a child but those.
	if want := n - 1 - t.deleted; 2*parents != want {
		return fmt.Errorf("%d nodes are children, want %d: all but the root and %d deleted ones", 2*parents, want, t.deleted)
	}
	for i, v := range t.cover {
		if !(v >= 0 && v <= math.MaxFloat32) {
			return fmt.Errorf("sum_hessian[%d] is %v, want a finite number not below 0", i, v)
		}
	}
	return t.checkSets()
}

func (t *xgboostTree) checkSets() error {
	if len(t.setStart) != len(t.setNode) || len(t.setSize) != len(t.setNode) {
		return fmt.Errorf("%d categories_nodes have %d segments and %d sizes", len(t.setNode), len(t.setStart), len(t.setSize))
	}
	t.set = make([]int32, t.nodes)
	for i := range t.set {
		t.set[i] = -1
	}
	end := int64(0)
	for k, node := range t.setNode {
		if node < 0 || int(node) >= t.nodes || t.set[node] >= 0 {
			return fmt.Errorf("categories_nodes[%d] is %d, want another node of 0 to %d", k, node, t.nodes-1)
		}
		t.set[node] = int32(k)
		// One behind the other, as XGBoost writes them: then they cannot
		// cost more than the codes.
		if t.setStart[k] != end || t.setSize[k] <= 0 || t.setSize[k] > int64(len(t.codes))-end {
			return fmt.Errorf("set %d has %d codes from %d of %d, want some from %d", k, t.setSize[k], t.setStart[k], len(t.codes), end)
		}
		end += t.setSize[k]
	}
	if end != int64(len(t.codes)) {
		return fmt.Errorf("%d of %d categories are in no set", int64(len(t.codes))-end, len(t.codes))
	}
	for i := range t.left {
		if t.left[i] >= 0 && t.categorical[i] == 1 && t.set[i] < 0 {
			return fmt.Errorf("node %d tests a category, but has no set", i)
		}
	}
	return nil
}

// An xgboostBuilder makes a Tree of an xgboostTree.
type xgboostBuilder struct {
	from  *xgboostTree
	model *xgboostModel
	tree  Tree

	// missing says what the tests on the way from the root tell about a
	// feature: that it is missing (true) or that it is not (false).
	missing map[int32]bool
}

// spend takes bytes of memory that do not follow from the size of the file
// out of what the model may still have.
func (b *xgboostBuilder) spend(bytes int) error {
	if b.model.spare -= int64(bytes); b.model.spare < 0 {
		return errors.New("categories would take much more memory than the file")
	}
	return nil
}

// xgboostCodes is the number of codes: XGBoost takes a greater one as unseen,
// since float32 does not hold all whole numbers from there on.
const xgboostCodes = 1 << 24

// addSets turns the lists of codes into sets of bits.
func (b *xgboostBuilder) addSets() error {
	t := b.from
	if len(t.setNode) == 0 {
		return nil
	}
	b.tree.CatBoundaries = []int{0}
	for k, start := range t.setStart {
		codes := t.codes[start : start+t.setSize[k]]
		greatest := int32(0)
		for _, c := range codes {
			if c < 0 || c >= xgboostCodes {
				return fmt.Errorf("set %d has code %d, want 0 to %d", k, c, xgboostCodes-1)
			}
			greatest = max(greatest, c)
		}
		words := int(greatest)/32 + 1
		if err := b.spend(4 * words); err != nil {
			return err
		}
		set := make([]uint32, words)
		for _, c := range codes {
			set[c/32] |= 1 << (c % 32)
		}
		b.tree.CatThreshold = append(b.tree.CatThreshold, set...)
		b.tree.CatBoundaries = append(b.tree.CatBoundaries, len(b.tree.CatThreshold))
	}
	return nil
}

// An xgboostBranch is a node or leaf that was added, and what is below it.
type xgboostBranch struct {
	child  int // as in LeftChild
	count  int
	weight float64
	value  float64 // mean
}

// An xgboostTest is the test of a node.
type xgboostTest struct {
	feature   int32
	kind      DecisionType
	threshold float64
	gain      float64
}

// add adds node n and all below it. share is the part of the rows of the tree
// that come here. part is less than 1 where a branch is there more than once:
// the part of its rows that are counted here. depth is the number of tests
// above.
func (b *xgboostBuilder) add(n int32, share, part float64, depth int) (xgboostBranch, error) {
	t := b.from
	if t.left[n] < 0 {
		return b.addLeaf(n, share, part)
	}
	l, r, feature := t.left[n], t.right[n], t.feature[n]
	toLeft := 0.5
	if both := float64(t.cover[l]) + float64(t.cover[r]); both > 0 {
		toLeft = float64(t.cover[l]) / both
	}
	left := func() (xgboostBranch, error) { return b.add(l, share*toLeft, part, depth+1) }
	right := func() (xgboostBranch, error) { return b.add(r, share*(1-toLeft), part, depth+1) }
	gain := float64(t.gain[n]) * part

	if t.categorical[n] == 0 {
		threshold, err := xgboostThreshold(t.condition[n])
		if err != nil {
			return xgboostBranch{}, fmt.Errorf("node %d: %w", n, err)
		}
		test := xgboostTest{feature, MissingNaN, threshold, gain}
		if t.defaultLeft[n] != 0 {
			test.kind |= DefaultLeft
		}
		return b.addNode(depth, test, left, right)
	}

	// XGBoost sends the codes of the set to the right and all others, seen or
	// not, to the left. With the sides swapped this is what a Forest does,
	// except that a Forest knows one side for missing values: that of the
	// codes that are not in the set.
	inSet := xgboostTest{feature, Categorical, float64(t.set[n]), gain}
	isMissing := xgboostTest{feature, MissingNaN | DefaultLeft, -math.MaxFloat64, gain}
	missing, known := b.missing[feature]
	switch {
	case t.defaultLeft[n] != 0 || known && !missing:
		return b.addNode(depth, inSet, right, left)
	case known:
		// All rows go to the right. The other side stays, since pred_contribs
		// goes there to ask what were if the feature were not known.
		return b.addNode(depth, isMissing, right, left)
	}
	// First a test for missing values, then the set. Nobody wrote down how
	// many of the rows to the right were missing values; with half of them
	// on either side, the shares add up to what they are in XGBoost.
	isMissing.gain = 0
	half := share * (1 - toLeft) / 2
	return b.addNode(depth, isMissing,
		b.knowing(feature, true, func() (xgboostBranch, error) { return b.add(r, half, part/2, depth+1) }),
		b.knowing(feature, false, func() (xgboostBranch, error) {
			return b.addNode(depth+1, inSet,
				func() (xgboostBranch, error) { return b.add(r, half, part/2, depth+2) },
				func() (xgboostBranch, error) { return b.add(l, share*toLeft, part, depth+2) })
		}))
}

// knowing returns add, during which it is known whether feature is missing.
func (b *xgboostBuilder) knowing(feature int32, missing bool, add func() (xgboostBranch, error)) func() (xgboostBranch, error) {
	return func() (xgboostBranch, error) {
		b.missing[feature] = missing
		defer delete(b.missing, feature)
		return add()
	}
}

// addNode adds a node with depth tests above it, then what is to its left,
// then what is to its right.
func (b *xgboostBuilder) addNode(depth int, test xgboostTest, left, right func() (xgboostBranch, error)) (xgboostBranch, error) {
	if depth >= b.model.limits.Depth {
		return xgboostBranch{}, fmt.Errorf("depth is over the limit of %d", b.model.limits.Depth)
	}
	t := &b.tree
	n := len(t.SplitFeature)
	t.SplitFeature = append(t.SplitFeature, int(test.feature))
	t.SplitGain = append(t.SplitGain, test.gain)
	t.Threshold = append(t.Threshold, test.threshold)
	t.DecisionType = append(t.DecisionType, test.kind)
	t.LeftChild = append(t.LeftChild, 0)
	t.RightChild = append(t.RightChild, 0)
	t.InternalValue = append(t.InternalValue, 0)
	t.InternalWeight = append(t.InternalWeight, 0)
	t.InternalCount = append(t.InternalCount, 0)

	l, err := left()
	if err != nil {
		return l, err
	}
	r, err := right()
	if err != nil {
		return r, err
	}
	here := xgboostBranch{child: n, count: l.count + r.count, weight: l.weight + r.weight, value: (l.value + r.value) / 2}
	if here.count > 0 {
		here.value = (float64(l.value*float64(l.count)) + float64(r.value*float64(r.count))) / float64(here.count)
	}
	t.LeftChild[n], t.RightChild[n] = l.child, r.child
	t.InternalValue[n], t.InternalWeight[n], t.InternalCount[n] = here.value, here.weight, here.count
	return here, nil
}

// xgboostCount is the count of all rows of a tree. It leaves room below
// maxCount, since counts below 1 are rounded up.
const xgboostCount = 1 << 30

// xgboostNodeBytes is about what a leaf and a node take.
const xgboostNodeBytes = 128

func (b *xgboostBuilder) addLeaf(n int32, share, part float64) (xgboostBranch, error) {
	t := &b.tree
	if len(t.LeafValue) == b.model.limits.Leaves {
		return xgboostBranch{}, fmt.Errorf("over the limit of %d leaves", b.model.limits.Leaves)
	}
	if part < 1 {
		if err := b.spend(xgboostNodeBytes); err != nil {
			return xgboostBranch{}, err
		}
	}
	leaf := xgboostBranch{
		child:  ^len(t.LeafValue),
		count:  int(math.Round(share * xgboostCount)),
		weight: float64(b.from.cover[n]) * part,
		value:  float64(b.from.condition[n]),
	}
	if leaf.count == 0 && share > 0 {
		leaf.count = 1
	}
	t.LeafValue = append(t.LeafValue, leaf.value)
	t.LeafWeight = append(t.LeafWeight, leaf.weight)
	t.LeafCount = append(t.LeafCount, leaf.count)
	return leaf, nil
}

// xgboostThreshold returns the threshold t for which x <= t is x < condition
// for every x of 32 bits but one: that t is finite lets x = -Inf through where
// the condition is -Inf.
func xgboostThreshold(condition float32) (float64, error) {
	switch {
	case condition != condition:
		return 0, errors.New("condition is NaN")
	case condition <= -math.MaxFloat32:
		return -math.MaxFloat64, nil
	}
	return float64(math.Nextafter32(condition, float32(math.Inf(-1)))), nil
}
