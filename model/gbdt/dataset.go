package gbdt

import (
	"errors"
	"fmt"
	"math"
)

// A Dataset is a table to train on or to validate with.
type Dataset struct {
	Names       []string  // one per feature, as Forest.FeatureNames
	Categorical []bool    // nil, or per feature whether its values are codes: whole numbers from 0
	X           []float32 // values, row by row, len(Labels) x len(Names); missing is NaN
	Labels      []float32 // 0 or 1 per row
	Weights     []float32 // nil, or the weight of each row, not negative
}

// Rows returns the number of rows.
func (d *Dataset) Rows() int { return len(d.Labels) }

// maxRows bounds the rows of a table: row numbers have 32 bits.
const maxRows = math.MaxInt32

// maxCode bounds the codes of categories: the text format spends a bit on
// each code below the greatest one in a set.
const maxCode = 1 << 24

// seen is what check finds in a Dataset.
type seen struct {
	missing  []bool   // per feature, whether a value is missing
	warnings []string // about what can be trained on but was probably not meant
}

// check returns an error if d cannot be trained on.
func (d *Dataset) check() (*seen, error) {
	n, features := d.Rows(), len(d.Names)
	switch {
	case features == 0:
		return nil, errors.New("no features")
	case n == 0:
		return nil, errors.New("no rows")
	case n > maxRows:
		return nil, fmt.Errorf("%d rows are more than %d", n, maxRows)
	case len(d.X) != n*features:
		return nil, fmt.Errorf("field X has %d values, want %d for %d rows of %d features", len(d.X), n*features, n, features)
	case len(d.Categorical) != 0 && len(d.Categorical) != features:
		return nil, fmt.Errorf("field Categorical has %d values for %d features", len(d.Categorical), features)
	case len(d.Weights) != 0 && len(d.Weights) != n:
		return nil, fmt.Errorf("%d weights for %d rows", len(d.Weights), n)
	}
	var classes [2]float64 // weight of each
	for i, y := range d.Labels {
		if y != 0 && y != 1 {
			return nil, fmt.Errorf("row %d: label is %v, want 0 or 1", i, y)
		}
		w := 1.0
		if len(d.Weights) != 0 {
			w = float64(d.Weights[i])
			if !(w >= 0 && w <= math.MaxFloat32) {
				return nil, fmt.Errorf("row %d: weight is %v, want a finite number not below 0", i, w)
			}
		}
		classes[int(y)] += w
	}
	if classes[0]+classes[1] == 0 {
		return nil, errors.New("all weights are 0")
	}
	for y, w := range classes {
		if w == 0 {
			return nil, fmt.Errorf("no row has label %d and a weight above 0: nothing to tell apart", y)
		}
	}
	return d.checkValues()
}

// checkValues looks at every value once.
func (d *Dataset) checkValues() (*seen, error) {
	features := len(d.Names)
	s := &seen{missing: make([]bool, features)}
	first, differ := make([]uint32, features), make([]uint32, features) // bits
	for f, x := range d.X[:features] {
		first[f] = math.Float32bits(x)
	}
	var codes []int // categorical features
	for f, categorical := range d.Categorical {
		if categorical {
			codes = append(codes, f)
		}
	}
	const special = 0x7f800000 // exponent of what is infinite or no number
	for at := 0; at < len(d.X); at += features {
		for f, x := range d.X[at : at+features] {
			bits := math.Float32bits(x)
			differ[f] |= bits ^ first[f]
			if bits&special == special {
				if x == x {
					return nil, fmt.Errorf("row %d, feature %q: value is %v; NaN means missing, else cut it to a finite number",
						at/features, d.Names[f], x)
				}
				s.missing[f] = true
			}
		}
		for _, f := range codes {
			if x := d.X[at+f]; x == x && (x < 0 || x >= maxCode || x != float32(int(x))) {
				return nil, fmt.Errorf("row %d, feature %q: category %v is not a whole number from 0 to %d",
					at/features, d.Names[f], x, maxCode-1)
			}
		}
	}
	for f, name := range d.Names {
		if differ[f] == 0 || s.missing[f] && !d.hasValue(f) {
			s.warnings = append(s.warnings, fmt.Sprintf("feature %q has the same value in every row", name))
		}
	}
	return s, nil
}

// hasValue reports whether a value of feature f is not missing.
func (d *Dataset) hasValue(f int) bool {
	for at := f; at < len(d.X); at += len(d.Names) {
		if x := d.X[at]; x == x {
			return true
		}
	}
	return false
}

// line is the number of float32 values in a cache line: reading so many
// columns of a row at a time costs as much as reading one.
const line = 16

// gather copies columns first, first+1, ... of every step-th row from `from`
// on to dst, a slice per column, as many rows as these hold.
func (d *Dataset) gather(dst [][]float32, first, from, step int) {
	width := len(d.Names)
	for i := range dst[0] {
		at := (from+i*step)*width + first
		for j, x := range d.X[at : at+len(dst)] {
			dst[j][i] = x
		}
	}
}
