package gbdt

import (
	"slices"

	"churn/model/gbdt/internal/kernel"
)

// A pathForest computes exact Shapley values of trees of any shape by
// integration, after Owen's multilinear extension ("Multilinear extensions of
// games", Management Science 1972): if every feature is in the coalition with
// chance p, independently, the Shapley value of a feature is the integral over
// p from 0 to 1 of how much more the tree is worth with the feature than
// without it.
//
// At a point p a node is worth
//
//	G = p' G(child the row goes to) + (1-p') m,  m = Σ share G(child)
//
// as a feature outside the coalition lets a row go both ways in proportion to
// the training rows. p' is p where a feature is tested for the first time; where
// it was tested before, p' is the chance that it is in the coalition given that
// the row got here, by Bayes' rule: p/(p+(1-p)z), if the earlier tests let the
// part z of the training rows through and the row passed them, else 0. The
// node's part of the difference is V (G(child the row goes to) - m), where V is
// the chance to get to the node, through the node's own feature neither in nor
// out: z/(p+(1-p)z)² of the chance is left if it was tested before.
//
// So a pass down for the chances and one up for the worths do, without a
// division where no feature is tested twice. If a path has m features the
// integrand has degree m-1, and Gauss-Legendre quadrature with m/2 points is
// exact: the points are the lanes of vectors.
type pathForest struct {
	trees    []pathTree
	points   []kernel.Points
	features []int // of the totals
	slots    int   // that a tree has at most
}

type pathTree struct {
	kernel.PathTree
	from, to int  // its points
	all      bool // or only half of the first
}

// pathLongest is how many features on a path half of one set of points is
// enough for.
const pathLongest = kernel.PathLanes

func newPathForest(f *Forest, conditions [][]condition) *pathForest {
	pf := &pathForest{trees: make([]pathTree, len(f.Trees))}
	used := newUsed(f)
	pf.features = used.features
	// All trees lie one behind the other, as they are read.
	first := make([]struct{ fork, pair, leaf int }, len(f.Trees)+1)
	for i := range f.Trees {
		forks, pairs, leaves := f.Trees[i].pathNodes()
		at := first[i]
		at.fork, at.pair, at.leaf = at.fork+forks, at.pair+pairs, at.leaf+leaves
		first[i+1] = at
	}
	all := first[len(f.Trees)]
	nodes := kernel.PathTree{Forks: make([]kernel.PathFork, all.fork), Pairs: make([]kernel.PathPair, all.pair), Leaves: make([]float64, all.leaf)}
	longest := make([]int, len(f.Trees))
	eachTree(len(f.Trees), func() func(int) {
		b := pathBuilder{used: used, on: make([]pathEdge, len(used.features))}
		return func(i int) {
			from, to, out := first[i], first[i+1], &pf.trees[i].PathTree
			out.Forks, out.Pairs, out.Leaves = nodes.Forks[from.fork:to.fork], nodes.Pairs[from.pair:to.pair], nodes.Leaves[from.leaf:to.leaf]
			longest[i] = b.build(out, &f.Trees[i], conditions[i])
		}
	})
	sets := map[int][2]int{} // by number of points
	for i := range pf.trees {
		t := &pf.trees[i]
		pf.slots = max(pf.slots, t.Slots())
		points := kernel.PathLanes / 2
		if t.all = longest[i] > pathLongest; t.all {
			points = kernel.PathLanes * ((longest[i] + 2*kernel.PathLanes - 1) / (2 * kernel.PathLanes))
		}
		s, ok := sets[points]
		if !ok {
			s[0] = len(pf.points)
			pf.points = append(pf.points, quadrature(points)...)
			s[1] = len(pf.points)
			sets[points] = s
		}
		t.from, t.to = s[0], s[1]
	}
	return pf
}

func (pf *pathForest) scratch() *kernel.PathScratch {
	return kernel.NewPathScratch(pf.slots, len(pf.features))
}

// pathNodes counts the nodes with a child that is none, those with two leaves,
// and the leaves of the former.
func (t *Tree) pathNodes() (forks, pairs, leaves int) {
	for node, left := range t.LeftChild {
		switch right := t.RightChild[node]; {
		case left < 0 && right < 0:
			pairs++
		case left < 0 || right < 0:
			leaves++
		}
	}
	return len(t.LeftChild) - pairs, pairs, leaves
}

