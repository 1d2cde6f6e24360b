package gbdt

import "churn/model/gbdt/internal/kernel"

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
	used := newUsed(f)
	pf := &pathForest{trees: make([]pathTree, len(f.Trees)), features: used.features}
	longest := make([]int, len(f.Trees))
	eachTree(len(f.Trees), func() func(int) {
		b := pathBuilder{used: used, on: make([]pathEdge, len(used.features))}
		return func(i int) {
			longest[i] = b.build(&pf.trees[i].PathTree, &f.Trees[i], conditions[i])
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

// pathBuilder lays out trees, one after the other.
type pathBuilder struct {
	used       *used
	out        *kernel.PathTree
	tree       *Tree
	conditions []condition
	on         []pathEdge // by number of the feature: the last edge on the way that tests it
	length     int        // of the way, in features
	longest    int
	pairs      int // all of them
}

// pathEdge is a test on the way; it is none if the slot is 0, the root's.
type pathEdge struct {
	fork, slot uint16
	z          float64
}

// build lays out a tree and returns how many features its longest path has.
func (b *pathBuilder) build(out *kernel.PathTree, t *Tree, conditions []condition) int {
	b.out, b.tree, b.conditions, b.longest = out, t, conditions, 0
	pairs, leaves := 0, 0
	for node := range t.LeftChild {
		l, r := t.LeftChild[node] < 0, t.RightChild[node] < 0
		if l && r {
			pairs++
		} else if l || r {
			leaves++
		}
	}
	*out = kernel.PathTree{
		Forks:  make([]kernel.PathFork, 0, len(t.LeftChild)-pairs),
		Pairs:  make([]kernel.PathPair, 0, pairs),
		Leaves: make([]float64, 0, leaves),
	}
	if len(t.LeftChild) > 0 {
		b.add(0)
	}
	return b.longest
}

// add lays out the tree below node or ^leaf at and returns its slot.
func (b *pathBuilder) add(at int) uint16 {
	t, out := b.tree, b.out
	if at < 0 {
		out.Leaves = append(out.Leaves, t.LeafValue[^at])
		return uint16(cap(out.Forks) + cap(out.Pairs) + len(out.Leaves) - 1)
	}
	number := b.used.number[t.SplitFeature[at]]
	test := kernel.PathTest(b.conditions[at].test(), number)
	before := b.on[number]
	again := before.slot != 0
	repeat := uint16(0)
	z := 1.0
	if again {
		out.Repeats = append(out.Repeats, kernel.PathRepeat{Z: before.z, Fork: before.fork, Slot: before.slot})
		repeat, z = uint16(len(out.Repeats)), before.z
	} else {
		b.length++
		defer func() { b.length-- }()
	}
	b.longest = max(b.longest, b.length)
	left, right := t.LeftChild[at], t.RightChild[at]
	share := [2]float64{t.share(at, left), t.share(at, right)}
	if left < 0 && right < 0 {
		l, r := t.LeafValue[^left], t.LeafValue[^right]
		mean := float64(l*share[0]) + float64(r*share[1])
		out.Pairs = append(out.Pairs, kernel.PathPair{Test: test, Mean: mean, Gain: [2]float64{l - mean, r - mean}, Repeat: repeat})
		return uint16(cap(out.Forks) + len(out.Pairs) - 1)
	}
	fork := len(out.Forks)
	out.Forks = append(out.Forks, kernel.PathFork{Test: test, Share: share, Repeat: repeat})
	for side, child := range [2]int{left, right} {
		// Where the child goes is known before it goes there.
		slot := uint16(len(out.Forks))
		if child < 0 {
			slot = b.add(child)
		} else {
			if t.LeftChild[child] < 0 && t.RightChild[child] < 0 {
				slot = uint16(cap(out.Forks) + len(out.Pairs))
			}
			b.on[number] = pathEdge{uint16(fork), slot, float64(z * share[side])}
			b.add(child)
			b.on[number] = before
		}
		out.Forks[fork].Child[side] = slot
	}
	return uint16(fork)
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
