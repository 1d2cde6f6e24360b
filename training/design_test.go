package training

import (
	"math"
	"math/rand/v2"
	"testing"

	"churn/features"
	"churn/model"
)

var nan32 = float32(math.NaN())

// mixedRows makes rows of every sort of feature.
func mixedRows(r *rand.Rand, n int) *features.Matrix {
	m := &features.Matrix{Features: []features.Feature{
		{Name: "normal"}, {Name: "count"}, {Name: "constant"}, {Name: "mostly_missing"}, {Name: "constant_or_missing"},
		{Name: "two_values"}, {Name: "all_missing"},
		{Name: "plan", Kind: features.Category, Levels: []string{"a", "b", "c"}},
		{Name: "one_level", Kind: features.Category, Levels: []string{"a"}},
		{Name: "level_or_missing", Kind: features.Category, Levels: []string{"a"}},
		{Name: "no_level", Kind: features.Category, Levels: []string{}},
	}}
	for range n {
		row := m.Grow()
		row[0] = float32(r.NormFloat64() * 100)
		row[1] = float32(math.Floor(r.ExpFloat64() * 2))
		row[2] = 5
		row[3], row[4], row[6], row[9] = nan32, nan32, nan32, nan32
		if r.IntN(4) == 0 {
			row[3] = float32(r.ExpFloat64())
		}
		if r.IntN(2) == 0 {
			row[4] = 3
			row[9] = 0
		}
		row[5] = float32(r.IntN(2))
		row[7] = float32(r.IntN(5) - 1) // -1 is another level; 3 is out of range
		if r.IntN(6) == 0 {
			row[7] = nan32
		}
		row[8], row[10] = 0, -1
	}
	return m
}

// The additive model made of the weights gives for any row the dot product of
// the design's columns and the weights.
func TestLinearIsTheDotProduct(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 19, 25, 60, 3000} {
		m := mixedRows(r, n)
		d := newDesign(m, 2)
		weights := make([]float64, d.columns)
		for j := range weights {
			weights[j] = r.NormFloat64()
		}
		c := &candidate{linear: d.linear(weights, 0.25, m, 2), weights: model.Weights{Linear: 1}}
		test := mixedRows(r, 500)
		for i := range 500 {
			row := test.Row(i)
			for j := range row {
				switch r.IntN(12) {
				case 0:
					row[j] = nan32
				case 1:
					row[j] = -1
				case 2:
					row[j] = float32(r.NormFloat64() * 1e6)
				case 3:
					if n > 0 {
						row[j] = m.Row(r.IntN(n))[j] // on a knot, often
					}
				}
			}
		}
		x := make([]float64, d.columns)
		for i, got := range c.margins(test, 3) {
			d.row(x, test.Row(i))
			want := 0.25
			for j, w := range weights {
				want += w * x[j]
			}
			if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
				t.Fatalf("%d training rows, row %v: %v, want %v", n, test.Row(i), got, want)
			}
		}
	}
}

func TestDesignColumns(t *testing.T) {
	m := mixedRows(rand.New(rand.NewPCG(3, 4)), 3000)
	d := newDesign(m, 1)
	want := map[string]int{
		"normal":              2, // z, z²
		"count":               2,
		"mostly_missing":      3, // and whether it is
		"constant_or_missing": 1, // only whether it is
		"two_values":          1, // two values cannot bend
		"plan":                4, // three levels, missing
		"level_or_missing":    2,
	}
	next := 0
	for _, b := range d.blocks {
		name := m.Features[b.feature].Name
		if b.width != want[name] || b.first != next {
			t.Errorf("%s has columns %d to %d, want %d from %d", name, b.first, b.first+b.width-1, want[name], next)
		}
		next += b.width
		delete(want, name)
	}
	if len(want) != 0 || d.columns != next {
		t.Errorf("no columns for %v; %d columns in all, want %d", want, d.columns, next)
	}
	// Over the training rows every column has mean 0 and variance 1.
	sums, squares := make([]float64, d.columns), make([]float64, d.columns)
	x := make([]float64, d.columns)
	for i := range m.Rows() {
		d.row(x, m.Row(i))
		for j, v := range x {
			sums[j] += v
			squares[j] += v * v
		}
	}
	for j := range x {
		mean, n := sums[j]/3000, 3000.0
		if math.Abs(mean) > 1e-9 {
			t.Errorf("column %d has mean %v", j, mean)
		}
		// Missing numbers stand at the mean: they are not spread.
		if v := squares[j] / n; v > 1+1e-9 || v < 0.2 {
			t.Errorf("column %d has variance %v", j, v)
		}
	}
	// The mean of each term is over the training rows.
	l := d.linear(make([]float64, d.columns), 1, m, 1)
	for i := range l.Terms {
		if l.Terms[i].Mean != 0 {
			t.Errorf("term %s of weight 0 has mean %v", l.Terms[i].Feature, l.Terms[i].Mean)
		}
	}
}

// 0 to 99: the middle rank of value k is k+0.5 of 100, and its score the
// quantile of a normal there. 25 knots on 100 values.
func TestNormalScores(t *testing.T) {
	var values []float64
	for i := range 100 {
		values = append(values, float64((i*37)%100))
	}
	knots, basis := normalScores(values)
	if len(knots) != 25 || knots[0] != 0 || knots[24] != 99 || knots[12] != 49 {
		t.Fatalf("knots %v", knots)
	}
	// Φ⁻¹(0.005), Φ⁻¹(0.495): R 4.5, qnorm.
	for _, c := range []struct {
		knot int
		want float64
	}{{0, -2.5758293035489}, {12, -0.0125334695080692}, {24, 2.5758293035489}} {
		if z := basis[c.knot][0]; math.Abs(z-c.want) > 1e-12 || math.Abs(basis[c.knot][1]-z*z) > 1e-12 {
			t.Errorf("knot %v: %v, want %v and its square", knots[c.knot], basis[c.knot], c.want)
		}
	}
	// Ties share their middle: 30 zeros and 10 ones give ranks of 15 and 35 of 40.
	knots, basis = normalScores(append(make([]float64, 30), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1))
	if len(knots) != 2 || len(basis[0]) != 1 || math.Abs(basis[0][0]+0.318639363964375) > 1e-12 || math.Abs(basis[1][0]-1.15034938037601) > 1e-12 {
		t.Errorf("knots %v, basis %v", knots, basis) // qnorm(0.375), qnorm(0.875)
	}
	for _, few := range [][]float64{nil, make([]float64, 19), make([]float64, 500)} {
		if knots, _ := normalScores(few); knots != nil {
			t.Errorf("%d equal or too few values have knots %v", len(few), knots)
		}
	}
}
