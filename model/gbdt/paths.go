package gbdt

import "slices"

// A pathForest computes exact Shapley values of trees of any shape by
// integration (quadrature TreeSHAP; the integral is Owen's multilinear
// extension, "Multilinear extensions of games", Management Science 1972).
//
// For one leaf of value v, let each feature i on its path have z_i, the part of
// the training rows that its tests let through, and o_i, 1 if they let the row
// through and else 0. Then the leaf gives feature i
//
//	v (o_i - z_i) ∫ Π_{j≠i} F_j(p) dp over 0..1,  F_j(p) = p o_j + (1-p) z_j
//
// and with m features on the path the integrand has degree m-1: Gauss-Legendre
// quadrature with m/2 points is exact. All points are worked on at once, as the
// lanes of a vector, in two passes over the nodes:
//
//   - Down, a node passes its product P = Π F_j on to its children, each with
//     the factor of its edge; a leaf multiplies by v.
//   - Up, a node adds its children's sums S of the leaves' products. An edge
//     gives its feature S (o-z)/F, which is -S/(1-p) where the row does not pass
//     and S (1-z) D where it does, with D = 1/(p + (1-p) z) computed once for
//     all rows.
//
// Where a feature is tested again further down, o and z are those of all its
// tests so far. Such a node takes the factor of the earlier edge out of P (it is
// 1/D if the row passed it), and takes what that edge gives for the same leaves
// out again; both are nothing if the row did not pass it: only the product goes
// on then.
type pathForest struct {
	trees []pathTree
	rules []rule
	nodes []pathNode // those of a tree in preorder
	// values of a tree's nodes in preorder, leaves included: that of a leaf,
	// or 1.
	values []float64
	// densities are the D of each edge of a tree, for each lane of each rule it
	// needs. Edge 0 of a tree is none at all, with z = 1; those of node i are
	// 2i+1 to the left and 2i+2 to the right.
	densities [][lanes]float64
	places    int // that a tree has at most
}

// lanes is the number of points of quadrature worked on at once.
const lanes = 8

// A rule is eight points of a quadrature: p, q = 1-p, 1/q and the weight.
type rule struct{ p, q, inverse, weight [lanes]float64 }

type pathTree struct {
	first, n   int // nodes
	values     int
	densities  int
	rules, end int // the rules it needs
}

// pathNode is an inner node, 64 bytes.
type pathNode struct {
	bound   uint32
	key     uint32
	feature uint32
	place   uint32     // among all nodes of the tree, leaves included, in preorder
	right   uint32     // place of the right child; the left child is the next
	earlier uint32     // edge above that tests the same feature, or 0
	blocked float64    // 1 - z of the earlier edge
	z       [2]float64 // of the edges to the left and right, all tests of the feature included
	share   [2]float64 // of the node's training rows that go left and right
}

// pathScratch is the memory for one row.
type pathScratch struct {
	sums   [][lanes]float64 // P, then S, by place
	totals [][lanes]float64 // by feature
	passed []bool           // by edge
}

func (pf *pathForest) scratch(features int) *pathScratch {
	s := &pathScratch{sums: make([][lanes]float64, pf.places), totals: make([][lanes]float64, features),
		passed: make([]bool, 2*pf.places+2)}
	s.passed[0] = true
	return s
}

func newPathForest(f *Forest, conditions [][]condition) *pathForest {
	pf := &pathForest{}
	rules := map[int][2]int{} // by number of lanes
	for i := range f.Trees {
		t := &f.Trees[i]
		b := pathBuilder{pf: pf, tree: t, conditions: conditions[i], edges: []float64{1}}
		pt := pathTree{first: len(pf.nodes), values: len(pf.values), densities: len(pf.densities)}
		root := 0
		if len(t.LeftChild) == 0 {
			root = ^0
		}
		b.add(root, 0)
		pt.n = len(pf.nodes) - pt.first
		pf.places = max(pf.places, len(pf.values)-pt.values)
		// 2N points are exact for paths of 4N features; always whole vectors.
		points := lanes * max(1, (b.longest+2*lanes-1)/(2*lanes))
		r, ok := rules[points]
		if !ok {
			r[0] = len(pf.rules)
			pf.rules = append(pf.rules, quadrature(points)...)
			r[1] = len(pf.rules)
			rules[points] = r
		}
		pt.rules, pt.end = r[0], r[1]
		for k := range pf.rules[r[0]:r[1]] {
			rule := &pf.rules[r[0]+k]
			for e, z := range b.edges {
				d := [lanes]float64{}
				for l := range d {
					if d[l] = 1; e > 0 {
						d[l] = 1 / (rule.p[l] + float64(rule.q[l]*z))
					}
				}
				pf.densities = append(pf.densities, d)
			}
		}
		pf.trees = append(pf.trees, pt)
	}
	return pf
}

// pathBuilder lays out one tree.
type pathBuilder struct {
	pf         *pathForest
	tree       *Tree
	conditions []condition
	path       []pathEdge // the last edge of each feature on the way
	edges      []float64  // z of every edge
	longest    int        // path, in features
}

type pathEdge struct {
	feature int
	edge    uint32
	z       float64
}

