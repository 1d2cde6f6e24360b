package gbdt

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// conditional returns the score expected of row when only the features in the
// coalition are known: the game of Contributions, from its definition.
func conditional(t *Tree, at int, row []float32, coalition uint) float64 {
	if len(t.LeftChild) == 0 {
		return t.LeafValue[0]
	}
	if at < 0 {
		return t.LeafValue[^at]
	}
	left, right := t.LeftChild[at], t.RightChild[at]
	if coalition>>t.SplitFeature[at]&1 == 1 {
		if t.goesLeft(at, row) {
			return conditional(t, left, row, coalition)
		}
		return conditional(t, right, row, coalition)
	}
	return t.share(at, left)*conditional(t, left, row, coalition) +
		t.share(at, right)*conditional(t, right, row, coalition)
}

// shapley computes Shapley values by going through all coalitions.
func shapley(f *Forest, row []float32) (base float64, phi []float64) {
	n := len(f.FeatureNames)
	value := make([]float64, 1<<n)
	for s := range value {
		for i := range f.Trees {
			value[s] += conditional(&f.Trees[i], 0, row, uint(s))
		}
		if f.AverageOutput {
			value[s] /= float64(len(f.Trees))
		}
	}
	factorial := func(k int) float64 { return math.Gamma(float64(k + 1)) }
	phi = make([]float64, n)
	for i := range phi {
		for s := range value {
			if s>>i&1 == 1 {
				continue
			}
			k := bits.OnesCount(uint(s))
			phi[i] += factorial(k) * factorial(n-k-1) / factorial(n) * (value[s|1<<i] - value[s])
		}
	}
	return value[0], phi
}

// TestContributionsAgainstDefinition compares with brute force on forests in
// which features repeat on paths and some leaves saw no training row.
func TestContributionsAgainstDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	repeats := 0
	for range 300 {
		features := 1 + r.IntN(6)
		f := randomForest(r, features, 1+r.IntN(3), 12)
		for i := range f.Trees {
			if f.Trees[i].depth() > features {
				repeats++
			}
		}
		phi := make([]float64, features)
		for range 5 {
			row := randomRow(r, features)
			base := f.Contributions(row, phi)
			wantBase, want := shapley(f, row)
			if math.Abs(base-wantBase) > 1e-9 {
				t.Fatalf("base %v, want %v", base, wantBase)
			}
			for i := range phi {
				if !(math.Abs(phi[i]-want[i]) < 1e-9) {
					t.Fatalf("contribution %d is %v, want %v\nrow %v\nforest %+v", i, phi[i], want[i], row, f)
				}
			}
		}
	}
	if repeats == 0 {
		t.Error("no path tested a feature twice")
	}
}

// TestContributionsAddUp checks base + contributions = score on larger trees.
func TestContributionsAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		f := randomForest(r, 25, 20, 63)
		phi := make([]float64, 25)
		for range 5 {
			row := randomRow(r, 25)
			sum := f.Contributions(row, phi)
			for _, p := range phi {
				sum += p
			}
			if got := f.Predict(row); !(math.Abs(got-sum) < 1e-9) {
				t.Fatalf("base and contributions add up to %v, score is %v", sum, got)
			}
		}
	}
}

// TestContributionsByHand: one test, 3 of 4 training rows left (value 1), one
// right (value 2). The expectation is 1.25; going right adds 0.75.
func TestContributionsByHand(t *testing.T) {
	f := forestOf(2, stump(MissingNaN, 5))
	phi := []float64{9, 9}
	if base := f.Contributions([]float32{6, 0}, phi); base != 1.25 || phi[0] != 0.75 || phi[1] != 0 {
		t.Errorf("base %v, contributions %v, want 1.25 and [0.75 0]", base, phi)
	}
}
