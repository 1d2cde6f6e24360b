package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomPathTree has n inner nodes in a random shape; some test the feature of
// one above them again.
func randomPathTree(r *rand.Rand, keys *Keys, n, totals int) *PathTree {
	type node struct{ parent, side, left, right int } // children are -1 if they are leaves
	nodes := []node{{-1, 0, -1, -1}}
	for len(nodes) < n {
		p := r.IntN(len(nodes))
		switch child := len(nodes); {
		case nodes[p].left < 0 && r.IntN(2) == 0:
			nodes[p].left = child
			nodes = append(nodes, node{p, 0, -1, -1})
		case nodes[p].right < 0:
			nodes[p].right = child
			nodes = append(nodes, node{p, 1, -1, -1})
		}
	}
	fork := func(i int) bool { return nodes[i].left >= 0 || nodes[i].right >= 0 }
	slots := make([]int, n)
	next := 0
	for _, forks := range []bool{true, false} {
		for i := range nodes {
			if fork(i) == forks {
				slots[i] = next
				next++
			}
		}
	}
	t := &PathTree{}
	for i, at := range nodes {
		repeat := uint16(0)
		if above := at.parent; above >= 0 && r.IntN(3) == 0 {
			way := i
			for nodes[above].parent >= 0 && r.IntN(2) == 0 {
				way, above = above, nodes[above].parent
			}
			t.Repeats = append(t.Repeats, PathRepeat{float64(r.IntN(5)) / 4, uint16(slots[above]), uint16(slots[way])})
			repeat = uint16(len(t.Repeats))
		}
		test := PathTest(randomTest(r, keys), uint16(r.IntN(totals)))
		share := float64(r.IntN(9)) / 8
		if !fork(i) {
			t.Pairs = append(t.Pairs, PathPair{test, r.NormFloat64(), [2]float64{r.NormFloat64(), r.NormFloat64()}, repeat})
			continue
		}
		f := PathFork{Test: test, Share: [2]float64{share, 1 - share}, Repeat: repeat}
		for side, child := range [2]int{at.left, at.right} {
			if child >= 0 {
				f.Child[side] = uint16(slots[child])
			} else {
				f.Child[side] = uint16(n + len(t.Leaves))
				t.Leaves = append(t.Leaves, r.NormFloat64())
			}
		}
		t.Forks = append(t.Forks, f)
	}
	return t
}

func randomPoints(r *rand.Rand) *Points {
	p := &Points{}
	for l := range p.P {
		p.P[l] = 0.01 + 0.98*r.Float64()
		p.Q[l] = 1 - p.P[l]
		p.Weight[l] = r.Float64()
	}
	return p
}

// checkPath compares every level with plain Go, bit for bit.
func checkPath(tb testing.TB, r *rand.Rand, inner int) {
	tb.Helper()
	defer Use(level)
	const totals = 7
	keys := randomKeys(r)
	t, points := randomPathTree(r, keys, inner, totals), randomPoints(r)
	start := make([][PathLanes]float64, totals)
	for i := range start {
		for l := range start[i] {
			start[i][l] = r.NormFloat64()
		}
	}
	for _, all := range []bool{false, true} {
		want := NewPathScratch(t.Slots(), totals)
		copy(want.Totals, start)
		pathGo(t, points, 0, keys, want)
		if all {
			pathGo(t, points, PathLanes/2, keys, want)
		}
		for l := Plain; l <= Best(); l++ {
			Use(l)
			got := NewPathScratch(t.Slots(), totals+1) // one more than needed
			copy(got.Totals, start)
			for i := range got.slots { // what an earlier tree left behind
				for l := range got.slots[i] {
					got.slots[i][l] = math.NaN()
				}
			}
			Path(t, points, all, keys, got)
			if !slices.Equal(got.Totals[:totals], want.Totals) || got.Totals[totals] != [PathLanes]float64{} {
				tb.Fatalf("%v, %d nodes, all %v: totals %v, want %v", l, inner, all, got.Totals, want.Totals)
			}
		}
	}
}

func TestPath(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for trial := range 500 {
		checkPath(t, r, 1+trial%70)
	}
}

// TestPathOfLeaf: nothing is added.
func TestPathOfLeaf(t *testing.T) {
	s := NewPathScratch(0, 0)
	Path(&PathTree{}, &Points{}, true, &Keys{}, s)
}

// TestPathByHand: x <= 5 with half of the rows on each side and the values 0
// and 1 has the value 1-1/2 for a row that goes right, whatever the points.
func TestPathByHand(t *testing.T) {
	tree := &PathTree{Pairs: []PathPair{{Test: PathTest(5<<32, 0), Mean: 0.5, Gain: [2]float64{-0.5, 0.5}}}}
	points := &Points{P: [PathLanes]float64{0.25, 0.75}, Q: [PathLanes]float64{0.75, 0.25}, Weight: [PathLanes]float64{0.5, 0.5}}
	eachLevel(t, func(t *testing.T) {
		s := NewPathScratch(1, 1)
		Path(tree, points, false, &Keys{6}, s)
		if got, want := s.Totals[0], ([PathLanes]float64{0.25, 0.25}); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

func FuzzPath(f *testing.F) {
	f.Add(uint64(1), uint8(3))
	f.Add(uint64(2), uint8(200))
	f.Fuzz(func(t *testing.T, seed uint64, inner uint8) {
		checkPath(t, rand.New(rand.NewPCG(seed, 1)), 1+int(inner))
	})
}

func BenchmarkPath(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 10))
	keys, points := randomKeys(r), randomPoints(r)
	var trees []*PathTree
	slots := 0
	for range 200 {
		trees = append(trees, randomPathTree(r, keys, 62, 50))
		slots = max(slots, trees[len(trees)-1].Slots())
	}
	s := NewPathScratch(slots, 50)
	for _, all := range []bool{false, true} {
		b.Run(fmt.Sprintf("all=%v", all), func(b *testing.B) {
			eachLevel(b, func(b *testing.B) {
				for b.Loop() {
					for _, t := range trees {
						Path(t, points, all, keys, s)
					}
				}
			})
		})
	}
}
