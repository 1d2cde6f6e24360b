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
//	bound-1 32 | steps to the left child 16 | key 16
//
// Children are neighbours, the left one first, so a step is
//
//	at += steps + (1 if bound-1 < key)
//
// without a branch to be guessed. A leaf has no steps and a bound that no key
// is above: it stays where it is. Eight trees are walked side by side, so that
// the eight chains of loads overlap, until none of them moves. (The layout is
// that of "VPred" in Asadi, Lin and de Vries, "Runtime optimizations for
// tree-based machine learning models", TKDE 2014, packed.)
type nodeForest struct {
	nodes  []uint64
	values []float64       // of leaves, by node
	roots  [][width]uint32 // of groups; node 0 is a leaf of value 0 that fills up the last
}

func newNodeForest(f *Forest, conditions [][]condition, members []member) *nodeForest {
	first := make([]int, len(f.Trees)+1)
	first[0] = 1
	for i := range f.Trees {
		first[i+1] = first[i] + 2*f.Trees[i].NumLeaves() - 1
	}
	n := first[len(f.Trees)]
	out := &nodeForest{nodes: make([]uint64, n), values: make([]float64, n)}
	out.nodes[0] = kernel.WalkLeaf
	eachTree(len(f.Trees), func() func(int) {
		var places []int
		return func(i int) { places = out.setTree(&f.Trees[i], conditions[i], first[i], places) }
	})
	for _, s := range members {
		for from := s.trees[0]; from < s.trees[1]; from += width {
			var group [width]uint32
			for i := from; i < min(from+width, s.trees[1]); i++ {
				group[i-from] = uint32(first[i])
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

// setTree lays out a tree level by level from first on. places is memory, which
// it returns for the next.
func (nf *nodeForest) setTree(t *Tree, conditions []condition, first int, places []int) []int {
	places = append(places[:0], 0) // the node or ^leaf that goes there
	if len(conditions) == 0 {
		places[0] = ^0
	}
	for i := 0; i < len(places); i++ {
		at := places[i]
		if at < 0 {
			nf.nodes[first+i], nf.values[first+i] = kernel.WalkLeaf, t.LeafValue[^at]
			continue
		}
		nf.nodes[first+i] = kernel.WalkNode(conditions[at].test(), uint16(len(places)-i))
		places = append(places, t.LeftChild[at], t.RightChild[at])
	}
	return places
}

// add adds the leaf values of some groups to sum, tree after tree.
func (nf *nodeForest) add(k *kernel.Keys, from, to int, sum float64) float64 {
	return kernel.Walk(nf.nodes, nf.values, nf.roots[from:to], k, sum)
}
