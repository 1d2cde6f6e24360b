package gbdt

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBounds: expected bounds by hand, following LightGBM's GreedyFindBin and
// FindBinWithZeroAsOneBin (src/io/bin.cpp).
func TestBounds(t *testing.T) {
	zero := float32(zeroThreshold)
	for _, c := range []struct {
		name            string
		values          []float32
		limit, minInBin int
		want            []float32
	}{
		{"none", nil, 255, 3, nil},
		{"one value", []float32{5, 5, 5}, 255, 1, nil},
		{"each its own", []float32{1, 2, 2, 4}, 255, 1, []float32{1.5, 3}},
		{"at least two", []float32{1, 2, 3, 4, 5}, 255, 2, []float32{2.5, 4.5}},
		{"zero alone", []float32{-2, -1, 0, 0, 1, 2}, 255, 1, []float32{-1.5, -zero, zero, 1.5}},
		{"counts", []float32{0, 0, 0, 1, 2, 3}, 255, 1, []float32{zero, 1.5, 2.5}},
		// 12 values into 4 bins of 3.
		{"equal count", []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 4, 1, []float32{3.5, 6.5, 9.5}},
		// 7 is heavier than a bin should be (9 of 16, mean 4): a bin of its
		// own; the other 7 rows share three bins, 7/3 each at first and 4/2
		// once three are given out.
		{"big value", []float32{1, 2, 3, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 9, 10, 11}, 4, 1, []float32{5, 7.5, 9.5}},
	} {
		got := new(sorter).bounds(c.values, c.limit, c.minInBin)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: bounds %v, want %v", c.name, got, c.want)
		}
	}
}

// TestBoundsSeparate: whatever the values, bounds rise, there are not too many
// and every one has values on both sides.
func TestBoundsSeparate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		values := make([]float32, 1+r.IntN(400))
		for i := range values {
			switch r.IntN(5) {
			case 0:
				values[i] = 0
			case 1:
				values[i] = math.Float32frombits(r.Uint32N(100)) // denormal
			case 2:
				values[i] = float32(r.IntN(10) - 5)
			case 3:
				values[i] = math.Nextafter32(1, float32(r.IntN(3)))
			default:
				values[i] = float32(r.NormFloat64() * math.Exp(40*r.NormFloat64()))
				values[i] = max(min(values[i], math.MaxFloat32), -math.MaxFloat32)
			}
		}
		var s sorter
		sorted := s.sort(slices.Clone(values))
		slices.Sort(values)
		if !slices.Equal(sorted, values) {
			t.Fatalf("sorted %v, want %v", sorted, values)
		}
		limit := 3 + r.IntN(60)
		got := s.bounds(sorted, limit, 1+r.IntN(4))
		if len(got) > limit-1 {
			t.Fatalf("%d bounds, at most %d bins", len(got), limit)
		}
		for i, b := range got {
			if i > 0 && b <= got[i-1] {
				t.Fatalf("bounds %v do not rise", got)
			}
			if values[0] > b || values[len(values)-1] <= b {
				t.Fatalf("bound %v has all of %v on one side", b, values)
			}
		}
	}
}

