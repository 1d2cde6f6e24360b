package gbdt

import "churn/model/gbdt/internal/kernel"

// condition is a node's test: left if the key is below the bound.
type condition struct {
	key   uint16
	bound uint32
}

// test is the condition as kernels take it.
func (c condition) test() kernel.Test { return kernel.Test(c.bound)<<32 | kernel.Test(c.key) }

// A nodeForest holds all nodes of all trees, eight bytes each:
//
//	bound 32 | steps to the right child 16 | key 16
//
// Children are neighbours, the left one first, so a step is
//
//	at += steps - (1 if key < bound)
//
// without a branch to be guessed. A leaf has no steps and a bound that no key
// is below: it stays where it is. Eight trees are walked side by side, so that
// the eight chains of loads overlap, until none of them moves. (The layout is
// that of "VPred" in Asadi, Lin and de Vries, "Runtime optimizations for
// tree-based machine learning models", TKDE 2014, packed.)
type nodeForest struct {
	nodes  []uint64
	values []float64       // of leaves, by node
	roots  [][width]uint32 // of groups; node 0 is a leaf of value 0 that fills up the last
}

func newNodeForest(f *Forest, conditions [][]condition, members []member) *nodeForest {
	n := 1
	for i := range f.Trees {
		n += 2*f.Trees[i].NumLeaves() - 1
	}
	out := &nodeForest{nodes: make([]uint64, 1, n), values: make([]float64, 1, n)}
	for _, s := range members {
		for from := s.trees[0]; from < s.trees[1]; from += width {
			var group [width]uint32
			for i := from; i < min(from+width, s.trees[1]); i++ {
				group[i-from] = out.addTree(&f.Trees[i], conditions[i])
			}
			out.roots = append(out.roots, group)
		}
	}
	return out
}

// maxCompiledLeaves keeps the steps to a child within 16 bits: level by level,
// no child is further away than there are leaves. It does so with the slots of
// a path tree too, of which there are fewer than two for each leaf.
const maxCompiledLeaves = 1 << 15

// addTree appends the nodes of a tree level by level and returns its root.
func (nf *nodeForest) addTree(t *Tree, conditions []condition) uint32 {
	root := len(nf.nodes)
	nf.nodes, nf.values = append(nf.nodes, 0), append(nf.values, 0)
	type place struct{ child, at int } // a node or ^leaf, and where it goes
	first := 0
	if len(conditions) == 0 {
		first = ^0
	}
	queue := []place{{first, root}}
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		if p.child < 0 {
			nf.values[p.at] = t.LeafValue[^p.child]
			continue
		}
		left := len(nf.nodes)
		nf.nodes, nf.values = append(nf.nodes, 0, 0), append(nf.values, 0, 0)
		q := conditions[p.child]
		nf.nodes[p.at] = uint64(q.test()) | uint64(left+1-p.at)<<16
		queue = append(queue, place{t.LeftChild[p.child], left}, place{t.RightChild[p.child], left + 1})
	}
	return uint32(root)
}

// add adds the leaf values of some groups to sum, tree after tree.
func (nf *nodeForest) add(k *kernel.Keys, from, to int, sum float64) float64 {
	return kernel.Walk(nf.nodes, nf.values, nf.roots[from:to], k, sum)
}
