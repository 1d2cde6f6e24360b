package training

import (
	"math"
	"slices"

	"churn/features"
	"churn/model"
)

// maxKnots is the number of quantiles a number is described by.
const maxKnots = 24

// minLevelRows is how many rows a level needs to get a weight of its own.
const minLevelRows = 20

// design turns feature rows into the columns of a logistic regression, and
// fitted weights back into an additive model. Each number gives up to three
// columns: its normal score z (the quantile of a normal at its rank), z², and
// whether it is missing; each category one column a level. All are
// standardised. Between quantiles the columns are linear, so the fitted
// function of a feature is exactly a [model.Term].
type design struct {
	blocks  []block
	columns int
}

// block describes the columns of one feature.
type block struct {
	feature int
	first   int // its first column
	// Knots and the basis at each, of a number.
	knots []float64
	basis [][]float64 // basis[k][j]: column j at knot k
	// levels[j] is the category code behind column j.
	levels []int
	// missing is the column of the missing indicator, or -1.
	missing     int
	width       int
	mean, scale []float64 // of each column over the training rows
}

// newDesign learns quantiles, levels and scales from training rows.
func newDesign(m *features.Matrix, workers int) *design {
	blocks := make([]*block, len(m.Features))
	parallel(workers, len(blocks), func(j int) { blocks[j] = newBlock(m, j) })
	d := &design{}
	for _, b := range blocks {
		if b == nil {
			continue // says nothing in training
		}
		b.first = d.columns
		d.columns += b.width
		d.blocks = append(d.blocks, *b)
	}
	return d
}

