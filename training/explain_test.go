package training

import (
	"math"
	"testing"
)

func TestRankCorrelation(t *testing.T) {
	// scipy 1.17.1: spearmanr([3, 1, 1, 7, 5, 9], [2, 2, 1, 6, 8, 7]).
	a, b := []float64{3, 1, 1, 7, 5, 9}, []float64{2, 2, 1, 6, 8, 7}
	if got, want := correlation(ranks(a), ranks(b)), 0.7794117647058825; math.Abs(got-want) > 1e-12 {
		t.Errorf("%v, want %v", got, want)
	}
	if got := correlation(ranks([]float64{1, 2}), ranks([]float64{4, 4})); !math.IsNaN(got) {
		t.Errorf("of a constant: %v", got)
	}
}

// Examples are near the ends, and on the right side of nothing.
func TestExamples(t *testing.T) {
	x := explained{}
	for i := range 100 { // -49 to 50
		x.phi = append(x.phi, []float64{float64((i*37)%100) - 49, 0})
	}
	high, low := x.examples([]int{0, 1})
	// Of 50 above 0 the third from the end, of 49 below the third.
	if x.phi[high][0] != 48 || x.phi[low][0] != -47 {
		t.Errorf("%v and %v", x.phi[high], x.phi[low])
	}
	if high, low = x.examples([]int{1}); high != -1 || low != -1 {
		t.Errorf("of what contributes nothing: %d, %d", high, low)
	}
	x.phi = [][]float64{{-1}, {0}}
	if high, low = x.examples([]int{0}); high != -1 || low != 0 {
		t.Errorf("of what only lowers: %d, %d", high, low)
	}
}