// pathBuilder lays out trees, one after the other.
type pathBuilder struct {
	used       *used
	out        *kernel.PathTree
	tree       *Tree
	conditions []condition
	order      []int      // the nodes by level
	slots      []uint16   // by node
	leaves     []uint16   // by leaf
	on         []pathEdge // by number of the feature: the last edge on the way that tests it
	length     int        // of the way, in features
	longest    int
}

// pathEdge is a test on the way; it is none if the slot is 0, the root's.
type pathEdge struct {
	fork, slot uint16
	z          float64
}

// build lays out a tree and returns how many features its longest path has.
func (b *pathBuilder) build(out *kernel.PathTree, t *Tree, conditions []condition) int {
	b.out, b.tree, b.conditions, b.longest = out, t, conditions, 0
	b.place()
	if len(t.LeftChild) > 0 {
		b.add(0)
	}
	return b.longest
}

// place gives the slots, level by level, so that neighbours do not wait for each
// other's results.
func (b *pathBuilder) place() {
	t := b.tree
	b.slots = slices.Grow(b.slots[:0], len(t.LeftChild))[:len(t.LeftChild)]
	b.leaves = slices.Grow(b.leaves[:0], len(t.LeafValue))[:len(t.LeafValue)]
	b.order = b.order[:0]
	if len(t.LeftChild) > 0 {
		b.order = append(b.order, 0)
	}
	fork, pair := 0, len(b.out.Forks)
	leaf := pair + len(b.out.Pairs)
	for i := 0; i < len(b.order); i++ {
		node := b.order[i]
		children := [2]int{t.LeftChild[node], t.RightChild[node]}
		if children[0] < 0 && children[1] < 0 {
			b.slots[node] = uint16(pair)
			pair++
			continue
		}
		b.slots[node] = uint16(fork)
		fork++
		for _, c := range children {
			if c >= 0 {
				b.order = append(b.order, c)
			} else {
				b.leaves[^c] = uint16(leaf)
				b.out.Leaves[leaf-len(b.out.Forks)-len(b.out.Pairs)] = t.LeafValue[^c]
				leaf++
			}
		}
	}
}

// add lays out the tree below a node.
func (b *pathBuilder) add(node int) {
	t, out := b.tree, b.out
	number := b.used.number[t.SplitFeature[node]]
	test := kernel.PathTest(b.conditions[node].test(), number)
	before, z, repeat := b.on[number], 1.0, uint16(0)
	if before.slot != 0 {
		out.Repeats = append(out.Repeats, kernel.PathRepeat{Z: before.z, Fork: before.fork, Slot: before.slot})
		repeat, z = uint16(len(out.Repeats)), before.z
	} else {
		b.length++
		b.longest = max(b.longest, b.length)
	}
	left, right := t.LeftChild[node], t.RightChild[node]
	share := [2]float64{t.share(node, left), t.share(node, right)}
	if slot := b.slots[node]; left < 0 && right < 0 {
		l, r := t.LeafValue[^left], t.LeafValue[^right]
		mean := float64(l*share[0]) + float64(r*share[1])
		out.Pairs[int(slot)-len(out.Forks)] = kernel.PathPair{Test: test, Mean: mean, Gain: [2]float64{l - mean, r - mean}, Repeat: repeat}
	} else {
		fork := &out.Forks[slot]
		*fork = kernel.PathFork{Test: test, Share: share, Repeat: repeat}
		for side, child := range [2]int{left, right} {
			if child < 0 {
				fork.Child[side] = b.leaves[^child]
				continue
			}
			fork.Child[side] = b.slots[child]
			b.on[number] = pathEdge{slot, b.slots[child], float64(z * share[side])}
			b.add(child)
		}
		b.on[number] = before
	}
	if before.slot == 0 {
		b.length--
	}
}

// contributions adds those of trees from to to, times scale, to phi.
func (pf *pathForest) contributions(k *kernel.Keys, s *kernel.PathScratch, from, to int, phi []float64, scale float64) {
	for i := from; i < to; i++ {
		t := &pf.trees[i]
		for p := t.from; p < t.to; p++ {
			kernel.Path(&t.PathTree, &pf.points[p], t.all, k, s)
		}
	}
	for j := range s.Totals {
		t := &s.Totals[j]
		sum := ((t[0] + t[1]) + (t[2] + t[3])) + ((t[4] + t[5]) + (t[6] + t[7]))
		phi[pf.features[j]] += float64(sum * scale)
	}
	clear(s.Totals)
}
