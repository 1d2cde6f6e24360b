package gbdt

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
)

// randomForest returns a valid forest of small trees with every kind of node.
// Thresholds are few, so that rows hit them exactly, and features few, so
// that they repeat on a path.
func randomForest(r *rand.Rand, features, trees, leaves int) *Forest {
	f := &Forest{
		Objective: "binary", Sigmoid: 1,
		AverageOutput: r.IntN(2) == 0,
		Parameters:    []string{"boosting: test", "empty: "},
		Categories:    json.RawMessage(`[["a", "b"]]`),
	}
	for i := range features {
		f.FeatureNames = append(f.FeatureNames, fmt.Sprintf("f%d=x", i))
		f.FeatureInfos = append(f.FeatureInfos, "none")
	}
	for range trees {
		f.Trees = append(f.Trees, randomTree(r, features, 1+r.IntN(leaves)))
	}
	return f
}

func randomTree(r *rand.Rand, features, leaves int) Tree {
	t := Tree{Shrinkage: 0.1}
	// Split a random leaf until there are enough; slot[i] is where leaf i
	// hangs.
	type slot struct {
		child *[]int
		node  int
	}
	slots := []slot{{}}
	for node := range leaves - 1 {
		t.LeftChild = append(t.LeftChild, 0)
		t.RightChild = append(t.RightChild, 0)
		at := r.IntN(len(slots))
		if s := slots[at]; s.child != nil {
			(*s.child)[s.node] = node
		}
		slots[at] = slot{&t.LeftChild, node}
		slots = append(slots, slot{&t.RightChild, node})

		feature := r.IntN(features)
		d := DecisionType(r.IntN(2))*DefaultLeft | DecisionType(r.IntN(3))<<2
		threshold := float64(r.IntN(5) - 2)
		if feature%3 == 2 {
			d = Categorical
			threshold = float64(t.numSets())
			if t.CatBoundaries == nil {
				t.CatBoundaries = []int{0}
			}
			for range 1 + r.IntN(2) {
				t.CatThreshold = append(t.CatThreshold, r.Uint32())
			}
			t.CatBoundaries = append(t.CatBoundaries, len(t.CatThreshold))
		}
		t.SplitFeature = append(t.SplitFeature, feature)
		t.Threshold = append(t.Threshold, threshold)
		t.DecisionType = append(t.DecisionType, d)
		t.SplitGain = append(t.SplitGain, float64(r.IntN(3)))
		t.InternalValue = append(t.InternalValue, math.Round(r.NormFloat64()*100)/100)
		t.InternalWeight = append(t.InternalWeight, float64(r.IntN(100)))
	}
	for i, s := range slots {
		if s.child != nil {
			(*s.child)[s.node] = ^i
		}
		t.LeafValue = append(t.LeafValue, r.NormFloat64())
		t.LeafWeight = append(t.LeafWeight, r.Float64())
		t.LeafCount = append(t.LeafCount, r.IntN(5)) // empty leaves too
	}
	t.InternalCount = make([]int, leaves-1)
	for i := leaves - 2; i >= 0; i-- {
		for _, c := range [2]int{t.LeftChild[i], t.RightChild[i]} {
			if c >= 0 {
				t.InternalCount[i] += t.InternalCount[c]
			} else {
				t.InternalCount[i] += t.LeafCount[^c]
			}
		}
	}
	return t
}

func randomRow(r *rand.Rand, features int) []float32 {
	row := make([]float32, features)
	for i := range row {
		switch r.IntN(6) {
		case 0:
			row[i] = float32(math.NaN())
		case 1:
			row[i] = 0
		case 2:
			row[i] = float32(r.IntN(70) - 3)
		default:
			row[i] = float32(r.IntN(9)-4) / 2
		}
	}
	return row
}