// add lays out the tree below node or ^leaf at and returns its place.
func (b *pathBuilder) add(at int, place uint32) (next uint32) {
	pf, t := b.pf, b.tree
	if at < 0 {
		pf.values = append(pf.values, t.LeafValue[^at])
		b.longest = max(b.longest, len(b.path))
		return place + 1
	}
	pf.values = append(pf.values, 1)
	feature := t.SplitFeature[at]
	c := b.conditions[at]
	index := len(pf.nodes)
	n := pathNode{bound: c.bound, key: uint32(c.key), feature: uint32(feature), place: place}
	before := slices.IndexFunc(b.path, func(e pathEdge) bool { return e.feature == feature })
	z, old := 1.0, pathEdge{}
	if before >= 0 {
		old = b.path[before]
		n.earlier, n.blocked, z = old.edge, 1-old.z, old.z
	}
	edge := uint32(len(b.edges))
	for side, child := range [2]int{t.LeftChild[at], t.RightChild[at]} {
		n.share[side] = t.share(at, child)
		n.z[side] = float64(z * n.share[side])
		b.edges = append(b.edges, n.z[side])
	}
	pf.nodes = append(pf.nodes, n)
	next = place + 1
	for side, child := range [2]int{t.LeftChild[at], t.RightChild[at]} {
		e := pathEdge{feature, edge + uint32(side), n.z[side]}
		if before >= 0 {
			b.path[before] = e
		} else {
			b.path = append(b.path, e)
		}
		if side == 1 {
			pf.nodes[index].right = next
		}
		next = b.add(child, next)
		if before < 0 {
			b.path = b.path[:len(b.path)-1]
		}
	}
	if before >= 0 {
		b.path[before] = old
	}
	return next
}

// contributions adds those of trees from to to, times scale, to phi.
func (pf *pathForest) contributions(k *keys, s *pathScratch, from, to int, phi []float64, scale float64) {
	done := -1 // the rule whose points the totals are of
	for i := range pf.trees[from:to] {
		t := &pf.trees[from+i]
		for r := t.rules; r < t.end; r++ {
			if r != done {
				s.finish(pf, done, phi, scale)
				done = r
			}
			edges := 2*t.n + 1
			at := t.densities + (r-t.rules)*edges
			pathPass(pf.nodes[t.first:t.first+t.n], pf.values[t.values:], pf.densities[at:at+edges], &pf.rules[r], k, s)
		}
	}
	s.finish(pf, done, phi, scale)
}

// finish integrates the totals of a rule and clears them.
func (s *pathScratch) finish(pf *pathForest, r int, phi []float64, scale float64) {
	if r < 0 {
		return
	}
	w := &pf.rules[r].weight
	for j := range s.totals {
		t := &s.totals[j]
		sum := 0.0
		for l := range t {
			sum += float64(t[l] * w[l])
		}
		phi[j] += float64(sum * scale)
	}
	clear(s.totals)
}

// pathPass adds one tree's part to the totals, for eight points.
func pathPass(nodes []pathNode, values []float64, densities [][lanes]float64, r *rule, k *keys, s *pathScratch) {
	sums := s.sums
	for l := range lanes {
		sums[0][l] = 1
	}
	for i := range nodes {
		n := &nodes[i]
		left := k[uint16(n.key)] < n.bound
		product := &sums[n.place]
		l, rt := &sums[n.place+1], &sums[n.right]
		vl, vr := values[n.place+1], values[n.right]
		if !s.passed[n.earlier] {
			s.passed[2*i+1], s.passed[2*i+2] = false, false
			for j := range lanes {
				p := product[j]
				l[j] = float64(float64(p*n.share[0]) * vl)
				rt[j] = float64(float64(p*n.share[1]) * vr)
			}
			continue
		}
		s.passed[2*i+1], s.passed[2*i+2] = left, !left
		d := &densities[n.earlier]
		hot, cold := l, rt
		zh, zc, vh, vc := n.z[0], n.z[1], vl, vr
		if !left {
			hot, cold, zh, zc, vh, vc = rt, l, zc, zh, vr, vl
		}
		for j := range lanes {
			p := float64(product[j] * d[j])
			hot[j] = float64(float64(p*(r.p[j]+float64(r.q[j]*zh))) * vh)
			cold[j] = float64(float64(p*float64(r.q[j]*zc)) * vc)
		}
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		n := &nodes[i]
		sum := &sums[n.place]
		l, rt := &sums[n.place+1], &sums[n.right]
		if !s.passed[n.earlier] {
			for j := range lanes {
				sum[j] = l[j] + rt[j]
			}
			continue
		}
		total := &s.totals[n.feature]
		hot, cold, edge := l, rt, 2*i+1
		if !s.passed[edge] {
			hot, cold, edge = rt, l, edge+1
		}
		open := 1 - n.z[edge-2*i-1]
		d, old := &densities[edge], &densities[n.earlier]
		for j := range lanes {
			both := hot[j] + cold[j]
			sum[j] = both
			gain := float64(hot[j]*float64(open*d[j])) - float64(cold[j]*r.inverse[j])
			total[j] += gain - float64(both*float64(n.blocked*old[j]))
		}
	}
}
