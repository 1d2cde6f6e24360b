package kernel

// A PathTree is a tree laid out for exact Shapley values by integration; what
// is integrated is said where the trees are made. Every node that is not a
// lone leaf has a slot, the root the first one: forks are first, then pairs,
// then the leaves that hang on forks.
type PathTree struct {
	Forks   []PathFork // parents before their children
	Pairs   []PathPair
	Leaves  []float64 // values
	Repeats []PathRepeat
}

// Slots is how many slots the tree needs.
func (t *PathTree) Slots() int { return len(t.Forks) + len(t.Pairs) + len(t.Leaves) }

// A PathFork is a node with a child that is not a leaf.
type PathFork struct {
	Test   Test       // with Total in bits 16 to 31
	Share  [2]float64 // of the training rows that go left and right
	Child  [2]uint16  // slots
	Repeat uint16     // number of a PathRepeat from 1, or 0
}

// A PathPair is a node with two leaves.
type PathPair struct {
	Test   Test       // with Total in bits 16 to 31
	Mean   float64    // of the leaves, by training rows
	Gain   [2]float64 // of the left and right leaf: value - Mean
	Repeat uint16
}

// A PathRepeat is what a node knows of the test of its feature further up.
type PathRepeat struct {
	Z    float64 // the part of the training rows that all tests so far let through
	Fork uint16  // the test before
	Slot uint16  // its child on the way to the node
}

// PathTest returns a test that adds to total number total.
func PathTest(t Test, total uint16) Test { return t | Test(total)<<16 }

// PathLanes is how many points a quadrature has, if they are enough; half of
// them are worked on by themselves.
const PathLanes = 8

// Points are points of a quadrature over 0..1, with Q = 1-P.
type Points struct{ P, Q, Weight [PathLanes]float64 }

// PathScratch is the memory for one row.
type PathScratch struct {
	Totals [][PathLanes]float64
	slots  [][PathLanes]float64
	hot    []uint16 // of forks: the child the row goes to, 0 if it is not known to get there
}

// NewPathScratch returns memory for trees of that many slots, with totals of 0.
func NewPathScratch(slots, totals int) *PathScratch {
	return &PathScratch{make([][PathLanes]float64, totals), make([][PathLanes]float64, max(1, slots)), make([]uint16, slots)}
}

// Path adds the tree's part to the totals, for the first half of the points or
// for all. With the points p, weights w, and for each node the shares s of its
// children, p' the chance that its feature is in a coalition and V the product
// of what leads to it:
//
//	root    V = w
//	child   V (1-p') s, and V p' more where the row goes
//	value   G = m + p' d, with m = s G of both children and d = G - m of the
//	        child to which the row goes
//	total   V d more
//
// p' is p where the feature is tested for the first time. If it was tested
// before, and the earlier tests let the part z of the training rows through, let
// F = p + (1-p) z: p' is p/F, and V has the factor z/F² more in the total. Both
// are 0 if the row does not pass the earlier tests.
func Path(t *PathTree, points *Points, all bool, keys *Keys, s *PathScratch) {
	if len(t.Forks)+len(t.Pairs) > 0 {
		path(t, points, all, keys, s)
	}
}

// pathGo works on half of the points, from lane first on.
func pathGo(t *PathTree, points *Points, first int, keys *Keys, s *PathScratch) {
	const lanes = PathLanes / 2
	type vector = [lanes]float64
	p := vector(points.P[first:])
	slot := func(i int) *vector { return (*vector)(s.slots[i][:]) }
	*slot(0) = vector(points.Weight[first:])
	for i := range t.Forks {
		n := &t.Forks[i]
		side := 1 - keys.below(n.Test)
		hot, cold := n.Child[side&1], n.Child[side&1^1]
		chance, v := p, slot(i)
		into := *v
		if n.Repeat != 0 {
			var factor vector
			if !t.again(n.Repeat, points, first, s, &chance, &factor) {
				s.hot[i] = 0
			} else {
				s.hot[i] = hot
			}
			for l := range lanes {
				v[l] = float64(into[l] * factor[l])
			}
		} else {
			s.hot[i] = hot
		}
		h, c := slot(int(hot)), slot(int(cold))
		sh, sc := n.Share[side&1], n.Share[side&1^1]
		for l := range lanes {
			in := float64(into[l] * chance[l])
			out := into[l] - in
			h[l] = float64(out*sh) + in
			c[l] = float64(out * sc)
		}
	}
	for i := range t.Pairs {
		n := &t.Pairs[i]
		d := n.Gain[(1-keys.below(n.Test))&1]
		chance, v := p, slot(len(t.Forks)+i)
		if n.Repeat != 0 {
			var factor vector
			t.again(n.Repeat, points, first, s, &chance, &factor)
			for l := range lanes {
				v[l] = float64(v[l] * factor[l])
			}
		}
		total := (*vector)(s.Totals[uint16(n.Test>>16)][first:])
		for l := range lanes {
			total[l] += float64(v[l] * d)
			v[l] = n.Mean + float64(chance[l]*d)
		}
	}
	for i, value := range t.Leaves {
		*slot(len(t.Forks) + len(t.Pairs) + i) = vector{value, value, value, value}
	}
	for i := len(t.Forks) - 1; i >= 0; i-- {
		n := &t.Forks[i]
		chance, v := p, slot(i)
		if n.Repeat != 0 {
			var factor vector
			t.again(n.Repeat, points, first, s, &chance, &factor)
		}
		left, right, hot := slot(int(n.Child[0])), slot(int(n.Child[1])), slot(int(s.hot[i]))
		total := (*vector)(s.Totals[uint16(n.Test>>16)][first:])
		for l := range lanes {
			m := float64(left[l]*n.Share[0]) + float64(right[l]*n.Share[1])
			d := hot[l] - m
			total[l] += float64(v[l] * d)
			v[l] = m + float64(chance[l]*d)
		}
	}
}

// again sets the chance and the factor of a node whose feature was tested
// before, and reports whether the row passed.
func (t *PathTree) again(repeat uint16, points *Points, first int, s *PathScratch, chance, factor *[PathLanes / 2]float64) bool {
	r := &t.Repeats[repeat-1]
	if s.hot[r.Fork] != r.Slot {
		*chance, *factor = [PathLanes / 2]float64{}, [PathLanes / 2]float64{}
		return false
	}
	for l := range chance {
		p, q := points.P[first+l], points.Q[first+l]
		inverse := 1 / (p + float64(q*r.Z))
		chance[l] = float64(p * inverse)
		factor[l] = float64(float64(r.Z*inverse) * inverse)
	}
	return true
}
