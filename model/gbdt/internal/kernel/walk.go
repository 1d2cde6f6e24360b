package kernel

import "math"

// Width is how many trees are scored side by side, so that their chains of
// loads overlap.
const Width = 8

// maxGroups bounds the groups of trees one call of assembly works through.
const maxGroups = 128

// Walk adds to sum the values of the leaves that a row reaches from the roots,
// one after the other. A node is eight bytes,
//
//	greatest key that goes left 32 | steps to the left child 16 | key 16
//
// and children are neighbours, the left one first. A [WalkLeaf] has no steps and lets
// every key go left: it stays where it is.
func Walk(nodes []uint64, values []float64, roots [][Width]uint32, keys *Keys, sum float64) float64 {
	return walk(nodes, values, roots, keys, sum)
}

func walkGo(nodes []uint64, values []float64, roots [][Width]uint32, keys *Keys, sum float64) float64 {
	for _, g := range roots {
		a, b, c, d, e, f, g, h := uint64(g[0]), uint64(g[1]), uint64(g[2]), uint64(g[3]), uint64(g[4]), uint64(g[5]), uint64(g[6]), uint64(g[7])
		for {
			a1, b1, c1, d1 := step(nodes, keys, a), step(nodes, keys, b), step(nodes, keys, c), step(nodes, keys, d)
			e1, f1, g1, h1 := step(nodes, keys, e), step(nodes, keys, f), step(nodes, keys, g), step(nodes, keys, h)
			moved := (a ^ a1) | (b ^ b1) | (c ^ c1) | (d ^ d1) | (e ^ e1) | (f ^ f1) | (g ^ g1) | (h ^ h1)
			a, b, c, d, e, f, g, h = a1, b1, c1, d1, e1, f1, g1, h1
			if moved == 0 {
				break
			}
		}
		for _, at := range [Width]uint64{a, b, c, d, e, f, g, h} {
			sum += values[at]
		}
	}
	return sum
}

// WalkLeaf is the node of a leaf.
const WalkLeaf = uint64(math.MaxUint32) << 32

// WalkNode is an inner node; the bound of the test is not 0.
func WalkNode(t Test, steps uint16) uint64 { return uint64(t) - 1<<32 | uint64(steps)<<16 }

// step goes from a node to its child, and from a leaf to itself.
func step(nodes []uint64, keys *Keys, at uint64) uint64 {
	n := nodes[at]
	return at + n>>16&0xffff + (n>>32-uint64(keys.At(uint16(n))))>>63
}