// TestColumns: features that share a column keep their bins, tiles hold the
// bytes of the columns, and margins of a column's histogram are the
// histograms of its features.
func TestColumns(t *testing.T) {
	d := mixed(1003)(rand.New(rand.NewPCG(23, 24)))
	p := quick()
	p.TargetLevels = 8
	p.Workers = 2
	b := newRun(t, p, d, nil)
	defer b.grow.pool.close()
	table := b.grow.t
	shared := false
	for c, col := range table.columns {
		product := 1
		for _, f := range col.features {
			product *= table.features[f].bins
		}
		if product != col.bins || product > 256 {
			t.Errorf("column %d has %d bins, its features make %d", c, col.bins, product)
		}
		shared = shared || len(col.features) > 1
	}
	if !shared || len(table.columns) >= len(table.features) {
		t.Errorf("columns %v of %d features: none is shared, nothing was tested", table.columns, len(table.features))
	}
	n := newNaive(b, 0)
	for f := range table.features {
		if table.features[f].bins < 2 {
			continue
		}
		for r, want := range n.bins[f] {
			got := int(table.bytes[table.place[f].column][r]) / table.place[f].unit % table.features[f].bins
			if got != want {
				t.Fatalf("feature %d, row %d: bin %d, want %d", f, r, got, want)
			}
		}
	}
	use := make([]bool, len(table.features))
	for f := range use {
		use[f] = table.features[f].bins > 1
	}
	for _, tl := range table.pack(use, nil, b.grow.pool) {
		for i, c := range tl.columns {
			for r := range table.rows {
				if tl.data[r*32+i] != table.bytes[c][r] {
					t.Fatalf("tile: column %d, row %d differs", c, r)
				}
			}
		}
	}
}

// TestOrderedStatistics: a row's target statistic counts the labels of the
// rows of its level that come before it in some order, and never its own.
func TestOrderedStatistics(t *testing.T) {
	p := quick()
	p.TargetPrior, p.TargetOrders = 2, 3
	d := &Dataset{Names: []string{"c"}, Categorical: []bool{true}}
	r := rand.New(rand.NewPCG(25, 26))
	for range 500 {
		d.X = append(d.X, float32(r.IntN(5)))
		d.Labels = append(d.Labels, float32(r.IntN(2)))
	}
	d.X[7] = float32(math.NaN())
	const prior = 0.25
	features, values := encodedFeatures(d, &p, 0, 5, prior)
	if len(features) != 4 {
		t.Fatalf("%d features, want 3 orders and a count", len(features))
	}
	var sums, counts [5]float64
	for i, x := range d.X {
		if x == x {
			sums[int(x)] += float64(d.Labels[i])
			counts[int(x)]++
		}
	}
	changed := false
	for order, column := range values[:3] {
		for code := range 5 {
			var seen []float64
			for i, x := range d.X {
				if int(x) == code && x == x {
					seen = append(seen, float64(column[i]))
				}
			}
			want := float32((sums[code] + prior*2) / (counts[code] + 2))
			if got := features[order].code.values[code]; got != want {
				t.Errorf("order %d, level %d: %v when scoring, want %v", order, code, got, want)
			}
			if !slices.Contains(seen, prior) {
				t.Errorf("order %d, level %d: no row came first", order, code)
			}
		}
		if column[7] != prior {
			t.Errorf("order %d: missing level has %v, want %v", order, column[7], prior)
		}
		for row := 11; row < 30; row++ {
			d.Labels[row] = 1 - d.Labels[row]
			_, turned := encodedFeatures(d, &p, 0, 5, prior)
			d.Labels[row] = 1 - d.Labels[row]
			if turned[order][row] != column[row] {
				t.Errorf("order %d: the statistic of row %d depends on its own label", order, row)
			}
			changed = changed || !slices.Equal(turned[order], column)
		}
	}
	if !changed {
		t.Error("no statistic depends on any label")
	}
	if slices.Equal(values[0], values[1]) {
		t.Error("two orders are the same")
	}
	for i, x := range d.X {
		if x == x && float64(values[3][i]) != counts[int(x)] {
			t.Errorf("row %d: count %v, want %v", i, values[3][i], counts[int(x)])
		}
	}
}

// TestTranspose against two loops.
func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(27, 28))
	var s [8]uint64
	for i := range s {
		s[i] = r.Uint64()
	}
	got := s
	transpose(&got)
	for i := range 8 {
		for j := range 8 {
			if byte(got[i]>>(8*j)) != byte(s[j]>>(8*i)) {
				t.Fatalf("byte %d of word %d is wrong", j, i)
			}
		}
	}
}
