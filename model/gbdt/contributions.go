package gbdt

// Contributions sets phi to the contribution of each feature to the raw score
// of row, in the unit of the score, and returns the base: the score expected
// without knowing any feature. base plus all of phi is [Forest.Predict] up to
// rounding.
//
// The contributions are the Shapley values of the game in which a feature
// that is not in the coalition sends a row down both branches, in proportion
// to the training rows that went there (path-dependent TreeSHAP: Lundberg,
// Erion and Lee, "Consistent Individualized Feature Attribution for Tree
// Ensembles", arXiv:1802.03888, algorithm 2; LightGBM's pred_contrib). They
// rest on LeafCount and InternalCount. A node that no training row reached
// shares evenly.
//
// Time is proportional to leaves times depth squared. Contributions panics if
// row or phi does not have one value per feature.
func (f *Forest) Contributions(row []float32, phi []float64) (base float64) {
	row, phi = row[:len(f.FeatureNames):len(f.FeatureNames)], phi[:len(f.FeatureNames):len(f.FeatureNames)]
	clear(phi)
	var scratch []pathStep
	for i := range f.Trees {
		t := &f.Trees[i]
		base += t.expected()
		if len(t.LeftChild) == 0 {
			continue
		}
		// A path of d tests has at most d+1 steps; each level works on its
		// own copy, which lies behind that of the level above.
		d := t.depth() + 2
		if need := d * (d + 1) / 2; len(scratch) < need {
			scratch = make([]pathStep, need)
		}
		w := walk{tree: t, row: row, phi: phi}
		w.node(0, nil, scratch, pathStep{feature: -1, zero: 1, one: 1})
	}
	if f.AverageOutput && len(f.Trees) > 0 {
		n := float64(len(f.Trees))
		base /= n
		for i := range phi {
			phi[i] /= n
		}
	}
	return base
}

// expected returns the mean of the leaf values over the training rows.
func (t *Tree) expected() float64 {
	if len(t.LeftChild) == 0 {
		return t.LeafValue[0]
	}
	mean := 0.0
	reach := make([]float64, len(t.LeftChild)) // share of rows that reach a node
	reach[0] = 1
	for i := range reach { // parents come before children
		for _, c := range [2]int{t.LeftChild[i], t.RightChild[i]} {
			r := reach[i] * t.share(i, c)
			if c >= 0 {
				reach[c] = r
			} else {
				mean += float64(r * t.LeafValue[^c])
			}
		}
	}
	return mean
}

// share returns the part of the training rows of node that went to child.
func (t *Tree) share(node, child int) float64 {
	all := t.InternalCount[node]
	if all == 0 {
		return 0.5
	}
	if child >= 0 {
		return float64(t.InternalCount[child]) / float64(all)
	}
	return float64(t.LeafCount[^child]) / float64(all)
}

// A pathStep is one distinct feature on the way from the root: the part of
// the coalitions' weight that flows down if the feature is out (zero) and in
// (one). weight of step i is the summed permutation weight of the coalitions
// of i features of the path.
type pathStep struct {
	feature           int
	zero, one, weight float64
}

type walk struct {
	tree *Tree
	row  []float32
	phi  []float64
}

// node goes on to node or leaf at, which is reached from above by step. free
// is the scratch space behind the path above.
func (w *walk) node(at int, above, free []pathStep, step pathStep) {
	path := append(free[:0:len(above)+1], above...)
	free = free[len(above)+1:]
	path = extend(path, step)
	t := w.tree
	if at < 0 {
		for i := 1; i < len(path); i++ {
			p := path[i]
			w.phi[p.feature] += float64(unwoundSum(path, i)*(p.one-p.zero)) * t.LeafValue[^at]
		}
		return
	}

	// A feature that is tested again stays one player: take its step off the
	// path and let the next one stand for both tests.
	feature := t.SplitFeature[at]
	zero, one := 1.0, 1.0
	for i := 1; i < len(path); i++ {
		if path[i].feature == feature {
			zero, one = path[i].zero, path[i].one
			path = unwind(path, i)
			break
		}
	}
	left, right := t.LeftChild[at], t.RightChild[at]
	leftOne, rightOne := 0.0, one
	if t.goesLeft(at, w.row) {
		leftOne, rightOne = one, 0.0
	}
	for _, c := range [2]struct {
		child int
		one   float64
	}{{left, leftOne}, {right, rightOne}} {
		next := pathStep{feature: feature, zero: zero * t.share(at, c.child), one: c.one}
		// Neither this row nor a training row comes here: nothing to add,
		// and unwinding such a step would divide zero by zero.
		if next.zero != 0 || next.one != 0 {
			w.node(c.child, path, free, next)
		}
	}
}

// extend adds a step to the path and spreads the weights (EXTEND).
func extend(path []pathStep, step pathStep) []pathStep {
	d := len(path)
	step.weight = 0
	if d == 0 {
		step.weight = 1
	}
	path = append(path, step)
	for i := d - 1; i >= 0; i-- {
		path[i+1].weight += float64(step.one * path[i].weight * float64(i+1) / float64(d+1))
		path[i].weight *= step.zero * float64(d-i) / float64(d+1)
	}
	return path
}

// unwind takes step i off the path, undoing its extend (UNWIND).
func unwind(path []pathStep, i int) []pathStep {
	d := len(path) - 1
	zero, one := path[i].zero, path[i].one
	next := path[d].weight
	for j := d - 1; j >= 0; j-- {
		if one != 0 {
			old := path[j].weight
			path[j].weight = next * float64(d+1) / (float64(j+1) * one)
			next = old - float64(path[j].weight*zero*float64(d-j)/float64(d+1))
		} else {
			path[j].weight *= float64(d+1) / (zero * float64(d-j))
		}
	}
	for j := i; j < d; j++ {
		path[j].feature, path[j].zero, path[j].one = path[j+1].feature, path[j+1].zero, path[j+1].one
	}
	return path[:d]
}

// unwoundSum returns the sum of the weights after taking off step i.
func unwoundSum(path []pathStep, i int) float64 {
	d := len(path) - 1
	zero, one := path[i].zero, path[i].one
	next, sum := path[d].weight, 0.0
	for j := d - 1; j >= 0; j-- {
		if one != 0 {
			weight := next * float64(d+1) / (float64(j+1) * one)
			sum += weight
			next = path[j].weight - float64(weight*zero*float64(d-j)/float64(d+1))
		} else {
			sum += path[j].weight / (zero * float64(d-j) / float64(d+1))
		}
	}
	return sum
}
