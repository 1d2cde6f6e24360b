package model

import (
	"math"
	"slices"
	"testing"

	"churn/features"
)

func TestNewReference(t *testing.T) {
	m := &features.Matrix{Features: []features.Feature{
		{Name: "n"}, {Name: "constant"}, {Name: "never"}, {Name: "c", Kind: features.Category, Levels: []string{"a", "b"}},
	}}
	codes := []float32{0, 0, 0, 1, 1, -1, nan, 2}
	var probability []float64
	churned := make([]bool, 8)
	for i := range 8 {
		row := m.Grow()
		row[0], row[1], row[2], row[3] = float32(i), 5, nan, codes[i]
		if i == 3 {
			row[0] = nan
		}
		probability = append(probability, float64(7-i)/10)
		churned[i] = i < 2
	}
	r := NewReference(m, probability, churned)
	if r.Rows != 8 || r.BaseRate != 0.25 {
		t.Errorf("%d rows, base rate %v", r.Rows, r.BaseRate)
	}
	// Quantile q of eight values is number 7q/100, cut off.
	if len(r.Quantiles) != 101 || r.Quantiles[0] != 0 || r.Quantiles[14] != 0 || r.Quantiles[15] != 0.1 || r.Quantiles[100] != 0.7 {
		t.Errorf("quantiles %v", r.Quantiles)
	}
	// Seven values 0 1 2 4 5 6 7: decile q is number 6q/10, cut off.
	n := r.Features[0]
	if want := []float64{0, 1, 2, 4, 5, 6}; !slices.Equal(n.Bounds, want) || n.Missing != 0.125 {
		t.Errorf("bounds %v, want %v; missing %v", n.Bounds, want, n.Missing)
	}
	if want := slices.Repeat([]float64{1. / 7}, 7); !slices.Equal(n.Shares, want) {
		t.Errorf("shares %v, want %v", n.Shares, want)
	}
	if f := r.Features[1]; !slices.Equal(f.Bounds, []float64{5}) || !slices.Equal(f.Shares, []float64{1, 0}) || f.Missing != 0 {
		t.Errorf("constant: %+v", f)
	}
	if f := r.Features[2]; f.Bounds != nil || !slices.Equal(f.Shares, []float64{0}) || f.Missing != 1 {
		t.Errorf("never known: %+v", f)
	}
	if f := r.Features[3]; f.Bounds != nil || !slices.Equal(f.Shares, []float64{3. / 7, 2. / 7, 2. / 7}) || f.Missing != 0.125 {
		t.Errorf("category: %+v", f)
	}
	if err := r.check(m.Features); err != nil {
		t.Error(err)
	}

	empty := NewReference(&features.Matrix{Features: m.Features}, nil, nil)
	if err := empty.check(m.Features); err != nil || empty.Rows != 0 || empty.BaseRate != 0 {
		t.Errorf("of no rows: %+v, %v", empty, err)
	}
}

// TestReferenceAddsUp: shares and rates are quotients of counts, so that a
// whole is a whole.
func TestReferenceAddsUp(t *testing.T) {
	m := &features.Matrix{Features: []features.Feature{{Name: "c", Kind: features.Category, Levels: []string{"a"}}}}
	churned := make([]bool, 1000)
	for i := range churned {
		m.Grow()[0] = 0
		churned[i] = true
	}
	r := NewReference(m, make([]float64, 1000), churned)
	if r.BaseRate != 1 || r.Features[0].Shares[0] != 1 {
		t.Errorf("base rate %v, share %v of everyone", r.BaseRate, r.Features[0].Shares[0])
	}
}

func TestBin(t *testing.T) {
	number := FeatureReference{Bounds: []float64{1, 2, 4}, Shares: make([]float64, 4)}
	category := FeatureReference{Shares: make([]float64, 3)}
	for _, c := range []struct {
		name string
		r    *FeatureReference
		v    float64
		want int
	}{
		{"number", &number, -9, 0}, {"number", &number, 1, 0}, {"number", &number, 1.5, 1}, {"number", &number, 2, 1},
		{"number", &number, 4, 2}, {"number", &number, 4.5, 3}, {"number", &number, math.Inf(1), 3}, {"number", &number, math.Inf(-1), 0},
		{"category", &category, 0, 0}, {"category", &category, 1, 1}, {"category", &category, 2, 2}, {"category", &category, -1, 2},
		{"category", &category, math.Inf(1), 2}, {"category", &category, math.Inf(-1), 2},
	} {
		if got := c.r.Bin(c.v); got != c.want {
			t.Errorf("%s %v is in bin %d, want %d", c.name, c.v, got, c.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	r := Reference{}
	if p := r.Percentile(0.5); !math.IsNaN(p) {
		t.Errorf("without a population: %v", p)
	}
	for q := range 101 {
		r.Quantiles = append(r.Quantiles, float64(q)/200+0.25) // 0.25 to 0.75
	}
	for _, c := range []struct{ p, want float64 }{
		{0, 0}, {0.25, 0}, {0.2501, 1}, {0.255, 1}, {0.5, 50}, {0.5001, 51}, {0.75, 100}, {0.7501, 100}, {1, 100},
	} {
		if got := r.Percentile(c.p); got != c.want {
			t.Errorf("%v is at %v per cent, want %v", c.p, got, c.want)
		}
	}
	for q := range 60 { // most have the same
		r.Quantiles[q+20] = 0.5
	}
	slices.Sort(r.Quantiles)
	if got := r.Percentile(0.5); got != 20 {
		t.Errorf("tied in the middle: %v, want 20", got)
	}
}

func TestBand(t *testing.T) {
	b := Bands{Medium: 0.25, High: 0.5}
	for p, want := range map[float64]string{0: "low", 0.2499: "low", 0.25: "medium", 0.4999: "medium", 0.5: "high", 1: "high"} {
		if got := b.Band(p); got != want {
			t.Errorf("%v is %s, want %s", p, got, want)
		}
	}
}
