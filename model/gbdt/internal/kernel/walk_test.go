package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func randomKeys(r *rand.Rand) *Keys {
	k := &Keys{}
	for i := range k {
		k[i] = byte(r.Uint32())
		if r.IntN(4) == 0 {
			k[i] = byte(-r.IntN(2)) // the least and the greatest keys too
		}
	}
	return k
}

// randomTest has a bound next to the key every other time.
func randomTest(r *rand.Rand, keys *Keys) Test {
	key := uint16(r.Uint32())
	bound := r.Uint32()
	if r.IntN(2) == 0 {
		bound = keys.At(key) + uint32(r.IntN(3)) - 1
	}
	return Test(bound)<<32 | Test(key)
}

// walkOracle is the definition: one tree after the other, until a leaf.
func walkOracle(nodes []uint64, values []float64, roots [][Width]uint32, keys *Keys, sum float64) float64 {
	for _, g := range roots {
		for _, root := range g {
			at := root
			for nodes[at] != WalkLeaf {
				n := nodes[at]
				at += uint32(n >> 16 & 0xffff)
				if keys.At(uint16(n)) > uint32(n>>32) {
					at++
				}
			}
			sum += values[at]
		}
	}
	return sum
}

// randomWalk has n trees, some of them one leaf, and the leaf that fills up the
// last group.
func randomWalk(r *rand.Rand, keys *Keys, n, inner int) (nodes []uint64, values []float64, roots [][Width]uint32) {
	nodes, values = []uint64{WalkLeaf}, []float64{0}
	roots = make([][Width]uint32, (n+Width-1)/Width)
	for i := range n {
		roots[i/Width][i%Width] = uint32(len(nodes))
		open := []int{len(nodes)}
		nodes, values = append(nodes, WalkLeaf), append(values, r.NormFloat64())
		for range r.IntN(inner + 1) {
			k := r.IntN(len(open))
			at := open[k]
			test := randomTest(r, keys)
			if test>>32 == 0 {
				test |= 1 << 32
			}
			nodes[at] = WalkNode(test, uint16(len(nodes)-at))
			open[k] = len(nodes)
			open = append(open, len(nodes)+1)
			nodes, values = append(nodes, WalkLeaf, WalkLeaf), append(values, r.NormFloat64(), r.NormFloat64())
		}
	}
	return nodes, values, roots
}

func TestWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	eachLevel(t, func(t *testing.T) {
		for trial := range 300 {
			keys := randomKeys(r)
			nodes, values, roots := randomWalk(r, keys, r.IntN(40), 1+r.IntN(100))
			if trial == 0 {
				roots = append(roots, make([][Width]uint32, 2*maxGroups+1)...)
			}
			start := r.NormFloat64()
			got, want := Walk(nodes, values, roots, keys, start), walkOracle(nodes, values, roots, keys, start)
			if math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("trial %d: %v, want %v", trial, got, want)
			}
		}
	})
}

func TestCells(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	eachLevel(t, func(t *testing.T) {
		for trial := range 300 {
			keys := randomKeys(r)
			scores := make([]float64, 400)
			for i := range scores {
				scores[i] = r.NormFloat64()
			}
			n := r.IntN(5)
			if trial == 0 {
				n = 2*maxGroups + 1
			}
			groups := make([]CellGroup, n)
			want := make([][Width]uint32, n)
			start := r.NormFloat64()
			sum := start
			for i := range groups {
				g := &groups[i]
				g.Tests = make([][Width]Test, r.IntN(9))
				for j := range g.First {
					g.First[j] = uint32(r.IntN(400 - 1<<len(g.Tests) + 1))
					// The definition: a binary number of answers.
					cell := uint32(0)
					for q := range g.Tests {
						test := randomTest(r, keys)
						g.Tests[q][j] = test
						cell *= 2
						if keys.At(uint16(test)) < uint32(test>>32) {
							cell++
						}
					}
					want[i][j] = g.First[j] + cell
					sum += scores[want[i][j]]
				}
			}
			cells := make([][Width]uint32, n+1) // one more than needed, which must stay as it is
			if got := Cells(cells, groups, scores, keys, start); math.Float64bits(got) != math.Float64bits(sum) {
				t.Fatalf("trial %d: %v, want %v", trial, got, sum)
			}
			want = append(want, [Width]uint32{})
			if fmt.Sprint(cells) != fmt.Sprint(want) {
				t.Fatalf("trial %d: cells %v, want %v", trial, cells, want)
			}
		}
	})
}

func TestSpread(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	eachLevel(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 2, 7, 2*maxGroups + 1} {
			cells := make([][Width]uint32, n+CellsAhead)
			owners := make([][Width][8]uint16, n)
			rows := make([][8]float64, 50)
			for i := range rows {
				for j := range rows[i] {
					rows[i][j] = r.NormFloat64()
				}
			}
			var got, want [1 << 16]float64
			for i := range owners {
				for j := range cells[i] {
					cells[i][j] = uint32(r.IntN(len(rows)))
					for k, v := range rows[cells[i][j]] {
						owners[i][j][k] = uint16(r.IntN(10) * (1<<16 - 1) / 9)
						want[owners[i][j][k]] += v
					}
				}
			}
			Spread(&got, cells, rows, owners)
			if got != want {
				t.Errorf("%d groups: totals differ", n)
			}
		}
	})
}

// TestKeysOverlap: any offset has four bytes.
func TestKeysOverlap(t *testing.T) {
	k := &Keys{65535: 1, 65536: 2, 65537: 3, 65538: 4}
	if got := k.At(65535); got != 0x04030201 {
		t.Errorf("the last key is %x", got)
	}
}

func BenchmarkWalk(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	var keys [16]*Keys
	for i := range keys {
		keys[i] = randomKeys(r)
	}
	nodes, values, roots := randomWalk(r, keys[0], 200, 100)
	eachLevel(b, func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			Walk(nodes, values, roots, keys[i%len(keys)], 0)
		}
	})
}