// newBlock describes feature j, or returns nil if it says nothing: one value
// only, or too few rows that differ.
func newBlock(m *features.Matrix, j int) *block {
	n := m.Rows()
	b := &block{feature: j, missing: -1}
	values := make([]float64, 0, n)
	for i := range n {
		if v := float64(m.Row(i)[j]); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if m.Features[j].Kind == features.Category {
		counts := make([]int, len(m.Features[j].Levels))
		for _, v := range values {
			if k := int(v); k >= 0 && k < len(counts) {
				counts[k]++
			}
		}
		for k, c := range counts {
			if c >= minLevelRows && c < n {
				b.levels = append(b.levels, k)
			}
		}
		b.width = len(b.levels)
	} else {
		b.knots, b.basis = normalScores(values)
		if b.knots != nil {
			b.width = len(b.basis[0])
		}
	}
	if missing := n - len(values); missing >= minLevelRows && len(values) >= minLevelRows {
		b.missing = b.width
		b.width++
	}
	if b.width == 0 {
		return nil
	}
	b.standardise(m)
	return b
}

// normalScores places knots at quantiles and gives each the normal score of
// the middle of its ranks, and the square of it where there are enough knots
// to bend. Fewer than two distinct values have none.
func normalScores(values []float64) (knots []float64, basis [][]float64) {
	if len(values) < minLevelRows {
		return nil, nil
	}
	slices.Sort(values)
	n := len(values)
	for q := range maxKnots + 1 {
		v := values[q*(n-1)/maxKnots]
		if len(knots) == 0 || v > knots[len(knots)-1] {
			knots = append(knots, v)
		}
	}
	if last := values[n-1]; knots[len(knots)-1] < last {
		knots = append(knots, last)
	}
	if len(knots) < 2 {
		return nil, nil
	}
	for _, k := range knots {
		lo, _ := slices.BinarySearch(values, k)
		hi, _ := slices.BinarySearchFunc(values, k, func(v, k float64) int {
			if v <= k {
				return -1
			}
			return 1
		})
		p := (float64(lo) + float64(hi)) / 2 / float64(n)
		p = min(max(p, 0.5/float64(n)), 1-0.5/float64(n))
		z := math.Sqrt2 * math.Erfinv(2*p-1)
		at := []float64{z}
		if len(knots) > 4 {
			at = append(at, z*z)
		}
		basis = append(basis, at)
	}
	return knots, basis
}

// raw writes the columns of a block before standardising.
func (b *block) raw(dst []float64, x float32) {
	clear(dst)
	v := float64(x)
	if math.IsNaN(v) {
		if b.missing >= 0 {
			dst[b.missing] = 1
		}
		return
	}
	for k, level := range b.levels {
		if int(v) == level {
			dst[k] = 1
		}
	}
	if b.knots == nil {
		return
	}
	// The same interpolation as model.Interpolate, for each column.
	i, _ := slices.BinarySearch(b.knots, v)
	switch {
	case i == 0:
		copy(dst, b.basis[0])
	case i == len(b.knots):
		copy(dst, b.basis[i-1])
	default:
		share := (v - b.knots[i-1]) / (b.knots[i] - b.knots[i-1])
		for c := range b.basis[i] {
			dst[c] = b.basis[i-1][c] + float64(share*(b.basis[i][c]-b.basis[i-1][c]))
		}
	}
}

// standardise measures mean and spread of each column. A missing number stands
// at the mean of the others, so that only its indicator speaks.
func (b *block) standardise(m *features.Matrix) {
	b.mean, b.scale = make([]float64, b.width), make([]float64, b.width)
	buf := make([]float64, b.width)
	counts := make([]float64, b.width)
	squares := make([]float64, b.width)
	for i := range m.Rows() {
		x := m.Row(i)[b.feature]
		b.raw(buf, x)
		for c, v := range buf {
			if b.absent(c, x) {
				continue
			}
			counts[c]++
			b.mean[c] += v
			squares[c] += float64(v * v)
		}
	}
	for c := range b.mean {
		b.mean[c] /= counts[c]
		b.scale[c] = math.Sqrt(max(squares[c]/counts[c]-float64(b.mean[c]*b.mean[c]), 0))
		if b.scale[c] < 1e-9 {
			b.scale[c] = 1
		}
	}
}

// absent tells whether column c says nothing because the number is missing.
func (b *block) absent(c int, x float32) bool {
	return b.knots != nil && c != b.missing && math.IsNaN(float64(x))
}

// row writes the standardised columns of a feature row.
func (d *design) row(dst []float64, x []float32) {
	for i := range d.blocks {
		b := &d.blocks[i]
		part := dst[b.first : b.first+b.width]
		b.raw(part, x[b.feature])
		for c := range part {
			if b.absent(c, x[b.feature]) {
				part[c] = 0
			} else {
				part[c] = (part[c] - b.mean[c]) / b.scale[c]
			}
		}
	}
}

// linear turns fitted weights into an additive model, with the mean of each
// term over the training rows.
func (d *design) linear(weights []float64, intercept float64, m *features.Matrix, workers int) *model.Linear {
	l := &model.Linear{Intercept: intercept}
	for i := range d.blocks {
		b := &d.blocks[i]
		w := weights[b.first : b.first+b.width]
		f := &m.Features[b.feature]
		t := model.Term{Feature: f.Name}
		// at sums the columns of the block for a raw vector.
		at := func(raw []float64, absent bool) float64 {
			s := 0.0
			for c, v := range raw {
				if absent && c != b.missing {
					continue
				}
				s += float64(w[c] * ((v - b.mean[c]) / b.scale[c]))
			}
			return s
		}
		buf := make([]float64, b.width)
		b.raw(buf, float32(math.NaN()))
		t.Missing = at(buf, b.knots != nil)
		switch {
		case f.Kind == features.Category:
			t.Levels = make([]float64, len(f.Levels))
			for k := range t.Levels {
				b.raw(buf, float32(k))
				t.Levels[k] = at(buf, false)
			}
			b.raw(buf, -1)
			t.Other = at(buf, false)
		case b.knots == nil: // only whether it is missing counts
			b.raw(buf, 0)
			t.Knots, t.Values = []float64{0}, []float64{at(buf, false)}
		default:
			for _, k := range b.knots {
				b.rawAt(buf, k)
				t.Knots = append(t.Knots, k)
				t.Values = append(t.Values, at(buf, false))
			}
		}
		l.Terms = append(l.Terms, t)
	}
	setMeans(l, m, workers)
	return l
}

// rawAt is raw at a knot, which need not be a float32.
func (b *block) rawAt(dst []float64, knot float64) {
	clear(dst)
	i, _ := slices.BinarySearch(b.knots, knot)
	copy(dst, b.basis[i])
}

// setMeans measures the mean contribution of each term over the rows.
func setMeans(l *model.Linear, m *features.Matrix, workers int) {
	columns := columnsOf(l, m)
	parallel(workers, len(l.Terms), func(i int) {
		t := &l.Terms[i]
		sum := 0.0
		for r := range m.Rows() {
			sum += t.Value(m.Row(r)[columns[i]])
		}
		t.Mean = sum / float64(max(m.Rows(), 1))
	})
}

// columnsOf finds the column of each term.
func columnsOf(l *model.Linear, m *features.Matrix) []int {
	index := map[string]int{}
	for j := range m.Features {
		index[m.Features[j].Name] = j
	}
	columns := make([]int, len(l.Terms))
	for i := range l.Terms {
		columns[i] = index[l.Terms[i].Feature]
	}
	return columns
}
